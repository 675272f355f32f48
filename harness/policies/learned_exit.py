"""Early exit with the order of the views and the confidence learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.logspace import log_softmax
from harness.policies.adaptive import EarlyExit, first_exit, running_confidence
from harness.policies.base import Aggregation, Fitted, Fixed
from harness.policies.fixed import MeanProbs
from harness.policies.logits import ViewLogits

LEVELS = 200  # confidences that are tried: as many quantiles of what occurs


@dataclass(frozen=True)
class LearnedEarlyExit(Aggregation):
    """Early exit whose order of views and confidence are learned: the cheapest that is no worse than all views.

    The order is greedy: the plain view, then always the one that gives the lowest NLL of the mean of p so far. The
    confidence is the lowest, and so the cheapest, whose mean NLL exceeds that of all views by at most one standard
    error of the differences example by example. NLL is without a temperature.
    """

    kind: ClassVar[str] = "learned_early_exit"
    learns: ClassVar[bool] = True
    anchored: ClassVar[bool] = True

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> "FittedEarlyExit":
        """Order and confidence for `logits` [V, N, C] and `labels [N]`."""
        of_label = _log_prob_of_label(logits, labels)
        order = _greedy_order(of_label)
        confidence = np.concatenate([running_confidence(part) for _, part in logits.select(order).blocks()], axis=1)
        counts = np.arange(1, len(order) + 1)[:, None]
        running = np.logaddexp.accumulate(of_label[list(order)], axis=0) - np.log(counts)
        return FittedEarlyExit(order, _cheapest(confidence, running))


@dataclass(frozen=True)
class FittedEarlyExit(Fitted):
    """Early exit with the views in another order.

    Attributes:
        order: the views' places, the plain one's (zero) first.
        inner: what is done with the views in this order: `early_exit`, or `mean_probs` where no view may be left out.
    """

    order: tuple[int, ...]
    inner: Fixed

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        return self.inner(logits[list(self.order)])

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The views up to the first confident running mean, `[n]` int64 in 1..V."""
        return self.inner.passes(logits[list(self.order)])

    def parameters(self) -> Mapping[str, Any]:
        """The order, and the confidence, None where no view may be left out."""
        confidence = self.inner.confidence if isinstance(self.inner, EarlyExit) else None
        return {"order": list(self.order), "confidence": confidence}


def _log_prob_of_label(logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """`[V, N]` float64."""
    found = np.empty(logits.shape[:2])
    for rows, block in logits.blocks():
        found[:, rows] = np.take_along_axis(log_softmax(block), labels[None, rows, None], axis=2)[..., 0]
    return found


def _greedy_order(of_label: np.ndarray) -> tuple[int, ...]:
    """Places of all views: zero, then each time the best one to add; the first one where several are."""
    order, total = [0], of_label[0]
    left = list(range(1, len(of_label)))
    while left:
        scores = [float(np.logaddexp(total, of_label[place]).mean()) for place in left]
        order.append(left.pop(int(np.argmax(scores))))
        total = np.logaddexp(total, of_label[order[-1]])
    return tuple(order)


def _cheapest(confidence: np.ndarray, of_label: np.ndarray) -> Fixed:
    """The early exit of lowest confidence within one standard error of all views.

    `confidence [V, N]` is the largest probability of each running mean, `of_label [V, N]` its label's log-probability.
    """
    examples = np.arange(confidence.shape[1])
    tried = np.quantile(confidence, np.linspace(0, 1, LEVELS + 1))
    for level in np.unique(np.minimum(tried, np.nextafter(1.0, 0.0))):
        worse = of_label[-1] - of_label[first_exit(confidence >= level) - 1, examples]
        if worse.mean() <= _standard_error(worse):
            return EarlyExit(float(level))
    return MeanProbs()


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else 0.0
