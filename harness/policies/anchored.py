"""Fixed aggregations that give the plain view a weight of its own."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.policies.base import Fixed
from harness.policies.weighted import Space, WeightedMean


@dataclass(frozen=True)
class _Anchored(Fixed):
    """What both share: the plain view's weight, and a weighted mean in the space of the subclass."""

    anchored: ClassVar[bool] = True
    space: ClassVar[Space]
    beta: Annotated[float, Range(0, 1)]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """The weighted mean: logits `[V, n, C]` to log-probabilities `[n, C]` float64."""
        return self.mean(len(logits))(logits)

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The number of views whose weight is not zero, `[n]` int64."""
        return self.mean(len(logits)).passes(logits)

    def mean(self, views: int) -> WeightedMean:
        """The weighted mean that it is for so many views."""
        others = views - 1
        return WeightedMean(self.space, (self.beta, *[(1 - self.beta) / others] * others) if others else (1.0,))


@dataclass(frozen=True)
class AnchorProbs(_Anchored):
    """beta * p of the plain view + (1 - beta) * mean of p over the others.

    With one view it is that view. The mixing step of fastai's `Learner.tta`, whose beta is 0.25.

    Attributes:
        beta: the plain view's weight; a view of weight zero costs no forward pass.
    """

    kind: ClassVar[str] = "anchor_probs"
    space: ClassVar[Space] = "probs"


@dataclass(frozen=True)
class AnchorLogits(_Anchored):
    """beta * z of the plain view + (1 - beta) * mean of z over the others.

    With one view it is that view.

    Attributes:
        beta: the plain view's weight; a view of weight zero costs no forward pass.
    """

    kind: ClassVar[str] = "anchor_logits"
    space: ClassVar[Space] = "logits"
