"""The vote: every view counts once, however sure it is. p are a view's probabilities."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.logspace import log_softmax
from harness.policies.base import Fixed
from harness.policies.fixed import log_mean


@dataclass(frozen=True)
class Vote(Fixed):
    """One vote a view for its largest logit, and one vote more that is shared out by the mean of p.

    (votes + mean p) / (V + 1). A view votes for the first class where logits are equal. As no class gets more than the
    one shared vote, the winner is always a class with the most votes, and among equals the higher mean probability
    decides. The shared vote also keeps classes without votes above zero, and so the negative log-likelihood finite.
    """

    kind: ClassVar[str] = "vote"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log((votes + mean p) / (V + 1)): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return shared_out(count_votes(np.argmax(logits, axis=-1), logits.shape[2]), log_mean(log_softmax(logits)))


def count_votes(winners: np.ndarray, classes: int) -> np.ndarray:
    """Votes `[n, C]` int64 for each class, from the classes `[V, n]` that views vote for."""
    votes: np.ndarray = (winners[..., None] == np.arange(classes)).sum(axis=0)
    return votes


def shared_out(votes: np.ndarray, log_probs: np.ndarray) -> np.ndarray:
    """log((votes + p) / (all votes + 1)): votes `[n, C]` and one more that is shared out by log-probs `[n, C]`."""
    with np.errstate(divide="ignore"):
        log_votes = np.log(votes.astype(np.float64))
    shared: np.ndarray = np.logaddexp(log_votes, log_probs) - np.log(votes.sum(axis=-1, keepdims=True) + 1)
    return shared
