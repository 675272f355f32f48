"""Aggregations that listen to the views that are sure: by weights from their entropy, or by leaving the others out.

H is the entropy in nats of a view's probabilities p for one example, C the number of classes. Nothing is learned, and
the views of an example are compared with each other alone.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.logspace import log_softmax, logsumexp
from harness.parameters import Range
from harness.policies.base import Fixed
from harness.policies.fixed import log_mean
from harness.policies.votes import count_votes, shared_out


@dataclass(frozen=True)
class EntropyWeightedProbs(Fixed):
    """The mean of p with a weight proportional to 1 - H / log C for each view and example.

    All views weigh the same where every weight is zero, that is where every view is uniform.
    """

    kind: ClassVar[str] = "entropy_weighted_probs"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log(sum over views of w p): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        log_probs = log_softmax(logits)
        certainty = np.maximum(math.log(logits.shape[2]) - entropy(log_probs), 0.0)
        certainty = np.where((certainty > 0).any(axis=0), certainty, 1.0)
        with np.errstate(divide="ignore"):
            return _weighted_mean(log_probs, np.log(certainty))


@dataclass(frozen=True)
class EntropySoftmaxProbs(Fixed):
    """The mean of p with a weight proportional to exp(-H / t) for each view and example.

    Attributes:
        t: in nats; a small one keeps the most certain view alone, a large one gives `mean_probs`.
    """

    kind: ClassVar[str] = "entropy_softmax_probs"
    t: Annotated[float, Range(1e-6)]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log(sum over views of w p): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        log_probs = log_softmax(logits)
        return _weighted_mean(log_probs, -entropy(log_probs) / self.t)


@dataclass(frozen=True)
class ConfidentVote(Fixed):
    """One vote for each of the views of lowest entropy, as ZERO does.

    The ceil(fraction * V) most certain views vote, at least one. Where classes have equally many votes, the next most
    certain view that is for one of them is admitted; where there is none, the mean p of the views that voted decides.
    As in `vote`, one more vote is shared out by that mean p: no class has probability zero, and the winner is always a
    class with the most votes. Views of one entropy count in the order in which they are given.

    Farina, Franchi, Iacca, Mancini and Ricci (2024), "Frustratingly easy test-time adaptation of vision-language
    models", whose code keeps floor(fraction * V) views.

    Attributes:
        fraction: the share of the views that vote.
    """

    kind: ClassVar[str] = "confident_vote"
    fraction: Annotated[float, Range(0, 1, open_low=True)] = 0.1

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log((votes + mean p) / (all votes + 1)): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        log_probs = log_softmax(logits)
        order = np.argsort(entropy(log_probs), axis=0, kind="stable")
        winners = np.take_along_axis(np.argmax(logits, axis=-1), order, axis=0)
        # 0.07 * 100 is a little more than 7 in floating point.
        kept = max(1, math.ceil(self.fraction * len(logits) - 1e-9))
        votes = count_votes(winners[:kept], logits.shape[2])
        votes += _tie_breaks(votes, winners[kept:])
        return shared_out(votes, log_mean(np.take_along_axis(log_probs, order[:kept, :, None], axis=0)))


def entropy(log_probs: np.ndarray) -> np.ndarray:
    """-sum over classes of p * l: entropy in nats of log-probabilities `[..., C]`, in [0, log C] up to rounding."""
    total: np.ndarray = -(np.exp(log_probs) * log_probs).sum(axis=-1)
    return total


def _weighted_mean(log_probs: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """Log-probabilities `[n, C]` of the mean with weights `[V, n]` that need not sum to one; minus infinity is none."""
    return log_softmax(logsumexp(log_probs + log_weights[..., None], axis=0)[0])


def _tie_breaks(votes: np.ndarray, further: np.ndarray) -> np.ndarray:
    """One vote `[n, C]` where votes `[n, C]` tie: of the first further view `[W, n]` for one of the tied classes."""
    tied = votes == votes.max(axis=1, keepdims=True)
    needed = tied.sum(axis=1) > 1
    breaks = np.zeros_like(votes)
    for winners in further:
        found = np.flatnonzero(needed & tied[np.arange(len(tied)), winners])
        breaks[found, winners[found]] = 1
        needed[found] = False
    return breaks
