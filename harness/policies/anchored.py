"""Fixed aggregations that give the plain view a weight of its own."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.policies.base import Fixed
from harness.policies.weighted import Space, WeightedMean


@dataclass(frozen=True)
class AnchorProbs(Fixed):
    """beta * p of the plain view + (1 - beta) * mean of p over the others.

    With one view it is that view. The mixing step of fastai's `Learner.tta`, whose beta is 0.25.

    Attributes:
        beta: the plain view's weight; a view of weight zero costs no forward pass.
    """

    kind: ClassVar[str] = "anchor_probs"
    anchored: ClassVar[bool] = True
    beta: Annotated[float, Range(0, 1)]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log(beta * p0 + (1 - beta) * mean p): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return _mean("probs", self.beta, len(logits))(logits)

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The number of views whose weight is not zero, `[n]` int64."""
        return _mean("probs", self.beta, len(logits)).passes(logits)


@dataclass(frozen=True)
class AnchorLogits(Fixed):
    """beta * z of the plain view + (1 - beta) * mean of z over the others.

    With one view it is that view.

    Attributes:
        beta: the plain view's weight; a view of weight zero costs no forward pass.
    """

    kind: ClassVar[str] = "anchor_logits"
    anchored: ClassVar[bool] = True
    beta: Annotated[float, Range(0, 1)]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """log_softmax(beta * z0 + (1 - beta) * mean z): logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return _mean("logits", self.beta, len(logits))(logits)

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The number of views whose weight is not zero, `[n]` int64."""
        return _mean("logits", self.beta, len(logits)).passes(logits)


def _mean(space: Space, beta: float, views: int) -> WeightedMean:
    others = views - 1
    return WeightedMean(space, (beta, *[(1 - beta) / others] * others) if others else (1.0,))
