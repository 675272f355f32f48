"""Loss-ridge: scikit-learn as witness, hand-made cases, costs."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harness.policies.logits import ViewLogits
from harness.policies.loss_ridge import LossRidge, plain_features


def made_up(views: int, examples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[V, N, C]` float32 of views that agree in part, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=examples)
    shared = 2 * np.eye(classes)[labels] + 1.6 * rng.standard_normal((examples, classes))
    return (shared + rng.standard_normal((views, examples, classes))).astype(np.float32), labels


def split_by_confidence(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Three views of two classes: plain sure or unsure, one right where it is sure, one right where it is unsure."""
    rng = np.random.default_rng(0)
    labels, sure = rng.integers(2, size=examples), rng.random(examples) < 0.5
    truth = np.where(labels == 0, 1.0, -1.0)
    margins = np.stack([np.where(sure, 6.0, 0.5), np.where(sure, 4.0, -4.0), np.where(sure, -4.0, 4.0)]) * truth
    return np.stack([margins, np.zeros_like(margins)], axis=2).astype(np.float32), labels


def test_predicted_losses_agree_with_scikit_learn() -> None:
    """Predictions are those of Ridge(alpha=1) after StandardScaler, on features and NLL by SciPy, within 1e-8."""
    logits, labels = made_up(4, 150, 5)
    log_probs = special.log_softmax(logits.astype(np.float64), axis=2)
    inputs = np.column_stack([log_probs[0], stats.entropy(np.exp(log_probs[0]), axis=1)])
    losses = -log_probs[:, np.arange(150), labels].T
    witness = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(inputs, losses).predict(inputs)
    fitted = LossRidge().fit(ViewLogits.of(logits), labels)
    np.testing.assert_allclose(plain_features(logits[0]) @ fitted.coefficients + fitted.intercept, witness, atol=1e-8)
    assert np.array_equal(fitted.chosen(logits), np.sort(np.argsort(witness, axis=1)[:, :2], axis=1))


def test_the_views_chosen_are_averaged_as_probabilities() -> None:
    """The result is the log of the mean of the chosen views' softmax, by SciPy."""
    logits, labels = made_up(4, 50, 5)
    fitted = LossRidge(k=3).fit(ViewLogits.of(logits), labels)
    probs = special.softmax(logits.astype(np.float64), axis=2)
    expected = [probs[chosen, place].mean(axis=0) for place, chosen in enumerate(fitted.chosen(logits))]
    np.testing.assert_allclose(np.exp(fitted(logits)), expected, rtol=1e-12)


def test_each_example_gets_the_view_that_serves_it() -> None:
    """Where confidence of the plain view says which other view is right, that view is taken, and all is right."""
    logits, labels = split_by_confidence(400)
    fitted = LossRidge(k=1).fit(ViewLogits.of(logits), labels)
    sure = np.abs(logits[0, :, 0]) > 1
    assert set(fitted.chosen(logits)[~sure, 0]) == {2}
    assert (fitted(logits).argmax(axis=1) == labels).all()


def test_passes_count_the_plain_view_once() -> None:
    """An example costs 1 + k passes, or k where the plain view is among its k; alone as in a batch."""
    logits, labels = made_up(4, 200, 5)
    fitted = LossRidge(k=2).fit(ViewLogits.of(logits), labels)
    with_plain = (fitted.chosen(logits) == 0).any(axis=1)
    assert 0 < with_plain.sum() < 200
    assert fitted.passes(logits).tolist() == np.where(with_plain, 2, 3).tolist()


def test_more_views_than_there_are_means_all() -> None:
    """A k beyond V is V: the mean of all views, V passes."""
    logits, labels = made_up(3, 30, 4)
    fitted = LossRidge(k=9).fit(ViewLogits.of(logits), labels)
    expected = special.softmax(logits.astype(np.float64), axis=2).mean(axis=0)
    np.testing.assert_allclose(np.exp(fitted(logits)), expected, rtol=1e-12)
    assert fitted.passes(logits).tolist() == [3] * 30


def test_views_that_are_not_chosen_do_not_count() -> None:
    """Other logits in the views an example does not take change nothing: the choice rests on the plain view alone."""
    logits, labels = made_up(4, 50, 5)
    fitted = LossRidge().fit(ViewLogits.of(logits), labels)
    other = logits.copy()
    for place, chosen in enumerate(fitted.chosen(logits)):
        unused = [view for view in range(1, 4) if view not in chosen]
        other[unused, place] = 1e4
    assert np.array_equal(fitted(other), fitted(logits))


def test_an_example_alone_gives_the_bits_it_has_in_a_batch() -> None:
    """The result and cost of an example depend on its own logits alone, to the last bit."""
    logits, labels = made_up(5, 64, 7)
    fitted = LossRidge().fit(ViewLogits.of(logits), labels)
    alone = np.concatenate([fitted(logits[:, place : place + 1]) for place in range(64)])
    assert np.array_equal(alone, fitted(logits))


def test_same_bits_from_memory_mapped_files(tmp_path: Path) -> None:
    """A memory-mapped file gives the same bits as an array."""
    logits, labels = made_up(3, 500, 4)
    np.save(tmp_path / "logits.npy", logits)
    mapped = ViewLogits.of(np.load(tmp_path / "logits.npy", mmap_mode="r"))
    first, second = LossRidge().fit(ViewLogits.of(logits), labels), LossRidge().fit(mapped, labels)
    assert first.parameters() == second.parameters()


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e30])
def test_extreme_logits_give_finite_coefficients(scale: float) -> None:
    """Whatever the size of the logits, coefficients are finite and predictions are distributions."""
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((3, 40, 4))).astype(np.float32)
    fitted = LossRidge().fit(ViewLogits.of(logits), rng.integers(4, size=40))
    assert np.isfinite(fitted.coefficients).all()
    np.testing.assert_allclose(np.exp(fitted(logits)).sum(axis=1), 1, rtol=1e-12)
