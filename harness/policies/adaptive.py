"""Adaptive aggregations: easy examples are answered from fewer views, so that they cost fewer forward passes.

What they compute from all stored logits is what a program computes that predicts the views one after another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from harness.errors import unknown_name
from harness.logspace import log_softmax
from harness.parameters import Range
from harness.policies import confident, fixed, votes
from harness.policies.base import Aggregation, Fitted, Fixed
from harness.policies.logits import ViewLogits

Uncertainty = Literal["max_prob", "entropy", "margin"]

INNER: dict[str, Fixed] = {
    inner.kind: inner
    for inner in (
        fixed.MeanProbs(),
        fixed.MeanLogits(),
        fixed.GMeanProbs(),
        fixed.HMeanProbs(),
        fixed.LogOddsProbs(),
        fixed.MaxProbs(),
        fixed.MaxLogits(),
        fixed.MinProbs(),
        fixed.MedianProbs(),
        votes.Vote(),
        confident.EntropyWeightedProbs(),
        confident.ConfidentVote(),
    )
}
"""Aggregations that a name alone makes, for the examples that need all views."""

ROUNDING = 1e-9  # far above the rounding error of a sum of probabilities, far below what a view can move it by


@dataclass(frozen=True)
class Selective(Aggregation):
    """All views for the examples that the plain view is least certain of, the plain view alone for the others.

    An example is uncertain where the uncertainty of its plain view lies above the (1 - share) quantile of the same on
    the examples it is fitted on. Labels are not used.

    Attributes:
        share: of the examples that get all views.
        aggregation: the fixed aggregation of all views.
        uncertainty: `max_prob`, 1 - the largest probability; `entropy`, in nats; or `margin`, 1 - the difference of the
            two largest probabilities.
    """

    kind: ClassVar[str] = "selective"
    learns: ClassVar[bool] = True
    anchored: ClassVar[bool] = True
    share: Annotated[float, Range(0, 1, open_low=True)]
    aggregation: str = "mean_probs"
    uncertainty: Uncertainty = "max_prob"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregation not in INNER:
            raise ValueError(unknown_name("aggregation of all views", self.aggregation, INNER))

    def fit(self, logits: ViewLogits, _labels: np.ndarray) -> "FittedSelective":
        """The threshold of `logits` [V, N, C]'s first view."""
        plain = (block[0] for _, block in logits.select([0]).blocks())
        found = np.concatenate([uncertainty(log_softmax(part), self.uncertainty) for part in plain])
        # No uncertainty lies below zero, so that all of them are above -1.
        threshold = float(np.quantile(found, 1 - self.share)) if self.share < 1 else -1.0
        return FittedSelective(threshold, INNER[self.aggregation], self.uncertainty)


@dataclass(frozen=True)
class FittedSelective(Fitted):
    """All views where the uncertainty of the first one lies above a threshold, else the first one alone.

    Attributes:
        threshold: in the unit of the uncertainty; -1 for all views everywhere.
        inner: aggregates all views.
        uncertainty: how it is measured.
    """

    threshold: float
    inner: Fixed
    uncertainty: Uncertainty

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        result = log_softmax(logits[0])
        uncertain = np.flatnonzero(self._uncertain(logits))
        if len(uncertain):
            result[uncertain] = self.inner(np.take(logits, uncertain, axis=1))
        return result

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """V where the first view is uncertain, else one, `[n]` int64."""
        return np.where(self._uncertain(logits), len(logits), 1)

    def parameters(self) -> Mapping[str, Any]:
        """The threshold, what it is a threshold of, and the aggregation of all views."""
        return {"threshold": self.threshold, "uncertainty": self.uncertainty, "aggregation": self.inner.kind}

    def _uncertain(self, logits: np.ndarray) -> np.ndarray:
        return uncertainty(log_softmax(logits[0]), self.uncertainty) > self.threshold


@dataclass(frozen=True)
class EarlyExit(Fixed):
    """The mean of p over the views in their order, up to the first that makes its largest class probable enough.

    Attributes:
        confidence: the largest probability of the running mean at which no further view is predicted.
    """

    kind: ClassVar[str] = "early_exit"
    confidence: Annotated[float, Range(0, 1, open_low=True, open_high=True)]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log(mean of p over the views used): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return _mean_of_first(logits, self.passes(logits))

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The views up to the first confident running mean, `[n]` int64 in 1..V."""
        return first_exit(running_confidence(logits) >= self.confidence)


@dataclass(frozen=True)
class ExactExit(Fixed):
    """The mean of p over the views in their order, until the rest of them cannot change the predicted class.

    Each further view moves the difference of two summed probabilities by at most one. So the class is decided once the
    two largest sums differ by more than the number of views to come, and it is the class that `mean_probs` predicts;
    where classes tie to the end, all views are used. The probabilities are those of the views used.
    """

    kind: ClassVar[str] = "exact_exit"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log(mean of p over the views used): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return _mean_of_first(logits, self.passes(logits))

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The views until the class is decided, `[n]` int64 in 1..V."""
        sums = np.cumsum(np.exp(log_softmax(logits)), axis=0)
        to_come = np.arange(len(logits))[::-1, None]
        # Sums that differ by less than rounding could tie, or change places, in the mean over all views.
        return first_exit(sums.max(axis=-1) - _without_largest(sums).max(axis=-1) > to_come + ROUNDING)


def uncertainty(log_probs: np.ndarray, measure: Uncertainty) -> np.ndarray:
    """How unsure log-probabilities `[n, C]` are, `[n]` float64 >= 0, also where the largest probability rounds to one.

    `max_prob` is 1 - p1, `margin` is 1 - (p1 - p2), with p1 and p2 the largest probabilities, and `entropy` is in nats.
    """
    if measure == "entropy":
        return confident.entropy(log_probs)
    others = _without_largest(np.exp(log_probs))
    rest: np.ndarray = others.sum(axis=-1)
    return rest if measure == "max_prob" else rest + others.max(axis=-1)


def running_confidence(logits: np.ndarray) -> np.ndarray:
    """The largest probability of the mean over the first view, the first two, and so on: `[V, n]` float64."""
    sums = np.cumsum(np.exp(log_softmax(logits)), axis=0)
    confidence: np.ndarray = sums.max(axis=-1) / np.arange(1, len(logits) + 1)[:, None]
    return confidence


def first_exit(stops: np.ndarray) -> np.ndarray:
    """How many views are used, `[n]` int64, where `stops [V, n]` says after which one may stop; V at most."""
    passes: np.ndarray = np.where(stops.any(axis=0), stops.argmax(axis=0) + 1, len(stops))
    return passes


def _mean_of_first(logits: np.ndarray, passes: np.ndarray) -> np.ndarray:
    """log(mean of p over the first `passes [n]` views), `[n, C]` float64."""
    result = np.empty(logits.shape[1:], np.float64)
    for count in np.unique(passes):
        rows = np.flatnonzero(passes == count)
        result[rows] = fixed.log_mean(log_softmax(np.take(logits[:count], rows, axis=1)))
    return result


def _without_largest(values: np.ndarray) -> np.ndarray:
    """A copy of `values [..., C]` with zero in the place of the largest one, the first where several are."""
    others = values.copy()
    np.put_along_axis(others, values.argmax(axis=-1)[..., None], 0.0, axis=-1)
    return others
