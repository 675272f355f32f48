"""ClassTTA: one learned weight a view and class, over logits; and the published choice between it and AugTTA."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from harness.logspace import log_softmax
from harness.parameters import Range
from harness.policies import augtta
from harness.policies.augtta import AugTTA
from harness.policies.base import Aggregation, Fitted
from harness.policies.logit_weights import DECAY, Method, blocks_of, mean_nll, published_descent
from harness.policies.logits import ViewLogits

EPOCHS = 30
FEW = 20
"""Fit examples for each weight below which the weights are held near AugTTA's."""
SLOPE_TOLERANCE = 1e-6
"""`converged` ends where no free weight's slope, in nats, is above this."""


@dataclass(frozen=True)
class ClassWeights(Fitted):
    """log_softmax over classes c of sum over views v of w_vc z_vc.

    Attributes:
        weights: V rows of C numbers, which need not sum to one; a view of weights zero costs no forward pass.
    """

    weights: tuple[tuple[float, ...], ...]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        return log_softmax((np.array(self.weights)[:, None, :] * np.asarray(logits, np.float64)).sum(axis=0))

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """The number of views with a weight that is not zero, at least one, `[n]` int64."""
        return np.full(logits.shape[1], max(1, sum(any(row) for row in self.weights)), np.int64)

    def parameters(self) -> Mapping[str, Any]:
        """The weights, a row a view, and their space."""
        return {"space": "logits", "weights": [list(row) for row in self.weights]}


@dataclass(frozen=True)
class ClassTTA(Aggregation):
    """The weights `[V, C]`, none negative and not normalised, that minimise the NLL of log_softmax_c(sum of w z).

    Shanmugam, Blalock, Balakrishnan and Guttag (2021), "Better Aggregation in Test-Time Augmentation".

    `converged` minimises what the published descent descends, mean NLL + 1e-4 / 2 |w|^2 for w >= 0. Where there are
    fewer than 20 V C examples, V^2 / (2 N) |w - w_AugTTA|^2 is added: the normal prior around AugTTA's weights whose
    standard deviation is an equal weight 1 / V. (N times the mean NLL is the log-likelihood, hence V^2 / N.)

    Attributes:
        method: `converged` solves that convex problem; `published` is the paper's code: 30 epochs of SGD from equal
            weights (learning rate .01, momentum .9, weight decay 1e-4, batches of 1,000 in file order, cut at zero).
    """

    kind: ClassVar[str] = "classtta"
    learns: ClassVar[bool] = True
    method: Method = "converged"

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> ClassWeights:
        """The weights for `logits` [V, N, C] and `labels [N]`."""
        weights = (converged if self.method == "converged" else published)(logits, labels)
        return ClassWeights(tuple(tuple(map(float, row)) for row in weights))


def converged(logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """The weights `[V, C]` float64 of the least penalised NLL, by L-BFGS-B."""
    from scipy.optimize import minimize

    views, _, classes = logits.shape
    blocks = blocks_of(logits, labels)
    shared = augtta.converged(blocks, views=views, classes=classes)
    near = np.repeat(shared[:, None], classes, axis=1)
    pull = guard(logits.shape)

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(views, classes)
        value, slope = mean_nll(blocks, weights)
        away = weights - near
        value += DECAY / 2 * float((weights**2).sum()) + pull / 2 * float((away**2).sum())
        return value, (slope + DECAY * weights + pull * away).ravel()

    options = {"maxiter": 5000, "maxfun": 10000, "maxcor": 30, "ftol": 0.0, "gtol": SLOPE_TOLERANCE}
    bounds = [(0.0, None)] * near.size
    found = minimize(value_and_slope, near.ravel(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x).reshape(views, classes)


def guard(shape: tuple[int, int, int]) -> float:
    """The strength of the pull towards AugTTA's weights for logits of this shape (V, N, C); zero from 20 V C on."""
    views, examples, classes = shape
    return views**2 / examples if examples < FEW * views * classes else 0.0


def published(logits: ViewLogits, labels: np.ndarray, *, epochs: int = EPOCHS) -> np.ndarray:
    """The weights `[V, C]` float64 of the published descent after so many epochs."""
    views, _, classes = logits.shape
    start = np.full((views, classes), 1 / views)
    return published_descent(
        logits, labels, start=start, slope=lambda batch, theta: mean_nll(batch, theta)[1], epochs=epochs
    )


@dataclass(frozen=True)
class Chosen(Fitted):
    """The better of AugTTA and ClassTTA.

    Attributes:
        kept: which it is.
        fitted: what it learned.
        accuracies: of AugTTA and ClassTTA on the held-out fifth, in [0, 1].
    """

    kept: str
    fitted: Fitted
    accuracies: tuple[float, float]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        return self.fitted(logits)

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """Those of what was kept."""
        return self.fitted.passes(logits)

    def parameters(self) -> Mapping[str, Any]:
        """Which was kept, the two accuracies on the held-out fifth, and what was learned."""
        accuracies = dict(zip(("augtta", "classtta"), self.accuracies, strict=True))
        return {"kept": self.kept, "held_out_accuracy": accuracies, **self.fitted.parameters()}


@dataclass(frozen=True)
class AugOrClassTTA(Aggregation):
    """Both fitted on four fifths; ClassTTA is kept where its accuracy on the held-out fifth is higher.

    The published rule ("ours" in the paper's code): ties go to AugTTA, and the one kept is not fitted again on all.
    Shanmugam, Blalock, Balakrishnan and Guttag (2021), "Better Aggregation in Test-Time Augmentation".

    Attributes:
        method: how both are fitted.
        seed: which fifth is held out.
    """

    kind: ClassVar[str] = "augtta_or_classtta"
    learns: ClassVar[bool] = True
    method: Method = "converged"
    seed: Annotated[int, Range(0)] = 0

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> Chosen:
        """The better one for `logits` [V, N, C] and `labels [N]`."""
        held = held_out(labels, seed=self.seed)
        train, rest = logits.take(np.flatnonzero(~held)), logits.take(np.flatnonzero(held))
        either = [way.fit(train, labels[~held]) for way in (AugTTA(self.method), ClassTTA(self.method))]
        by_aug, by_class = (_accuracy(fitted, rest, labels[held]) for fitted in either)
        better = by_class > by_aug
        return Chosen("classtta" if better else "augtta", either[better], (by_aug, by_class))


def held_out(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """`[N]` bool: a fifth of the examples, rounded down, drawn with every class in its share."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held = np.zeros(len(labels), bool)
    held[by_class[4::5]] = True
    return held


def _accuracy(fitted: Fitted, logits: ViewLogits, labels: np.ndarray) -> float:
    right = sum(int((fitted(block).argmax(axis=1) == labels[where]).sum()) for where, block in logits.blocks())
    return right / max(1, len(labels))
