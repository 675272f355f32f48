"""Which preprocessing a foreign network wants, judged by how it does on validation images under each. NumPy only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.models.preprocessing import PREPROCESSING, Preprocessing

PLAIN = ("none", "unit", "tf")


@dataclass(frozen=True, eq=False)
class Trial:
    """How a model does on n validation images under one preprocessing: `correct [n]`, and the mean NLL in nats."""

    correct: np.ndarray
    nll: float
    num_classes: int

    @property
    def accuracy(self) -> float:
        """Fraction of images that the model is right on."""
        return float(self.correct.mean())

    def ties_with(self, other: "Trial") -> bool:
        """True where the two accuracies differ by no more than two standard errors (McNemar's, paired)."""
        wins, losses = int((self.correct > other.correct).sum()), int((self.correct < other.correct).sum())
        return (wins - losses) ** 2 <= 4 * (wins + losses)


def try_out(logits: np.ndarray, labels: np.ndarray) -> Trial:
    """The trial of logits `[n, C]` against labels `[n]`; rows that are not finite are wrong, and their NLL infinite."""
    finite = np.isfinite(logits).all(axis=1)
    rows = np.where(finite[:, None], logits, 0).astype(np.float64)
    rows = rows - rows.max(axis=1, keepdims=True)
    nll = np.log(np.exp(rows).sum(axis=1)) - rows[np.arange(len(labels)), labels]
    correct = finite & (rows.argmax(axis=1) == labels)
    return Trial(correct, float(np.where(finite, nll, np.inf).mean()), logits.shape[1])


def choose_preprocessing(
    wanted: Preprocessing | None, trials: Mapping[str, Trial], *, rescales: bool
) -> tuple[Preprocessing, tuple[str, ...], tuple[str, ...]]:
    """The preprocessing that is wanted, or where None is the best of those tried; what was found; warnings.

    Best is the most accurate, except for those that are absurdly over-confident: a network of ReLUs with small biases
    gives nearly the same classes whatever the scale of its input, and only its confidence shows what is wrong. NLL does
    no more than that, because a wrong scale may temper an over-confident network. Where accuracy does not tell them
    apart, the plain ranges go before ImageNet's statistics.
    A choice that is far worse than the best is warned of: a wrong input range is silent everywhere else.
    """
    top = max(trials.values(), key=lambda trial: trial.accuracy)
    tied = [name for name in trials if trials[name].ties_with(top)]
    best = _best(tied, trials)
    count = len(top.correct)
    listing = ", ".join(f"{name} {_shown(trial)}" for name, trial in trials.items())
    chosen = wanted or PREPROCESSING[best]
    if wanted is None:
        how = f"best on {count} validation images: {listing}"
        others = ", ".join(f"`{name}`" for name in tied if name != best)
        if others:
            how += f"; in accuracy not told apart from {others}: set model.preprocessing if you know it"
    else:
        how = "the model rescales pixels itself" if rescales and chosen.name == "none" else "as set"
    notes = (f"model.preprocessing is {chosen.describe()}: {how}",)
    got, other = trials[chosen.name], trials[best]
    # Four standard errors of a difference of two proportions: far beyond what so few images can do by chance.
    inaccurate = other.accuracy - got.accuracy > 4 * math.sqrt(0.5 / count)
    # As accurate, and yet a greater loss than knowing nothing would be.
    overconfident = got.nll - other.nll > math.log(got.num_classes)
    if chosen.name == best or not (inaccurate or overconfident):
        return chosen, notes, ()
    warning = (
        f"with model.preprocessing={chosen.name} the model is right on {_shown(got)} of {count} validation "
        f"images, with {best} on {_shown(other)}: the input range looks wrong; "
        f"set model.preprocessing={best} ({listing})"
    )
    return chosen, notes, (warning,)


def _best(tied: Sequence[str], trials: Mapping[str, Trial]) -> str:
    least = min(trials[name].nll for name in tied)
    # A greater loss than knowing nothing would add.
    sane = [name for name in tied if trials[name].nll - least <= math.log(trials[name].num_classes)]
    plain = [name for name in sane if name in PLAIN]
    return max(plain or sane, key=lambda name: (trials[name].accuracy, -trials[name].nll))


def _shown(trial: Trial) -> str:
    return f"{100 * trial.accuracy:.1f} % (NLL {trial.nll:.3g})"
