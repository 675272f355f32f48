"""Loss-ridge: a ridge regression says from the plain view which views will serve this example best."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from harness.logspace import log_softmax, logsumexp
from harness.parameters import Range
from harness.policies.base import Aggregation, Fitted
from harness.policies.log_features import floored_log_probs
from harness.policies.logits import ViewLogits

VALUES = 1 << 20  # logits in a block
RIDGE = 1.0
"""The penalty on coefficients of standardised features, beside the sum of squared errors."""


@dataclass(frozen=True, eq=False)
class LossRidgeFit(Fitted):
    """The mean of probabilities over the k views of least predicted NLL, chosen for each example by its plain view.

    Attributes:
        k: views that are averaged.
        coefficients: `[C + 1, V]` float64, of the plain view's log-probabilities (at least log 1e-12) and entropy.
        intercept: `[V]` float64.
    """

    k: int
    coefficients: np.ndarray
    intercept: np.ndarray

    def __post_init__(self) -> None:
        self.coefficients.setflags(write=False)
        self.intercept.setflags(write=False)

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        chosen = self.chosen(logits)
        log_probs = log_softmax(np.take_along_axis(logits, chosen.T[:, :, None], axis=0))
        return log_softmax(logsumexp(log_probs, axis=0)[0])

    def chosen(self, logits: np.ndarray) -> np.ndarray:
        """The views `[n, k]` int64 of each example in increasing order, chosen by the first view's logits alone."""
        # A product for each example, so that the rounding of one does not depend on how many there are.
        predicted = (plain_features(logits[0])[:, None, :] @ self.coefficients)[:, 0] + self.intercept
        return np.asarray(np.sort(np.argsort(predicted, axis=1, kind="stable")[:, : self.k], axis=1))

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """1 + k, or k where the plain view is among those chosen, `[n]` int64."""
        return np.asarray(self.k + (self.chosen(logits)[:, 0] != 0), np.int64)

    def parameters(self) -> Mapping[str, Any]:
        """k, coefficients (a row a feature) and intercept of the predicted NLL of each view."""
        return {"k": self.k, "coefficients": self.coefficients.tolist(), "intercept": self.intercept.tolist()}


@dataclass(frozen=True)
class LossRidge(Aggregation):
    """The mean of probabilities over the k views of least predicted NLL, predicted by ridge regression.

    Its features are the plain view's log-probabilities and entropy: a stand-in, from stored logits, for the loss
    predictor of Kim, Kim and Kim (2020), "Learning Loss for Test-Time Augmentation", which sees the image. NLL is
    counted up to -log 1e-12; the penalty is 1 on standardised features.

    Attributes:
        k: views that are averaged; at most all of them.
    """

    kind: ClassVar[str] = "loss_ridge"
    learns: ClassVar[bool] = True
    anchored: ClassVar[bool] = True
    k: Annotated[int, Range(1)] = 2

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> LossRidgeFit:
        """The regression on `logits` [V, N, C] and `labels [N]`."""
        coefficients, intercept = ridge(logits, labels)
        return LossRidgeFit(min(self.k, len(logits)), coefficients, intercept)


def plain_features(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities, at least log 1e-12, and entropy in nats, `[n, C + 1]` float64, of logits `[n, C]`."""
    log_probs = log_softmax(logits)
    entropy = -(np.exp(log_probs) * log_probs).sum(axis=1, keepdims=True)
    return np.concatenate([floored_log_probs(logits), entropy], axis=1)


def ridge(logits: ViewLogits, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients `[C + 1, V]` and intercept `[V]` of the views' NLL on the plain view's features, blockwise.

    The features are standardised before the penalty counts; one that hardly varies is left out.
    """
    views, examples, classes = logits.shape
    centre, middle = np.zeros(classes + 1), np.zeros(views)
    for inputs, losses in _pairs(logits, labels):
        centre += inputs.sum(axis=0) / examples
        middle += losses.sum(axis=0) / examples
    gram, cross = np.zeros((classes + 1, classes + 1)), np.zeros((classes + 1, views))
    for inputs, losses in _pairs(logits, labels):
        gram += (inputs - centre).T @ (inputs - centre)
        cross += (inputs - centre).T @ (losses - middle)
    spread = np.sqrt(np.diagonal(gram) / examples)
    per_spread = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    standard = gram * per_spread * per_spread[:, None] + RIDGE * np.eye(classes + 1)
    coefficients = per_spread[:, None] * np.linalg.solve(standard, per_spread[:, None] * cross)
    return coefficients, middle - centre @ coefficients


def _pairs(logits: ViewLogits, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features `[n, C + 1]` and the views' NLL `[n, V]`, block by block."""
    for where, block in logits.blocks(values=VALUES):
        of_label = np.take_along_axis(floored_log_probs(block), labels[where][None, :, None], axis=2)[:, :, 0]
        yield plain_features(block[0]), -of_label.T
