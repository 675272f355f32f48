"""Convex problems over weights that are not negative and sum to one (the simplex), solved to a certified gap."""

from collections.abc import Callable

import numpy as np

ROUNDING = 1e-12
"""Multipliers and weights that lie this far on the wrong side of zero, against the largest, are zero."""


def quadratic_minimum(matrix: np.ndarray, slope: np.ndarray, *, start: np.ndarray) -> np.ndarray:
    """The weights `[V]` on the simplex that minimise w' matrix w / 2 + slope' w, by a primal active set.

    Weights enter one at a time, by the most negative multiplier, and leave where they reach zero (Lawson and Hanson
    1974 for least squares; Nocedal and Wright 2006, section 16.5).

    Args:
        matrix: `[V, V]` float64, symmetric and positive definite.
        slope: `[V]` float64.
        start: `[V]` float64, weights on the simplex.
    """
    weights, free = start.copy(), start > 0
    for _ in range(20 * len(start) + 20):
        wanted, level = _without_bounds(matrix, slope, free)
        leaving = free & (wanted < -ROUNDING * np.abs(wanted).max())
        if leaving.any():
            share = weights[leaving] / (weights[leaving] - wanted[leaving])
            weights = np.maximum(weights + share.min() * (wanted - weights), 0.0)
            weights[np.flatnonzero(leaving)[share.argmin()]] = 0.0
            free &= weights > 0
            continue
        weights = np.maximum(wanted, 0.0)
        multipliers = np.where(free, 0.0, matrix @ weights + slope - level)
        if multipliers.min() >= -ROUNDING * max(1.0, np.abs(slope).max(), np.abs(matrix).max()):
            break
        free[multipliers.argmin()] = True
    return np.asarray(weights / weights.sum())


def _without_bounds(matrix: np.ndarray, slope: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, float]:
    """The minimum `[V]` where the free weights sum to one and may be negative, and their common slope there."""
    places = np.flatnonzero(free)
    both = np.linalg.solve(matrix[np.ix_(places, places)], np.stack([np.ones(len(places)), slope[places]], axis=1))
    level = (1.0 + both[:, 1].sum()) / both[:, 0].sum()
    wanted = np.zeros(len(free))
    wanted[places] = level * both[:, 0] - both[:, 1]
    return wanted, float(level)


def gap(weights: np.ndarray, slope: np.ndarray) -> float:
    """How far above its minimum over the simplex a convex function lies at most: weights'slope - min(slope) >= 0.

    Frank and Wolfe (1956). Weights and the function's slope there are `[V]` float64.
    """
    return float(weights @ (slope - slope.min()))


def newton_minimum(
    value_and_slope: Callable[[np.ndarray], tuple[float, np.ndarray]],
    curvature: Callable[[np.ndarray], np.ndarray],
    *,
    start: np.ndarray,
    tolerance: float,
    steps: int = 200,
) -> np.ndarray:
    """The weights `[V]` on the simplex that minimise a smooth convex function.

    Each step goes towards the minimum of the quadratic model, and is halved until it descends (Armijo). It ends where
    `gap` is at most tolerance * max(1, |value|), or where rounding leaves nothing to gain.

    Args:
        value_and_slope: weights to the function's value and its slope `[V]`.
        curvature: weights to its second derivatives `[V, V]`, positive semi-definite.
        start: `[V]` float64 on the simplex.
        tolerance: the largest gap, relative to the value where that is above one.
        steps: the most steps.
    """
    weights = start
    value, slope = value_and_slope(weights)
    for _ in range(steps):
        if gap(weights, slope) <= tolerance * max(1.0, abs(value)):
            break
        towards = _model_minimum(curvature(weights), slope, weights) - weights
        for share in 0.5 ** np.arange(40):
            tried = weights + share * towards
            new_value, new_slope = value_and_slope(tried)
            enough = new_value < min(value, value + 1e-4 * share * (slope @ towards))
            # Near the minimum the value's rounding hides a step that the slopes still show to be a good one.
            level = new_value <= value + 1e-14 * abs(value)
            if enough or (level and gap(tried, new_slope) < gap(weights, slope) / 2):
                break
        else:
            break
        weights, value, slope = tried, new_value, new_slope
    return weights


def _model_minimum(matrix: np.ndarray, slope: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The minimum over the simplex of the quadratic model at `weights`, its curvature lifted just above zero.

    Only differences of slopes matter on the simplex, so the smallest is taken off.
    """
    slope = slope - slope.min()
    size = max(float(np.trace(matrix)) / len(matrix), float(slope.max()), np.finfo(float).tiny)
    lifted = matrix / size + 1e-8 * np.eye(len(matrix))
    return quadratic_minimum(lifted, slope / size - lifted @ weights, start=weights)
