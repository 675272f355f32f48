"""Stacking: multinomial logistic regression on the log-probabilities of all views, a control for what is learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from harness.errors import ConfigError
from harness.logspace import log_softmax
from harness.parameters import Range
from harness.policies.base import Aggregation, Fitted
from harness.policies.log_features import floored_log_probs
from harness.policies.logits import ViewLogits

WIDEST = 5000  # beyond it the solver's matrices no longer fit in memory


@dataclass(frozen=True, eq=False)
class LogisticStack(Fitted):
    """log_softmax(intercept + x B), where x are the views' log-probabilities (at least log 1e-12), view after view.

    Attributes:
        coefficients: B `[V * C, C]` float64.
        intercept: `[C]` float64.
    """

    coefficients: np.ndarray
    intercept: np.ndarray

    def __post_init__(self) -> None:
        self.coefficients.setflags(write=False)
        self.intercept.setflags(write=False)

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        # A product for each example, so that the rounding of one does not depend on how many there are.
        return log_softmax((features(logits)[:, None, :] @ self.coefficients)[:, 0] + self.intercept)

    def parameters(self) -> Mapping[str, Any]:
        """Coefficients, a row for each view and class, and the intercept."""
        return {"coefficients": self.coefficients.tolist(), "intercept": self.intercept.tolist()}


@dataclass(frozen=True)
class Stacking(Aggregation):
    """Multinomial logistic regression from V * C log-probabilities to the label, with an L2 penalty.

    B minimises the sum of NLL + l2 / 2 |B|^2; the intercept is not penalised. V * C * C coefficients: where it beats
    a mean of views on few examples, be surprised. Wolpert (1992), "Stacked generalization"; as a cheap stand-in for
    the random forest of Cohen and Giryes (2021), "ARF".

    Attributes:
        l2: the penalty; 1 / C in the words of scikit-learn.
    """

    kind: ClassVar[str] = "stacking"
    learns: ClassVar[bool] = True
    l2: Annotated[float, Range(0, open_low=True)] = 1.0

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> LogisticStack:
        """The regression on `logits` [V, N, C], stacked in memory, and `labels [N]`.

        Raises:
            ConfigError: for more than 5,000 log-probabilities an example.
        """
        views, _, classes = logits.shape
        if views * classes > WIDEST:
            raise ConfigError(
                f"stacking takes up to {WIDEST} log-probabilities an example, got {views} views of {classes} classes: "
                "name fewer views, or another aggregation"
            )
        coefficients = logistic(features(logits.stacked()), labels, classes=classes, l2=self.l2)
        return LogisticStack(coefficients[1:], coefficients[0])


def features(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities `[n, V * C]` float64 of logits `[V, n, C]`, at least log 1e-12."""
    views, examples, classes = logits.shape
    return floored_log_probs(logits).transpose(1, 0, 2).reshape(examples, views * classes)


def logistic(inputs: np.ndarray, labels: np.ndarray, *, classes: int, l2: float) -> np.ndarray:
    """Intercept and coefficients `[1 + F, C]` float64 of the penalised regression on `inputs [N, F]`, by L-BFGS.

    It is solved along the inputs' principal axes, each scaled so that the curvature is about one, which takes tens of
    steps where the inputs as they are, so alike, take thousands. It ends where no slope there is above 1e-7 nats.
    """
    from scipy.optimize import minimize

    examples, width = inputs.shape
    centre, everyone, penalty = inputs.mean(axis=0), np.arange(examples), l2 / examples
    spreads, axes = np.linalg.eigh((inputs - centre).T @ (inputs - centre) / examples)
    shrink = 1 / np.sqrt(np.maximum(spreads, 0.0)[:, None] / 4 + penalty)
    turn = axes * shrink.T
    turned = (inputs - centre) @ turn

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        both = flat.reshape(1 + width, classes)
        log_probs = log_softmax(turned @ both[1:] + both[0])
        value = penalty / 2 * ((shrink * both[1:]) ** 2).sum() - log_probs[everyone, labels].mean()
        error = np.exp(log_probs) / examples
        error[everyone, labels] -= 1 / examples
        slope = np.concatenate([error.sum(axis=0)[None], turned.T @ error + penalty * shrink**2 * both[1:]])
        return float(value), slope.ravel()

    options = {"maxiter": 5000, "maxfun": 10000, "maxcor": 20, "ftol": 0.0, "gtol": 1e-7}
    start = np.zeros((1 + width) * classes)
    found = np.asarray(minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options=options).x)
    intercept, coefficients = found[:classes], turn @ found[classes:].reshape(width, classes)
    return np.concatenate([(intercept - centre @ coefficients)[None], coefficients])
