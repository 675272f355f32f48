"""Temperature scaling: one number that makes probabilities sharper (T < 1) or softer (T > 1).

The distribution becomes softmax(log_probs / T), which leaves the order of the classes as it was.
Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks".
The temperature is fitted after the aggregation, on another split than the one that is reported.
"""

from collections.abc import Callable, Iterator

import numpy as np

from harness.logspace import log_softmax

T_MIN, T_MAX = 0.01, 100.0
"""Where labels are noise, the best T is infinite; where nearly all are predicted with ease, it is small."""

_BLOCK = 1 << 18  # numbers that are worked on at once: blocks that stay in the processor's cache


def fit_temperature(log_probs: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in [T_MIN, T_MAX] that minimises the mean NLL of softmax(log_probs / T).

    The NLL is convex in b = 1/T, with slope mean(E_softmax(b * l)[l] - l[label]): its only root is found by bisection
    with interpolation (Brent) on log b, and is T_MAX or T_MIN where the slope has one sign over the whole range.

    Where every label is the one largest probability there is no optimum but T = 0, whatever the probabilities: so few
    examples say nothing of how certain to be, and the temperature is 1.

    Args:
        log_probs: `[N, C]` float64, finite.
        labels: `[N]` int64 in [0, C).
    """
    from scipy.optimize import brentq

    if _separable(log_probs, labels):
        return 1.0
    of_label = _mean_below_largest(log_probs, labels)

    def slope(log_b: float) -> float:
        return _mean_expectation(log_probs, float(np.exp(log_b))) - of_label

    softest, sharpest = -float(np.log(T_MAX)), -float(np.log(T_MIN))
    if slope(softest) >= 0:
        return T_MAX
    if slope(sharpest) <= 0:
        return T_MIN
    return float(np.exp(-brentq(slope, softest, sharpest, xtol=1e-10, rtol=1e-12)))


def _separable(log_probs: np.ndarray, labels: np.ndarray) -> bool:
    return all(
        bool(((rows >= np.take_along_axis(rows, labels[part, None], axis=1)).sum(axis=1) == 1).all())
        for part, rows in _blocks(log_probs)
    )


def _mean_below_largest(log_probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean over examples of the label's log-probability minus the largest one."""
    of_label = np.take_along_axis(log_probs, labels[:, None], axis=1)[:, 0]
    return float((of_label - log_probs.max(axis=1)).mean())


def _mean_expectation(log_probs: np.ndarray, b: float) -> float:
    """Mean over examples of E[l - largest l] under softmax(b * l)."""
    total = 0.0
    for _, rows in _blocks(log_probs):
        below_largest = rows - rows.max(axis=1, keepdims=True)
        weights = np.exp(b * below_largest)
        total += float((np.einsum("nc,nc->n", weights, below_largest) / weights.sum(axis=1)).sum())
    return total / len(log_probs)


def _blocks(array: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of `array [N, C]` in order, as (which, views of them)."""
    rows = max(1, _BLOCK // array.shape[1])
    for start in range(0, len(array), rows):
        part = slice(start, min(start + rows, len(array)))
        yield part, array[part]


Derivatives = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Which of P policies `[p]` int64, and their b = 1/T `[p]`, to the mean NLL and its two derivatives in b, `[3, p]`."""


def newton_temperatures(mean_derivatives: Derivatives, *, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The temperatures in [T_MIN, T_MAX] that minimise the mean NLL of P policies, found for all of them at once.

    Newton's method in b = 1/T, where the NLL is convex. Each b stays between those already seen on either side of the
    optimum, and changes at most fourfold in a step. A policy is done when its step is below one part in 10,000; the
    error left is of the order of that squared.

    Args:
        mean_derivatives: asked for the policies that are not done yet, each time over all examples.
        start: `[P]` float64, temperatures to start from.

    Returns:
        The temperatures `[P]` and the mean NLL there `[P]`, float64.
    """
    b = np.clip(1 / start, 1 / T_MAX, 1 / T_MIN)
    below, above = np.zeros(len(b)), np.full(len(b), np.inf)
    nll, left = np.empty(len(b)), np.arange(len(b))
    while len(left):
        now = b[left]
        value, slope, curvature = mean_derivatives(left, now)
        below[left] = np.where(slope < 0, now, below[left])
        above[left] = np.where(slope < 0, above[left], now)
        b[left] = _next(now, slope, curvature, below=below[left], above=above[left])
        step = b[left] - now
        nll[left] = value + step * (slope + step * curvature / 2)
        left = left[np.abs(step) > 1e-4 * now]
    return 1 / b, nll


def _next(
    now: np.ndarray, slope: np.ndarray, curvature: np.ndarray, *, below: np.ndarray, above: np.ndarray
) -> np.ndarray:
    """The next b `[p]`: Newton's, or half-way (in log b) between the b seen on either side where that leads astray."""
    with np.errstate(divide="ignore", invalid="ignore"):
        newton = np.where(slope == 0, now, now - slope / curvature)
    # A slope of nothing at all says that the NLL is flat: as soft as may be, as where it never stops falling.
    newton = np.where((slope == 0) & (curvature == 0), 0.0, newton)
    ends = np.clip(np.clip(newton, now / 4, now * 4), 1 / T_MAX, 1 / T_MIN)
    inside = ((ends > below) & (ends < above)) | (ends == now)
    with np.errstate(invalid="ignore"):
        middle = np.sqrt(np.maximum(below, 1 / T_MAX) * np.minimum(above, 1 / T_MIN))
    found: np.ndarray = np.where(inside, ends, middle)
    return found


def apply_temperature(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities `[N, C]` float64 of softmax(log_probs / T).

    Raises:
        ValueError: for a temperature that is not above zero.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature is above zero, got {temperature}")
    return log_softmax(log_probs / temperature)


def calibrated_nll(log_probs: np.ndarray, labels: np.ndarray, *, temperature: float) -> np.ndarray:
    """NLL of each example `[N]` float64, in nats, of softmax(log_probs / T); holds no second `[N, C]` array."""
    return calibrated_scores(log_probs, labels, temperature=temperature)[0]


def calibrated_scores(
    log_probs: np.ndarray, labels: np.ndarray, *, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """NLL in nats and confidence of each example, each `[N]` float64, of softmax(log_probs / T).

    Confidence is the largest probability. Holds no second `[N, C]` array.
    """
    nll, confidence = np.empty(len(labels)), np.empty(len(labels))
    for part, rows in _blocks(log_probs):
        scaled = apply_temperature(rows, temperature)
        nll[part] = -np.take_along_axis(scaled, labels[part, None], axis=1)[:, 0]
        confidence[part] = np.exp(scaled.max(axis=1))
    return np.maximum(nll, 0.0), confidence
