"""Headroom, agreement, error correlation, duplicates and ambiguity: by hand, by scikit-learn and by identities."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, brier_score_loss

from harness.diagnostics.redundancy import agreement, ambiguity, error_correlation, headroom, near_duplicates
from harness.logspace import log_softmax
from harness.policies.logits import ViewLogits


def logits_of(predicted: list[list[int]], classes: int) -> ViewLogits:
    """Logits whose largest is at `predicted [V, N]`."""
    return ViewLogits.of(np.eye(classes, dtype=np.float32)[np.array(predicted)])


def noisy(views: int, examples: int, classes: int, *, seed: int) -> tuple[ViewLogits, np.ndarray]:
    """Random logits that are right more often than not, and their labels."""
    stream = np.random.default_rng(seed)
    labels = stream.integers(0, classes, examples)
    logits = stream.normal(size=(views, examples, classes))
    logits[:, np.arange(examples), labels] += 1.5
    return ViewLogits.of(logits.astype(np.float32)), labels


def test_headroom_by_hand() -> None:
    """Identity 2 of 4, the best single view 3 of 4, some view right for all but one."""
    logits = logits_of([[0, 0, 1, 1], [0, 0, 0, 1], [1, 1, 0, 1]], 2)
    found = headroom(logits, np.array([0, 0, 0, 0]))
    assert (found.identity, found.best_single, found.best_view, found.oracle) == (0.5, 0.75, 1, 0.75)


def test_headroom_of_one_view() -> None:
    """With identity alone there is none: all three numbers are one."""
    logits, labels = noisy(1, 50, 3, seed=0)
    found = headroom(logits, labels)
    assert found.identity == found.best_single == found.oracle == accuracy_score(labels, logits.stacked()[0].argmax(1))


def test_agreement_is_accuracy_against_the_other_view() -> None:
    """Each entry is scikit-learn's accuracy of one view's classes taken as labels for the other."""
    logits, _ = noisy(4, 3000, 5, seed=1)
    winners = logits.stacked().argmax(axis=-1)
    expected = [[accuracy_score(a, b) for b in winners] for a in winners]
    np.testing.assert_allclose(agreement(logits), expected, atol=1e-12)


def test_error_correlation_is_pearsons() -> None:
    """Each entry is SciPy's Pearson correlation of the two error indicators."""
    logits, labels = noisy(4, 500, 5, seed=2)
    wrong = (logits.stacked().argmax(axis=-1) != labels).astype(float)
    expected = [[pearsonr(a, b).statistic for b in wrong] for a in wrong]
    np.testing.assert_allclose(error_correlation(logits, labels), expected, atol=1e-12)


def test_error_correlation_where_it_does_not_exist() -> None:
    """A view that is always right (or wrong) is 1 with one of the same errors and with itself, and 0 with any other."""
    right, wrong, mixed = [0, 0, 0], [1, 1, 1], [0, 1, 0]
    found = error_correlation(logits_of([right, right, wrong, wrong, mixed], 2), np.zeros(3, int))
    expected = np.eye(5)
    expected[0, 1] = expected[1, 0] = expected[2, 3] = expected[3, 2] = 1
    np.testing.assert_array_equal(found, expected)


def test_near_duplicates_are_found_whatever_lies_between() -> None:
    """Pairs within the tolerance on every logit, and no pair that one late logit parts."""
    stream = np.random.default_rng(3)
    one = stream.normal(size=(40_000, 3)).astype(np.float32)
    other, nearly, late = -one, one + np.float32(1e-3), one.copy()
    late[-1, -1] += 1
    logits = ViewLogits.of([one, other, nearly, one.copy(), late])
    assert near_duplicates(logits) == ((0, 3),)
    assert near_duplicates(logits, tolerance=2e-3) == ((0, 2), (0, 3), (2, 3))
    with pytest.raises(ValueError, match="tolerance"):
        near_duplicates(logits, tolerance=-1)


def test_ambiguity_is_an_identity() -> None:
    """The Brier score of the mean is the mean Brier score minus the ambiguity, and both scores are scikit-learn's."""
    logits, labels = noisy(6, 2500, 4, seed=4)
    found = ambiguity(logits, labels)
    probs = np.exp(log_softmax(logits.stacked()))
    truth = np.eye(4)[labels]
    members = [sum(brier_score_loss(truth[:, c], one[:, c]) for c in range(4)) for one in probs]
    ensemble = sum(brier_score_loss(truth[:, c], probs.mean(axis=0)[:, c]) for c in range(4))
    np.testing.assert_allclose(found.member_errors, members, atol=1e-12)
    assert found.ensemble == pytest.approx(ensemble, abs=1e-12)
    assert found.members - found.ambiguity == pytest.approx(found.ensemble, abs=1e-12)
    assert found.ambiguity == pytest.approx(4 * np.var(probs, axis=0).mean(), abs=1e-12)


def test_equal_views_have_no_ambiguity() -> None:
    """A view given three times gains nothing."""
    logits, labels = noisy(1, 100, 3, seed=5)
    found = ambiguity(logits.select([0, 0, 0]), labels)
    assert found.ambiguity == pytest.approx(0, abs=1e-15)
    assert found.ensemble == pytest.approx(found.members, abs=1e-12)


@pytest.mark.parametrize("measure", [headroom, error_correlation, ambiguity])
def test_labels_have_to_fit(measure: object) -> None:
    """Labels of another number than the examples are refused, not broadcast."""
    logits, labels = noisy(2, 10, 3, seed=6)
    with pytest.raises(ValueError, match="labels"):
        measure(logits, labels[:1])  # type: ignore[operator]
