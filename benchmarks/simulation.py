"""Made-up jobs and trainings of which the truth is known, for `benchmarks/no_gain.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.cross_fitting import Folds
from harness.evaluation import Evaluation, Settings, evaluate
from harness.firewall import Examples
from harness.policies.policy import Policy
from harness.selection import CRITERIA, Recommendation, Verdict, choose, verdict_of
from harness.transforms.geometric import Shift
from harness.types import Estimate
from harness.views import IDENTITY, View


def views(count: int) -> tuple[View, ...]:
    """Identity and others; what they do to images is of no account, as logits are made up."""
    return (IDENTITY, *(View((Shift(dx=place, dy=0),)) for place in range(1, count)))


@dataclass(frozen=True)
class Task:
    """A made-up classification: all views see the same image, each with noise of its own.

    Views of equal noise are exchangeable given the label, so that none has a gain over another: not in accuracy, not in
    NLL, not at the best temperature.

    Attributes:
        noise: standard deviation by view. classes: C.
    """

    noise: Mapping[View, float]
    classes: int = 10

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[View, np.ndarray]]:
        """Labels `[N]` and the logits `[N, C]` float32 of every view."""
        labels = rng.integers(self.classes, size=count)
        image = rng.standard_normal((count, self.classes))
        image[np.arange(count), labels] += 2
        noisy = {view: image + sd * rng.standard_normal(image.shape) for view, sd in self.noise.items()}
        return labels, {view: (2 * found).astype(np.float32) for view, found in noisy.items()}


@dataclass(frozen=True)
class Size:
    """How large a simulated job is; `level` is that of its intervals and verdicts."""

    validation: int = 500
    test: int = 1000
    level: float = 0.95
    resamples: int = 2000

    @property
    def one_sided(self) -> float:
        """The nominal rate at which a two-sided rule errs to one side."""
        return (1 - self.level) / 2


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a job said.

    Attributes:
        chosen: the recommendation by criterion. rows: the verdicts on the rows, without identity's, by criterion.
        gains: of every row, identity first. temperatures: of the same.
    """

    chosen: Mapping[str, Recommendation]
    rows: Mapping[str, frozenset[Verdict]]
    gains: tuple[Mapping[str, Estimate], ...]
    temperatures: tuple[float, ...]

    def covers(self, place: int, name: str, value: float) -> bool:
        """Whether a row's interval holds the true gain."""
        gain = self.gains[place][name]
        return gain.lower <= value <= gain.upper


def job(
    task: Task, policies: Sequence[Policy], *, size: Size, rng: np.random.Generator, shuffled: bool = False
) -> Outcome:
    """One job on new images; where `shuffled`, test labels are permuted, so that they belong to no image."""
    labels, logits = {}, {}
    for split, count in (("validation", size.validation), ("test", size.test)):
        labels[split], logits[split] = task.draw(count, rng)
    if shuffled:
        labels["test"] = rng.permutation(labels["test"])
    examples = {
        split: Examples(np.array([f"{split}/{i}" for i in range(len(found))]), found) for split, found in labels.items()
    }
    settings = Settings(folds=Folds(repeats=1), resamples=size.resamples, level=size.level)
    return _outcome(evaluate(policies, lambda split, view: logits[split][view], examples, settings=settings))


def _outcome(found: Evaluation) -> Outcome:
    return Outcome(
        chosen={criterion: choose(found.results, criterion=criterion) for criterion in CRITERIA},
        rows={criterion: _verdicts(found, criterion) for criterion in CRITERIA},
        gains=tuple(result.gains for result in found.results),
        temperatures=tuple(result.temperature for result in found.results),
    )


def _verdicts(found: Evaluation, criterion: str) -> frozenset[Verdict]:
    """On the rows but identity's, had the job had this criterion."""
    return frozenset(
        verdict_of(
            {name: gain.value for name, gain in result.gains.items()},
            result.p_values_adjusted,
            criterion=criterion,
            level=found.settings.level,
        )
        for result in found.results[1:]
    )


@dataclass(frozen=True)
class Trainings:
    """Paired differences `[S, N]` over trainings and images, with a known mean.

    Attributes:
        trainings, images: S and N.
        share: of the variance of the mean difference, what training contributes.
        residual: of an image's variance, what each training draws anew.
        accuracy: whether differences are rounded to -1, 0 or 1, two in three of them 0.
    """

    trainings: int
    share: float
    accuracy: bool = False
    images: int = 500
    residual: float = 0.6

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """The differences; in units of an image's standard deviation where they are not rounded."""
        shape = (self.trainings, self.images)
        found = self.spread * rng.standard_normal((shape[0], 1))
        found = found + np.sqrt(1 - self.residual) * rng.standard_normal(shape[1])
        found = found + np.sqrt(self.residual) * rng.standard_normal(shape)
        rounded: np.ndarray = (found > 0.8).astype(float) - (found < -1.2) if self.accuracy else found
        return rounded

    @property
    def spread(self) -> float:
        """Standard deviation between trainings, in that of an image."""
        of_images = (1 - self.residual) / self.images + self.residual / self.images / self.trainings
        return float(np.sqrt(self.trainings * of_images * self.share / (1 - self.share)))

    @property
    def mean(self) -> float:
        """The true mean, for all trainings and images that there might be."""
        from scipy.special import ndtr

        scale = np.sqrt(1 + self.spread**2)
        return float(ndtr(-0.8 / scale) - ndtr(-1.2 / scale)) if self.accuracy else 0.0

    def __str__(self) -> str:
        kind = "accuracy gains" if self.accuracy else "normal gains"
        return f"{self.trainings} trainings, {kind}, {self.share:.0%} of the variance from training"
