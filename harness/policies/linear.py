"""Thousands of weighted means of the same views, evaluated together: blocked matrix products, memory bounded.

Letters: P policies, V views, N examples, C classes. Nothing of size P x N x C is ever held.
"""

from dataclasses import dataclass

import numpy as np

from harness.blas import one_thread
from harness.policies.logits import ViewLogits
from harness.policies.odds import Mixtures, chunks, exact_log_probs, nll
from harness.policies.weighted import Space, WeightedMean


@dataclass(frozen=True, eq=False)
class WeightedMeans:
    """P weighted means of the same V views, in one space.

    Attributes:
        space: `probs`, where weights are not negative, or `logits`.
        weights: `[P, V]` float64 whose rows sum to one.

    Raises:
        ValueError: for rows that do not sum to one within 1e-9, or negative weights over probabilities.
    """

    space: Space
    weights: np.ndarray

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, np.float64)
        if weights.ndim != 2 or not (np.abs(weights.sum(axis=1) - 1) <= 1e-9).all():
            raise ValueError("weights must be [P, V] with rows that sum to one")
        if self.space == "probs" and (weights < 0).any():
            raise ValueError("weights of probabilities must not be negative")
        object.__setattr__(self, "weights", weights)

    def __len__(self) -> int:
        return len(self.weights)

    def weights_of(self, which: np.ndarray, /) -> np.ndarray:
        """The weights `[p, V]` of the policies `which [p]`."""
        found: np.ndarray = self.weights[which]
        return found

    def mix(self, values: np.ndarray, which: np.ndarray, /) -> np.ndarray:
        """The weighted means `[C, p, n]` of the views' values `[C, V, n]`: one matrix product a class."""
        mixed: np.ndarray = np.matmul(self.weights[which].astype(values.dtype), values)
        return mixed

    def policy(self, place: int, /) -> WeightedMean:
        """One of them."""
        return WeightedMean(self.space, tuple(self.weights[place].tolist()))


@dataclass(frozen=True, eq=False)
class LinearScores:
    """What each policy says of each example.

    Attributes:
        correct: `[P, N]` bool, the class of the largest probability (the first where several are equal) is the label;
            equal to what `WeightedMean` says, ties included.
        nll: `[P, N]` float32, in nats, within 1e-5 (for logits, within 1e-5 of the largest difference of logits).
    """

    correct: np.ndarray
    nll: np.ndarray


@one_thread()
def score_linear(policies: Mixtures, logits: ViewLogits, *, labels: np.ndarray) -> LinearScores:
    """Whether each policy is right on each example of `logits` [V, N, C], and its NLL there.

    float32 matrix products decide wherever their rounding cannot matter; the few examples that are nearer to a tie are
    worked out in float64 by `WeightedMean` itself.

    Args:
        policies: P of them.
        logits: finite.
        labels: `[N]` int64 in [0, C).
    """
    ones = np.ones(len(policies))
    correct = np.empty((len(policies), logits.shape[1]), np.bool_)
    disputed, values = np.empty_like(correct), np.empty(correct.shape, np.float32)
    for some, block, odds in chunks(policies, logits, labels, which=np.arange(len(policies))):
        part = (slice(some[0], some[-1] + 1), block.rows)
        against = odds.max(axis=0)
        correct[part] = against < 0
        disputed[part] = np.abs(against) <= block.tolerance(policies, some)
        values[part] = nll(odds, ones[some])
    for place in np.flatnonzero(disputed.any(axis=1)).tolist():
        rows = np.flatnonzero(disputed[place])
        correct[place, rows] = exact_log_probs(policies, place, logits.take(rows)).argmax(axis=1) == labels[rows]
    return LinearScores(correct, values)


@one_thread()
def linear_nll(policies: Mixtures, logits: ViewLogits, *, labels: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """The NLL of each example `[P, N]` float32, in nats, after the `temperatures [P]`, each above zero.

    Rounding to float32 is far finer than what a resample of the examples moves.
    """
    values = np.empty((len(policies), logits.shape[1]), np.float32)
    for some, block, odds in chunks(policies, logits, labels, which=np.arange(len(policies))):
        values[some[0] : some[-1] + 1, block.rows] = nll(odds, 1 / temperatures[some])
    return values
