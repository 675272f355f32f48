"""Convex problems on the simplex: hand values, optimality conditions, SciPy as witness."""

import numpy as np
import pytest
from scipy.optimize import minimize

from harness.policies.simplex import gap, newton_minimum, quadratic_minimum


def equal(views: int) -> np.ndarray:
    """Equal weights."""
    return np.full(views, 1 / views)


def test_two_independent_errors_by_hand() -> None:
    """Variances 1 and 4 are weighted .8 and .2."""
    found = quadratic_minimum(np.diag([1.0, 4.0]), np.zeros(2), start=equal(2))
    np.testing.assert_allclose(found, [0.8, 0.2], rtol=1e-14)


def test_a_weight_that_would_be_negative_is_exactly_zero() -> None:
    """With variances 1 and 4 and covariance 2 the unbounded weights are 2 and -1; on the simplex they are 1 and 0."""
    matrix = np.array([[1.0, 2.0], [2.0, 5.0]])
    assert quadratic_minimum(matrix, np.zeros(2), start=equal(2)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("seed", range(12))
def test_quadratic_minimum_satisfies_the_optimality_conditions_and_agrees_with_scipy(seed: int) -> None:
    """Weights are on the simplex, the gap is rounding, and SLSQP finds no lower value."""
    rng = np.random.default_rng(seed)
    views = int(rng.integers(1, 25))
    factor = rng.standard_normal((views, views + 2))
    matrix, slope = factor @ factor.T, 3 * rng.standard_normal(views)

    def value(weights: np.ndarray) -> float:
        return float(weights @ matrix @ weights / 2 + slope @ weights)

    found = quadratic_minimum(matrix, slope, start=equal(views))
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert gap(found, matrix @ found + slope) < 1e-9
    sum_is_one = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    witness = minimize(value, equal(views), method="SLSQP", bounds=[(0, 1)] * views, constraints=[sum_is_one])
    assert value(found) <= witness.fun + 1e-9


def test_the_gap_bounds_how_far_a_convex_function_is_above_its_minimum() -> None:
    """For |w - t|^2 with its minimum at t on the simplex, value - 0 <= gap at any point."""
    target = np.array([0.2, 0.5, 0.3])
    for weights in np.random.default_rng(0).dirichlet(np.ones(3), size=50):
        assert ((weights - target) ** 2).sum() <= gap(weights, 2 * (weights - target)) + 1e-15


def test_newton_finds_a_minimum_known_on_paper() -> None:
    """-sum(a log w) on the simplex is least at w = a / sum(a)."""
    counts = np.array([5.0, 3.0, 1.0, 1.0])
    found = newton_minimum(
        lambda weights: (float(-counts @ np.log(np.maximum(weights, 1e-300))), -counts / np.maximum(weights, 1e-300)),
        lambda weights: np.diag(counts / weights**2),
        start=equal(4),
        tolerance=1e-12,
    )
    np.testing.assert_allclose(found, counts / 10, rtol=1e-6)
