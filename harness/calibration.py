"""Temperature scaling: one number that makes probabilities sharper (T < 1) or softer (T > 1).

The distribution becomes softmax(log_probs / T), which leaves the order of the classes as it was.
Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks".
The temperature is fitted after the aggregation, on another split than the one that is reported.
"""

import numpy as np

from harness.policies.aggregation import log_softmax

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
    below_largest = log_probs - log_probs.max(axis=1, keepdims=True)
    of_label = float(np.take_along_axis(below_largest, labels[:, None], axis=1).mean())

    def slope(log_b: float) -> float:
        return _mean_expectation(below_largest, float(np.exp(log_b))) - of_label

    softest, sharpest = -float(np.log(T_MAX)), -float(np.log(T_MIN))
    if slope(softest) >= 0:
        return T_MAX
    if slope(sharpest) <= 0:
        return T_MIN
    return float(np.exp(-brentq(slope, softest, sharpest, xtol=1e-10, rtol=1e-12)))


def _separable(log_probs: np.ndarray, labels: np.ndarray) -> bool:
    of_label = np.take_along_axis(log_probs, labels[:, None], axis=1)
    return bool(((log_probs >= of_label).sum(axis=1) == 1).all())


def _mean_expectation(below_largest: np.ndarray, b: float) -> float:
    """Mean over examples of E[l] under softmax(b * l), for `[N, C]` values whose largest is zero in each row."""
    total = 0.0
    for rows in _blocks(below_largest):
        weights = np.exp(b * rows)
        total += float((np.einsum("nc,nc->n", weights, rows) / weights.sum(axis=1)).sum())
    return total / len(below_largest)


def _blocks(array: np.ndarray) -> list[np.ndarray]:
    """Views of `array [N, C]` that cover its rows in order."""
    rows = max(1, _BLOCK // array.shape[1])
    return [array[start : start + rows] for start in range(0, len(array), rows)]


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
    found = np.empty(len(labels))
    done = 0
    for rows in _blocks(log_probs):
        part = slice(done, done + len(rows))
        scaled = apply_temperature(rows, temperature)
        found[part] = -np.take_along_axis(scaled, labels[part, None], axis=1)[:, 0]
        done += len(rows)
    return np.maximum(found, 0.0)
