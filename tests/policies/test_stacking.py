"""Stacking: scikit-learn as witness."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression

from harness.errors import ConfigError
from harness.policies.logits import ViewLogits
from harness.policies.stacking import Stacking, features


def made_up(views: int, examples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[V, N, C]` float32 of views that agree in part, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=examples)
    shared = 2 * np.eye(classes)[labels] + 1.6 * rng.standard_normal((examples, classes))
    return (shared + rng.standard_normal((views, examples, classes))).astype(np.float32), labels


@pytest.mark.parametrize("l2", [0.1, 1.0, 30.0])
def test_agrees_with_scikit_learn(l2: float) -> None:
    """Coefficients (1e-4) and probabilities (1e-5) are those of LogisticRegression(C=1 / l2) on the same inputs."""
    logits, labels = made_up(3, 200, 4)
    fitted = Stacking(l2).fit(ViewLogits.of(logits), labels)
    inputs = np.concatenate(list(special.log_softmax(logits.astype(np.float64), axis=2)), axis=1)
    witness = LogisticRegression(C=1 / l2, tol=1e-9, max_iter=10000).fit(inputs, labels)
    np.testing.assert_allclose(fitted.coefficients, witness.coef_.T, atol=1e-4)
    np.testing.assert_allclose(np.exp(fitted(logits)), witness.predict_proba(inputs), atol=1e-5)


def test_features_are_views_one_after_the_other() -> None:
    """Row n holds view 0's log-probabilities of example n, then view 1's; nothing is below log 1e-12."""
    probs = np.array([[[0.5, 0.5], [0.9, 0.1]], [[0.2, 0.8], [1e-30, 1.0]]])
    expected = np.log([[0.5, 0.5, 0.2, 0.8], [0.9, 0.1, 1e-12, 1.0]])
    np.testing.assert_allclose(features(np.log(probs)), expected, atol=1e-14)


def test_probabilities_sum_to_one_and_all_views_are_passed() -> None:
    """Rows sum to one; every example needs every view."""
    logits, labels = made_up(3, 60, 4)
    fitted = Stacking().fit(ViewLogits.of(logits), labels)
    np.testing.assert_allclose(np.exp(fitted(logits)).sum(axis=1), 1, rtol=1e-12)
    assert fitted.passes(logits).tolist() == [3] * 60


def test_what_was_learned_is_frozen() -> None:
    """The coefficients cannot be written to."""
    logits, labels = made_up(2, 30, 3)
    fitted = Stacking().fit(ViewLogits.of(logits), labels)
    with pytest.raises(ValueError, match="read-only"):
        fitted.coefficients[0, 0] = 1.0


def test_an_example_alone_gives_the_bits_it_has_in_a_batch() -> None:
    """The result of an example depends on its own logits alone, to the last bit."""
    logits, labels = made_up(5, 64, 7)
    fitted = Stacking().fit(ViewLogits.of(logits), labels)
    alone = np.concatenate([fitted(logits[:, place : place + 1]) for place in range(64)])
    assert np.array_equal(alone, fitted(logits))


def test_same_bits_again_and_from_memory_mapped_files(tmp_path: Path) -> None:
    """A second fit, from a memory-mapped file, gives the same bits."""
    logits, labels = made_up(3, 100, 4)
    np.save(tmp_path / "logits.npy", logits)
    mapped = ViewLogits.of(np.load(tmp_path / "logits.npy", mmap_mode="r"))
    first, second = Stacking().fit(ViewLogits.of(logits), labels), Stacking().fit(mapped, labels)
    assert first.parameters() == second.parameters()


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e30])
def test_extreme_logits_give_finite_coefficients(scale: float) -> None:
    """Whatever the size of the logits, coefficients and predictions are finite."""
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((3, 40, 4))).astype(np.float32)
    fitted = Stacking().fit(ViewLogits.of(logits), rng.integers(4, size=40))
    assert np.isfinite(fitted.coefficients).all()
    assert np.isfinite(fitted(logits)).all()


def test_too_many_log_probabilities_are_refused_in_one_line() -> None:
    """Fifty views of a thousand classes would need fifty million coefficients."""
    one = np.zeros((2, 1000), np.float32)
    with pytest.raises(ConfigError, match="5000 log-probabilities an example, got 50 views of 1000 classes"):
        Stacking().fit(ViewLogits((one,) * 50), np.zeros(2, np.int64))


def test_a_penalty_of_zero_is_refused() -> None:
    """Without a penalty separable data have no solution."""
    with pytest.raises(ValueError, match="l2"):
        Stacking(0.0)
