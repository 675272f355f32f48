"""Covariance weights: views weighted by how small, and how little correlated, their errors are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.logspace import log_softmax
from harness.policies.base import Aggregation, Fitted
from harness.policies.logits import ViewLogits
from harness.policies.simplex import quadratic_minimum
from harness.policies.weighted import WeightedMean

RIDGE = 1e-3
"""Added to the diagonal of the error matrix, as a share of its mean diagonal."""
FLOOR = 1e-12
"""The least probability that a mean with negative weights may give."""


@dataclass(frozen=True)
class SignedMean(Fitted):
    """log of max(sum over views of w p, 1e-12), normalised: a mean of probabilities whose weights may be negative.

    Attributes:
        weights: V numbers that sum to one; a view of weight zero costs no forward pass.
    """

    weights: tuple[float, ...]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        probs = np.exp(log_softmax(logits))
        return log_softmax(np.log(np.maximum((np.array(self.weights)[:, None, None] * probs).sum(axis=0), FLOOR)))

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The number of views whose weight is not zero, `[n]` int64."""
        return np.full(logits.shape[1], sum(weight != 0 for weight in self.weights), np.int64)

    def parameters(self) -> Mapping[str, Any]:
        """The weights, in the order of the views, and their space."""
        return {"space": "probs", "weights": list(self.weights)}


@dataclass(frozen=True)
class CovarianceWeights(Aggregation):
    """The weights with sum one under which the error of the weighted mean of probabilities has the least mean square.

    The error of view a on example n is e_na = 1 - p_a(label); G = mean over n of e_n e_n' + 1e-3 tr(G) / V identity;
    w minimises w' G w. Kimura (2021), "Understanding Test-Time Augmentation".

    Attributes:
        nonnegative: True for the least w' G w among weights that are not negative; False for all weights with sum one,
            G^-1 1 / (1' G^-1 1), of which some may be negative (a mean below 1e-12 is then cut there).
    """

    kind: ClassVar[str] = "covariance_weights"
    learns: ClassVar[bool] = True
    nonnegative: bool = True

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> WeightedMean | SignedMean:
        """The weights for `logits` [V, N, C] and `labels [N]`."""
        errors = view_errors(logits, labels)
        gram = errors @ errors.T / len(labels)
        found = least_square_weights(_with_ridge(gram), nonnegative=self.nonnegative)
        weights = tuple(map(float, found / found.sum()))
        return WeightedMean("probs", weights) if min(weights) >= 0 else SignedMean(weights)


def view_errors(logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """1 - p(label) of each view and example, `[V, N]` float64 in [0, 1]."""
    errors = np.empty(logits.shape[:2])
    for where, block in logits.blocks():
        of_label = np.take_along_axis(log_softmax(block), labels[where][None, :, None], axis=2)[:, :, 0]
        errors[:, where] = 1 - np.exp(of_label)
    return errors


def least_square_weights(matrix: np.ndarray, *, nonnegative: bool) -> np.ndarray:
    """The weights `[V]` float64 with sum one that minimise w' matrix w, for a positive definite matrix `[V, V]`."""
    views = len(matrix)
    if nonnegative:
        return quadratic_minimum(matrix, np.zeros(views), start=np.full(views, 1 / views))
    solved = np.linalg.solve(matrix, np.ones(views))
    return np.asarray(solved / solved.sum())


def _with_ridge(gram: np.ndarray) -> np.ndarray:
    """The matrix with its diagonal lifted; the identity matrix, so equal weights, where no view ever errs."""
    mean = float(np.trace(gram)) / len(gram)
    return np.asarray(gram + RIDGE * mean * np.eye(len(gram))) if mean > 0 else np.eye(len(gram))
