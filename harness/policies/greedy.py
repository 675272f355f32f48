"""Greedy policy search: views are added one at a time to a mean of probabilities, each time the one that helps most.

Molchanov, Lyzhov, Molchanova, Ashukha and Vetrov (2020), "Greedy policy search: a simple baseline for learnable
test-time augmentation".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from harness.parameters import Range
from harness.policies.base import Aggregation
from harness.policies.linear_temperatures import Criterion, calibrate_linear, criterion_scores
from harness.policies.logits import ViewLogits
from harness.policies.weighted import Space, WeightedMean


@dataclass(frozen=True)
class GreedyMean(WeightedMean):
    """A mean of probabilities that was searched: a view's weight is how often it was chosen, over the steps.

    Attributes:
        chosen: places of views in the order in which they were chosen; each beginning is the policy of that many steps.
    """

    chosen: tuple[int, ...] = ()

    def parameters(self) -> Mapping[str, Any]:
        """The weights, their space, and the views as they were chosen."""
        return {**super().parameters(), "chosen": list(self.chosen)}


@dataclass(frozen=True)
class Gps(Aggregation):
    """Greedy policy search (GPS): `budget` steps, in each of which any view may be chosen, again too.

    Attributes:
        budget: steps; the policy costs at most so many passes, and fewer where views repeat.
        criterion: what each step makes best on validation: NLL after temperature, NLL, or accuracy.
    """

    budget: Annotated[int, Range(1)]
    criterion: Criterion = "nll_calibrated"
    kind: ClassVar[str] = "gps"
    learns: ClassVar[bool] = True

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> GreedyMean:
        """The weighted mean of probabilities that the search ends with."""
        # Searches of several budgets over the same logits are one search: each goes on where another one ended.
        known: tuple[int, ...] = logits.memo.get((self.kind, self.criterion), ())
        if len(known) < self.budget:
            known = greedy_path(logits, labels, steps=self.budget, criterion=self.criterion, start=known)
            logits.memo[self.kind, self.criterion] = known
        chosen = known[: self.budget]
        counts = np.bincount(chosen, minlength=len(logits))
        return GreedyMean("probs", tuple((counts / self.budget).tolist()), chosen)


def greedy_path(
    logits: ViewLogits,
    labels: np.ndarray,
    *,
    steps: int,
    criterion: Criterion = "nll_calibrated",
    start: tuple[int, ...] = (),
) -> tuple[int, ...]:
    """The views `[steps]` that the search chooses, in order; each beginning is the policy for that many steps.

    Step t tries every view s: log mean = logsumexp(log((t - 1) / t) + current, log(1 / t) + log p_s), scored by the
    criterion; the best view joins, the first where several are equal. The score need not rise with every step.

    Args:
        logits: [V, N, C] of validation, finite.
        labels: `[N]` int64 in [0, C).
        steps: at least 1.
        start: the first steps, where they are known already.
        criterion: larger accuracy, smaller NLL, or smaller NLL after the temperature that suits each candidate.
    """
    counts, chosen = np.bincount(np.array(start, np.int64), minlength=len(logits)).astype(np.int64), list(start)
    temperatures: np.ndarray | None = None
    for _ in range(steps - len(start)):
        candidates = _Extensions(counts)
        if criterion == "nll_calibrated":
            # A step changes temperatures little: those of the last one save passes over the logits.
            calibrated = calibrate_linear(candidates, logits, labels=labels, start=temperatures)
            temperatures, scores = calibrated.temperatures, -calibrated.nll
        else:
            scores = criterion_scores(candidates, logits, labels=labels, criterion=criterion)
        chosen.append(int(scores.argmax()))
        counts = counts + (np.arange(len(counts)) == chosen[-1])
    return tuple(chosen)


@dataclass(frozen=True, eq=False)
class _Extensions:
    """V candidates, each the views chosen so far (`counts [V]`) and one view more.

    The new view is added to the same sum in all candidates, so that equal views have equal scores to the last bit.
    """

    counts: np.ndarray
    space: Space = "probs"

    def __len__(self) -> int:
        return len(self.counts)

    def weights_of(self, which: np.ndarray, /) -> np.ndarray:
        counts = self.counts + (which[:, None] == np.arange(len(self)))
        weights: np.ndarray = counts / (self.counts.sum() + 1)
        return weights

    def mix(self, values: np.ndarray, which: np.ndarray, /) -> np.ndarray:
        mixed: np.ndarray = values[:, which]
        mixed += np.matmul(self.counts.astype(values.dtype), values)[:, None]
        mixed /= values.dtype.type(self.counts.sum() + 1)
        return mixed

    def policy(self, place: int, /) -> WeightedMean:
        return WeightedMean(self.space, tuple(self.weights_of(np.array([place]))[0].tolist()))
