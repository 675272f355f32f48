"""M-ATTA and V-ATTA: the plain prediction mixed with learned views as far as its class stays the most probable one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np

from harness.errors import ConfigError
from harness.logspace import log_softmax
from harness.parameters import Range
from harness.policies.base import Aggregation, Fitted
from harness.policies.logits import ViewLogits

EPOCHS, BATCH, RATE, DECAY = 500, 500, 1e-3, 1e-5
"""The published descent: epochs, examples in a batch, Adam's learning rate, weight decay."""
STEP = 0.01
"""By how much omega is lowered, and below a tenth of which it is zero."""


@dataclass(frozen=True, eq=False)
class AnchoredMixture(Fitted):
    """log((1 - omega_n) p_plain + omega_n softmax_c(sum over the other views of W_cv z_vc)).

    omega_n is omega less the least multiple of .01 for which the most probable class is that of the plain view.

    Attributes:
        weights: W `[C, V - 1]` float64, for all views but the first.
        omega: in [0, 1].
    """

    weights: np.ndarray
    omega: float

    def __post_init__(self) -> None:
        self.weights.setflags(write=False)

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]` float64."""
        plain = log_softmax(logits[0])
        mixed = log_softmax((self.weights.T[:, None, :] * np.asarray(logits[1:], np.float64)).sum(axis=0))
        return anchored_mixture(plain, mixed, omega=self.omega)[0]

    def parameters(self) -> Mapping[str, Any]:
        """The weights, a row a class and a number for each view but the first, and omega."""
        return {"weights": self.weights.tolist(), "omega": self.omega}


def anchored_mixture(plain: np.ndarray, mixed: np.ndarray, *, omega: float) -> tuple[np.ndarray, np.ndarray]:
    """The mixture's log-probabilities `[n, C]` and each example's lowered omega `[n]`, both float64.

    Where nothing else keeps the class, omega is zero and the result is `plain` itself. (The paper's code stops there
    with the last mixture it tried, whose class is another one.)

    Args:
        plain: log-probabilities `[n, C]` float64.
        mixed: the same of the learned views.
        omega: in [0, 1], where lowering begins.
    """
    classes = plain.argmax(axis=1)
    lowered = np.full(len(plain), omega)
    log_probs = _mixture(plain, mixed, lowered)
    moved = np.flatnonzero(log_probs.argmax(axis=1) != classes)
    steps = _steps(np.exp(plain[moved]), np.exp(mixed[moved]), classes[moved], omega)
    while len(moved):
        down = omega - STEP * steps
        lowered[moved] = np.where(down < STEP / 10, 0.0, down)
        log_probs[moved] = _mixture(plain[moved], mixed[moved], lowered[moved])
        wrong = (log_probs[moved].argmax(axis=1) != classes[moved]) & (lowered[moved] > 0)
        moved, steps = moved[wrong], steps[wrong] + 1
    return log_probs, lowered


def _steps(plain: np.ndarray, mixed: np.ndarray, classes: np.ndarray, omega: float) -> np.ndarray:
    """How often omega is lowered for sure, `[n]`: one less than the formula says, because of rounding.

    The plain class a stays ahead of c while omega <= d / (d + g), d = p_a - p_c of the plain view, g = q_c - q_a.
    """
    at = classes[:, None]
    ahead = np.take_along_axis(plain, at, axis=1) - plain
    behind = np.maximum(mixed - np.take_along_axis(mixed, at, axis=1), 0.0)
    most = np.where(behind > 0, ahead / np.where(behind > 0, ahead + behind, 1.0), 1.0).min(axis=1)
    return np.asarray(np.maximum(np.ceil((omega - most) / STEP) - 1, 1.0))


def _mixture(plain: np.ndarray, mixed: np.ndarray, omega: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        mixture: np.ndarray = np.logaddexp(np.log1p(-omega)[:, None] + plain, np.log(omega)[:, None] + mixed)
    return mixture


@dataclass(frozen=True)
class _Published(Aggregation, Protocol):
    """The published fit; `by_class` says whether each class has weights of its own."""

    learns: ClassVar[bool] = True
    anchored: ClassVar[bool] = True
    by_class: ClassVar[bool]
    seed: Annotated[int, Range(0)] = 0

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> AnchoredMixture:
        """The mixture for `logits` [V, N, C], V >= 2, stacked in memory, and `labels [N]`.

        Raises:
            ConfigError: for a policy of one view.
        """
        views, examples, classes = logits.shape
        if views < 2:
            raise ConfigError(f"{self.kind} mixes identity with other views and got 1 view: name at least one more")
        rng = np.random.default_rng(self.seed)
        orders = (rng.permutation(examples) for _ in range(EPOCHS))
        weights, omega = published_descent(logits, labels, orders=orders, by_class=self.by_class)
        return AnchoredMixture(np.broadcast_to(weights, (classes, views - 1)).copy(), min(max(omega, 0.0), 1.0))


@dataclass(frozen=True)
class MATTA(_Published):
    """The plain view mixed with softmax_c(sum over other views of W_cv z_vc) so that its class stays on top.

    Conde, Barros, Lopes, Premebida and Nunes (2023), "Approaching Test Time Augmentation in the Context of Uncertainty
    Calibration for Deep Neural Networks". W starts at 1 / C and omega at 1; 500 epochs of Adam (learning rate .001,
    weight decay 1e-5, batches of 500, shuffled) on the NLL. Accuracy is the plain view's; only calibration moves.

    Attributes:
        seed: of the order in which examples are gone over.
    """

    kind: ClassVar[str] = "m_atta"
    by_class: ClassVar[bool] = True


@dataclass(frozen=True)
class VATTA(_Published):
    """M-ATTA with one weight a view for all classes.

    This is the model V_ATTA of the paper's code; its script V-ATTA.py is a copy of M-ATTA.py and fits that model.

    Attributes:
        seed: of the order in which examples are gone over.
    """

    kind: ClassVar[str] = "v_atta"
    by_class: ClassVar[bool] = False


def published_descent(
    logits: ViewLogits,
    labels: np.ndarray,
    *,
    orders: Iterable[np.ndarray],
    by_class: bool,
    batch: int = BATCH,
) -> tuple[np.ndarray, float]:
    """W, `[C, V - 1]` or `[1, V - 1]`, and omega (which may have gone out of [0, 1]), both float64, after all epochs.

    Args:
        logits: [V, N, C], the plain view first.
        labels: `[N]` int64.
        orders: for each epoch the examples `[N]` in the order they are gone over.
        by_class: True for a row of weights for each class, False for one row.
        batch: examples in a batch; the last one may be smaller.
    """
    views, _, classes = logits.shape
    stacked = logits.stacked()
    plain = log_softmax(stacked[0])
    others = np.ascontiguousarray(stacked[1:].transpose(1, 2, 0), np.float64)
    theta = np.append(np.full((classes if by_class else 1) * (views - 1), 1 / classes), 1.0)
    first, second, step = np.zeros(theta.shape), np.zeros(theta.shape), 0
    for order in orders:
        for rows in (order[start : start + batch] for start in range(0, len(order), batch)):
            slope = _slope(plain[rows], others[rows], labels[rows], theta) + DECAY * theta
            step += 1
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            # Adam: Kingma and Ba (2015).
            theta = theta - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return theta[:-1].reshape(-1, views - 1), float(theta[-1])


def _slope(plain: np.ndarray, others: np.ndarray, labels: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """The slope of the batch's mean NLL in W and omega, each example's lowering of omega held fixed."""
    weights, omega = theta[:-1].reshape(-1, others.shape[2]), min(max(float(theta[-1]), 0.0), 1.0)
    mixed = log_softmax(_scores(others, weights))
    log_probs, lowered = anchored_mixture(plain, mixed, omega=omega)
    at = (np.arange(len(labels)), labels)
    with np.errstate(divide="ignore"):
        share = np.exp(np.log(lowered) + mixed[at] - log_probs[at])
    error = share[:, None] * np.exp(mixed)
    error[at] -= share
    of_weights = _weights_slope(others, error, by_class=len(weights) > 1) / len(labels)
    # A certain mistake has a slope beyond all bounds; cut there it still fills Adam's step.
    ratio = np.exp(np.minimum(np.stack([plain[at], mixed[at]]) - log_probs[at], 50.0))
    moves = (lowered > 0) & (0 <= theta[-1] <= 1)  # omega is cut to [0, 1]: beyond it there is no slope
    return np.append(of_weights.ravel(), np.where(moves, ratio[0] - ratio[1], 0.0).mean())


def _scores(others: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if len(weights) == 1:
        return np.asarray(others @ weights[0])
    return np.asarray(np.einsum("ncv,cv->nc", others, weights))


def _weights_slope(others: np.ndarray, error: np.ndarray, *, by_class: bool) -> np.ndarray:
    if not by_class:
        return np.asarray(error.ravel() @ others.reshape(-1, others.shape[2]))
    return np.asarray(np.einsum("ncv,nc->cv", others, error))
