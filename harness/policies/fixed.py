"""Fixed aggregations: means and order statistics, with the space they work in as part of their name.

z are the logits, l = log_softmax(z) over classes, p = exp(l). What a name says is made a distribution by dividing each
row by its sum. Every step works on logarithms in float64, so nothing underflows: the result is finite for every finite
float32 logit. The order of the views changes nothing beyond float rounding, and with one view the result is l.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.logspace import log_softmax, logsumexp
from harness.parameters import Range
from harness.policies.base import Fixed


@dataclass(frozen=True)
class MeanProbs(Fixed):
    """The mean over views of p, the probabilities."""

    kind: ClassVar[str] = "mean_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log(1/V * sum over views of p): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_mean(log_softmax(logits))


@dataclass(frozen=True)
class MeanLogits(Fixed):
    """The mean over views of z, the logits; one and the same distribution as `gmean_probs`.

    l and z differ by a number per view and example, whose mean is the same for all classes: normalising removes it.
    """

    kind: ClassVar[str] = "mean_logits"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log_softmax(1/V * sum over views of z): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(np.asarray(logits, np.float64).mean(axis=0))


@dataclass(frozen=True)
class GMeanProbs(Fixed):
    """The geometric mean over views of p."""

    kind: ClassVar[str] = "gmean_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log_softmax(1/V * sum over views of l): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(log_softmax(logits).mean(axis=0))


@dataclass(frozen=True)
class HMeanProbs(Fixed):
    """The harmonic mean over views of p: a class needs every view."""

    kind: ClassVar[str] = "hmean_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log of V / (sum over views of 1/p), normalised: logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(_log_power_mean(log_softmax(logits), -1.0))


@dataclass(frozen=True)
class PowerMeanProbs(Fixed):
    """The power mean over views of p: (mean p^t)^(1/t), with t between hmean (-1), gmean (near 0), mean (1) and max.

    Attributes:
        power: t, not zero.
    """

    kind: ClassVar[str] = "power_mean_probs"
    power: Annotated[float, Range(-100, 100)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.power == 0:
            raise ValueError("power must not be zero; the limit at zero is gmean_probs")

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log of (mean p^t)^(1/t), normalised: logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(_log_power_mean(log_softmax(logits), self.power))


@dataclass(frozen=True)
class LogOddsProbs(Fixed):
    """The mean over views of the log-odds log(p / (1 - p)), mapped back by the logistic function.

    1 - p of a view's most probable class is the sum over the other classes, so that no probability rounds to one and
    nothing has to be clipped.
    """

    kind: ClassVar[str] = "log_odds_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log of logistic(mean log-odds), normalised: logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(-np.logaddexp(0.0, -_log_odds(log_softmax(logits)).mean(axis=0)))


@dataclass(frozen=True)
class MaxProbs(Fixed):
    """The maximum over views of p: the most confident view, class by class."""

    kind: ClassVar[str] = "max_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log_softmax(max over views of l): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(log_softmax(logits).max(axis=0))


@dataclass(frozen=True)
class MaxLogits(Fixed):
    """The maximum over views of z, class by class.

    The one fixed aggregation that changes when a number is added to all logits of a view.
    """

    kind: ClassVar[str] = "max_logits"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log_softmax(max over views of z): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(np.asarray(logits).max(axis=0))


@dataclass(frozen=True)
class MinProbs(Fixed):
    """The minimum over views of p: the most doubtful view, class by class."""

    kind: ClassVar[str] = "min_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log_softmax(min over views of l): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return log_softmax(log_softmax(logits).min(axis=0))


@dataclass(frozen=True)
class MedianProbs(Fixed):
    """The median over views of p, class by class; the mean of the two middle ones for an even number of views."""

    kind: ClassVar[str] = "median_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log of median p, normalised: logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return _trimmed_mean(logits, (len(logits) - 1) // 2)


@dataclass(frozen=True)
class TrimmedMeanProbs(Fixed):
    """The mean over views of p without the lowest and the highest of them, class by class.

    Attributes:
        fraction: floor(fraction * V) views are left out at each end.
    """

    kind: ClassVar[str] = "trimmed_mean_probs"
    fraction: Annotated[float, Range(0, 0.5, open_high=True)]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log of the trimmed mean of p, normalised: logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return _trimmed_mean(logits, self.cut(len(logits)))

    def cut(self, views: int) -> int:
        """How many of so many views are left out at each end."""
        # 0.29 * 100 is a little less than 29 in floating point.
        return min(int(self.fraction * views + 1e-9), (views - 1) // 2)


def log_mean(log_probs: np.ndarray) -> np.ndarray:
    """log(mean over views of p), from log-probabilities `[V, n, C]` to `[n, C]` float64."""
    mean: np.ndarray = logsumexp(log_probs, axis=0)[0] - np.log(len(log_probs))
    return mean


def _trimmed_mean(logits: np.ndarray, cut: int) -> np.ndarray:
    ordered = np.sort(log_softmax(logits), axis=0)
    return log_softmax(log_mean(ordered[cut : len(ordered) - cut]))


def _log_power_mean(log_probs: np.ndarray, power: float) -> np.ndarray:
    """log((mean over views of p^t)^(1/t)), `[V, n, C]` to `[n, C]`; exact also where t is close to zero."""
    largest = log_probs.max(axis=0) if power > 0 else log_probs.min(axis=0)  # the view that is largest in p^t
    powers = np.expm1(power * (log_probs - largest))
    mean: np.ndarray = largest + np.log1p(powers.mean(axis=0)) / power
    return mean


def _log_odds(log_probs: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of log-probabilities `[..., C]`, which is finite for two classes and more."""
    top = log_probs.argmax(axis=-1)[..., None]
    others = log_probs.copy()
    np.put_along_axis(others, top, -np.inf, axis=-1)
    log_rest = np.log1p(-np.exp(others))  # probabilities of at most a half
    np.put_along_axis(log_rest, top, logsumexp(others, axis=-1), axis=-1)
    odds: np.ndarray = log_probs - log_rest
    return odds
