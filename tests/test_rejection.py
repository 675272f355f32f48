"""Rejection: hand values, every order of tied examples, scikit-learn as witness."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import roc_auc_score

from harness.rejection import aurc, auroc_errors, risk_at, risk_coverage

GOLDEN = json.loads((Path(__file__).parent / "golden" / "ensembles.json").read_text())


def examples(size: int = 400, *, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and correctness that goes with them; few digits make ties."""
    rng = np.random.default_rng(4)
    confidence = rng.random(size)
    return np.round(confidence, digits), rng.random(size) < 0.4 + 0.6 * confidence


def test_risks_by_hand() -> None:
    """Four examples: the most confident is right, the next wrong, then right, then wrong."""
    risks = risk_coverage(np.array([0.5, 0.9, 0.8, 0.4]), np.array([True, True, False, False]))
    np.testing.assert_allclose(risks, [0, 1 / 2, 1 / 3, 2 / 4])
    assert aurc(risks) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert risk_at(risks, 0.75) == pytest.approx(1 / 3)
    assert risk_at(risks, 0.7) == pytest.approx(1 / 3)
    assert risk_at(risks, 1.0) == pytest.approx(1 / 2)


def test_risk_is_the_error_rate_of_the_most_confident() -> None:
    """At 80 and 90 % of 400 examples: sort, cut, count."""
    confidence, correct = examples()
    order = np.argsort(-confidence)
    risks = risk_coverage(confidence, correct)
    for share, kept in ((0.8, 320), (0.9, 360)):
        assert risk_at(risks, share) == pytest.approx(1 - correct[order[:kept]].mean(), abs=1e-15)


def test_ties_are_the_mean_over_all_orders() -> None:
    """Seven examples with ties: the curve is the mean over all orders that confidence allows."""
    confidence = np.array([0.9, 0.7, 0.7, 0.7, 0.5, 0.5, 0.2])
    correct = np.array([True, False, True, True, False, True, False])
    curves = []
    for order in permutations(range(7)):
        if (np.diff(confidence[list(order)]) <= 0).all():
            curves.append(np.cumsum(~correct[list(order)]) / np.arange(1, 8))
    assert len(curves) == 12
    np.testing.assert_allclose(risk_coverage(confidence, correct), np.mean(curves, axis=0), atol=1e-15)


def test_order_of_examples_does_not_matter() -> None:
    """Shuffled examples with many ties have the same curve and the same AUROC."""
    confidence, correct = examples(digits=1)
    order = np.random.default_rng(0).permutation(len(correct))
    np.testing.assert_allclose(
        risk_coverage(confidence[order], correct[order]), risk_coverage(confidence, correct), atol=1e-15
    )
    assert auroc_errors(confidence[order], correct[order]) == pytest.approx(auroc_errors(confidence, correct))


def test_confidence_that_tells_nothing() -> None:
    """One confidence for all: risk is the error rate at any coverage, and AUROC is one half."""
    correct = np.array([True, True, False, True, False])
    np.testing.assert_allclose(risk_coverage(np.full(5, 0.4), correct), 0.4)
    assert auroc_errors(np.full(5, 0.4), correct) == 0.5


@pytest.mark.parametrize("digits", [1, 9])
def test_auroc_agrees_with_scikit_learn(digits: int) -> None:
    """Errors found by low confidence: scikit-learn's area, with and without ties."""
    confidence, correct = examples(digits=digits)
    assert auroc_errors(confidence, correct) == pytest.approx(roc_auc_score(~correct, -confidence), abs=1e-12)


def test_auroc_is_the_literatures() -> None:
    """The misclassification AUROC of pytorch-ensembles, within 1e-12."""
    probs = special.softmax(np.array(GOLDEN["logits"]), axis=1)
    found = auroc_errors(probs.max(axis=1), probs.argmax(axis=1) == np.array(GOLDEN["labels"]))
    assert found == pytest.approx(GOLDEN["auroc"], abs=1e-12)


@pytest.mark.parametrize("right", [True, False])
def test_auroc_needs_both_kinds(right: bool) -> None:
    """Without errors, or with nothing else, there is nothing to tell apart: NaN; the risks are zero or one."""
    confidence, correct = np.array([0.3, 0.6]), np.full(2, right)
    assert np.isnan(auroc_errors(confidence, correct))
    np.testing.assert_array_equal(risk_coverage(confidence, correct), 0.0 if right else 1.0)


@pytest.mark.parametrize("wrong", [0.0, 1.2, float("nan")])
def test_a_coverage_is_a_share(wrong: float) -> None:
    """A coverage of nothing, or of more than all, is refused."""
    with pytest.raises(ValueError, match="at most 1"):
        risk_at(np.array([0.0, 0.5]), wrong)


def test_rounding_takes_no_example_more() -> None:
    """0.07 of 100 examples are seven, though 0.07 * 100 is a little more in floating point."""
    assert 0.07 * 100 > 7
    assert risk_at(np.arange(100) / 100, 0.07) == pytest.approx(0.06)
