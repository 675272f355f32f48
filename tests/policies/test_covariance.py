"""Covariance weights: hand values, optimality, SciPy as witness."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special
from scipy.optimize import minimize

from harness.policies.covariance import CovarianceWeights, SignedMean, least_square_weights, view_errors
from harness.policies.logits import ViewLogits
from harness.policies.weighted import WeightedMean


def logits_of(right: np.ndarray) -> np.ndarray:
    """Logits `[V, N, 2]` whose probability of class 0 is `right [V, N]`."""
    return np.log(np.stack([right, 1 - right], axis=2)).astype(np.float32)


def made_up(views: int, examples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[V, N, C]` float32 of views that agree in part, the later the noisier, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=examples)
    shared = 3 * np.eye(classes)[labels] + 1.6 * rng.standard_normal((examples, classes))
    noise = np.linspace(0.5, 2.0, views)[:, None, None] * rng.standard_normal((views, examples, classes))
    return (shared + noise).astype(np.float32), labels


@pytest.mark.parametrize("nonnegative", [True, False])
def test_independent_errors_of_variance_one_and_four_weigh_eight_and_two_tenths(nonnegative: bool) -> None:
    """The textbook case on paper."""
    np.testing.assert_allclose(least_square_weights(np.diag([1.0, 4.0]), nonnegative=nonnegative), [0.8, 0.2])


def test_fitted_on_views_that_err_on_different_examples() -> None:
    """Errors of .2 and .4, never on one example: mean squares 1 to 4, so .8 and .2 but for the ridge."""
    right = np.full((2, 100), 1 - 1e-9)
    right[0, :50], right[1, 50:] = 0.8, 0.6
    fitted = CovarianceWeights().fit(ViewLogits.of(logits_of(right)), np.zeros(100, np.int64))
    lifted = np.array([1.0025, 4.0025])  # a thousandth of the mean diagonal, 2.5, is added
    np.testing.assert_allclose(fitted.weights, lifted[::-1] / lifted.sum(), atol=1e-6)
    np.testing.assert_allclose(fitted.weights, [0.8, 0.2], atol=1e-3)


def test_a_view_that_errs_more_on_the_same_examples_gets_nothing_or_less() -> None:
    """Errors e and 2 e on every example: all weight on the first, or, signed, a negative weight on the second."""
    first = np.random.default_rng(1).uniform(0.05, 0.4, 60)
    logits, labels = ViewLogits.of(logits_of(1 - np.stack([first, 2 * first]))), np.zeros(60, np.int64)
    assert CovarianceWeights().fit(logits, labels) == WeightedMean("probs", (1.0, 0.0))
    signed = CovarianceWeights(nonnegative=False).fit(logits, labels)
    assert isinstance(signed, SignedMean)
    np.testing.assert_allclose(signed.weights, [2.0, -1.0], atol=0.02)


def test_a_signed_mean_by_hand() -> None:
    """2 (.6, .3, .1) - (.5, .1, .4) = (.7, .5, -.2): the negative one is cut, the rest sums to one."""
    logits = np.log(np.array([[[0.6, 0.3, 0.1]], [[0.5, 0.1, 0.4]]]))
    found = np.exp(SignedMean((2.0, -1.0))(logits))
    np.testing.assert_allclose(found, [[0.7 / 1.2, 0.5 / 1.2, 0.0]], atol=1e-11)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_weights_agree_with_scipy(nonnegative: bool) -> None:
    """SLSQP on the mean square error of the weighted mean, with SciPy's softmax, finds the same weights within 1e-4."""
    logits, labels = made_up(6, 300, 4)
    errors = 1 - special.softmax(logits.astype(np.float64), axis=2)[:, np.arange(300), labels]
    gram = errors @ errors.T / 300
    gram += 1e-3 * np.trace(gram) / 6 * np.eye(6)
    witness = minimize(
        lambda weights: 100 * weights @ gram @ weights,
        np.full(6, 1 / 6),
        jac=lambda weights: 200 * gram @ weights,
        method="SLSQP",
        bounds=[(0, 1)] * 6 if nonnegative else None,
        constraints=[{"type": "eq", "fun": lambda weights: weights.sum() - 1}],
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    found = CovarianceWeights(nonnegative=nonnegative).fit(ViewLogits.of(logits), labels)
    np.testing.assert_allclose(found.weights, witness.x, atol=1e-4)


def test_errors_are_one_minus_the_labels_probability_by_hand() -> None:
    """Probabilities .5, .3, .2 and .1, .8, .1 of one example with label 1 are errors of .7 and .2."""
    logits = np.log(np.array([[[0.5, 0.3, 0.2]], [[0.1, 0.8, 0.1]]]))
    np.testing.assert_allclose(view_errors(ViewLogits.of(logits), np.array([1])), [[0.7], [0.2]], rtol=1e-12)


def test_views_that_never_err_weigh_the_same() -> None:
    """Where all errors are zero nothing tells the views apart."""
    logits = np.repeat(np.array([[[1e4, 0.0]]], np.float32), 4, axis=0)
    assert CovarianceWeights().fit(ViewLogits.of(logits), np.array([0])).weights == (0.25,) * 4


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e2, 1e4, 1e30])
def test_extreme_logits_give_finite_weights(nonnegative: bool, scale: float) -> None:
    """Whatever the size of the logits, weights sum to one and predictions are finite where weights are signed."""
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((3, 40, 4))).astype(np.float32)
    fitted = CovarianceWeights(nonnegative=nonnegative).fit(ViewLogits.of(logits), rng.integers(4, size=40))
    assert sum(fitted.weights) == pytest.approx(1)
    assert not np.isnan(fitted(logits)).any()


@pytest.mark.parametrize("nonnegative", [True, False])
def test_same_bits_from_memory_mapped_files(nonnegative: bool, tmp_path: Path) -> None:
    """A memory-mapped file gives the same bits as an array."""
    logits, labels = made_up(4, 3000, 5)
    np.save(tmp_path / "logits.npy", logits)
    mapped = ViewLogits.of(np.load(tmp_path / "logits.npy", mmap_mode="r"))
    way = CovarianceWeights(nonnegative=nonnegative)
    assert way.fit(mapped, labels) == way.fit(ViewLogits.of(logits), labels)
