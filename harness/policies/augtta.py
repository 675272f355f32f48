"""AugTTA: one learned weight a view, over logits."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.policies.base import Aggregation
from harness.policies.logit_weights import Blocks, Method, blocks_of, curvature, mean_nll, published_descent
from harness.policies.logits import ViewLogits
from harness.policies.simplex import newton_minimum
from harness.policies.weighted import WeightedMean

EPOCHS = 20
TOLERANCE = 1e-9
"""`converged` ends where the mean NLL is at most this many nats (or this share of it) above its minimum."""


@dataclass(frozen=True)
class AugTTA(Aggregation):
    """The weights over views, none negative and with sum one, that minimise the NLL of log_softmax(sum of w z).

    Shanmugam, Blalock, Balakrishnan and Guttag (2021), "Better Aggregation in Test-Time Augmentation".

    Attributes:
        method: `converged` solves the convex problem; `published` is the paper's code: 20 epochs of SGD from equal
            weights theta (learning rate .01, momentum .9, weight decay 1e-4, batches of 1,000 in file order, theta cut
            at zero), where w = theta / sum(theta). Its code computes an L1 penalty too, but does not add it.
    """

    kind: ClassVar[str] = "augtta"
    learns: ClassVar[bool] = True
    method: Method = "converged"

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> WeightedMean:
        """The weights for `logits` [V, N, C] and `labels [N]`."""
        if self.method == "published":
            weights = published(logits, labels)
        else:
            weights = converged(blocks_of(logits, labels), views=len(logits), classes=logits.shape[2])
        return WeightedMean("logits", tuple(map(float, weights / weights.sum())))


def converged(blocks: Blocks, *, views: int, classes: int) -> np.ndarray:
    """The weights `[V]` float64 of least mean NLL, on the simplex, within TOLERANCE."""

    def value_and_slope(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = mean_nll(blocks, _for_all_classes(weights, classes))
        return value, slope.sum(axis=1)

    def second(weights: np.ndarray) -> np.ndarray:
        return curvature(blocks, weights)

    return newton_minimum(value_and_slope, second, start=np.full(views, 1 / views), tolerance=TOLERANCE)


def published(logits: ViewLogits, labels: np.ndarray, *, epochs: int = EPOCHS) -> np.ndarray:
    """Theta `[V]` float64 of the published descent after so many epochs, before it is divided by its sum."""
    views, _, classes = logits.shape

    def slope(batch: Blocks, theta: np.ndarray) -> np.ndarray:
        weights = theta / theta.sum()
        found = mean_nll(batch, _for_all_classes(weights, classes))[1].sum(axis=1)
        return np.asarray((found - found @ weights) / theta.sum())

    return published_descent(logits, labels, start=np.full(views, 1 / views), slope=slope, epochs=epochs)


def _for_all_classes(weights: np.ndarray, classes: int) -> np.ndarray:
    return np.repeat(weights[:, None], classes, axis=1)
