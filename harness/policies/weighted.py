"""Weighted means of views: what most learned policies turn out to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.logspace import log_softmax, logsumexp
from harness.policies.base import Fitted

Space = Literal["probs", "logits"]


@dataclass(frozen=True)
class WeightedMean(Fitted):
    """One weight a view: log(sum over views of w p), or log_softmax(sum over views of w z).

    Attributes:
        space: `probs`, where weights are not negative, or `logits`.
        weights: V numbers that sum to one; a view of weight zero costs no forward pass.

    Raises:
        ValueError: for weights that do not sum to one within 1e-9, or negative ones over probabilities.
    """

    space: Space
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if abs(sum(self.weights) - 1) > 1e-9 or not np.isfinite(self.weights).all():
            raise ValueError(f"weights must sum to one, got {self.weights}")
        if self.space == "probs" and min(self.weights) < 0:
            raise ValueError(f"weights of probabilities must not be negative, got {self.weights}")

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        used = [place for place, weight in enumerate(self.weights) if weight != 0]
        weights = np.array([self.weights[place] for place in used])[:, None, None]
        if self.space == "probs":
            return log_softmax(logsumexp(log_softmax(logits[used]) + np.log(weights), axis=0)[0])
        return log_softmax((weights * np.asarray(logits[used], np.float64)).sum(axis=0))

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The number of views whose weight is not zero, `[n]` int64."""
        return np.full(logits.shape[1], sum(weight != 0 for weight in self.weights), np.int64)

    def parameters(self) -> Mapping[str, Any]:
        """The weights, in the order of the views, and their space."""
        return {"space": self.space, "weights": list(self.weights)}
