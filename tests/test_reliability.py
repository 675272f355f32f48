"""Reliability: identities, loops over bins, scikit-learn, and numbers of the literature's code as witnesses."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special
from sklearn.calibration import calibration_curve

from harness import reliability
from harness.reliability import (
    bin_of,
    brier_decomposition,
    calibration_error,
    classwise_brier_decomposition,
    classwise_calibration_error,
    equal_mass_edges,
    equal_width_edges,
    reliability_between,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "ensembles.json").read_text())


def forecasts(examples: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts that are too high, and whether they came true."""
    rng = np.random.default_rng(1)
    confidence = rng.beta(4, 1.5, examples)
    return confidence, rng.random(examples) < confidence**2


def many_classes(examples: int = 300, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of several classes, and labels."""
    rng = np.random.default_rng(2)
    probs = special.softmax(2 * rng.standard_normal((examples, classes)), axis=1)
    return probs, rng.integers(classes, size=examples)


@pytest.mark.parametrize("bins", [1, 2, 10, 15])
def test_brier_parts_add_up(bins: int) -> None:
    """Reliability - resolution + uncertainty + within_bins is mean((forecast - outcome)^2), for both kinds of bins."""
    confidence, correct = forecasts()
    for edges in (equal_width_edges(bins), equal_mass_edges(confidence, bins)):
        parts = brier_decomposition(confidence, correct, edges=edges)
        assert parts.score == pytest.approx(np.mean((confidence - correct) ** 2), abs=1e-14)


def test_murphys_three_parts_are_the_score_of_binned_forecasts() -> None:
    """Without within_bins the parts are the Brier score of forecasts replaced by their bin's mean; then it is zero."""
    confidence, correct = forecasts()
    edges = equal_width_edges(10)
    where = np.minimum(np.ceil(confidence * 10).astype(int) - 1, 9)
    means = np.array([confidence[where == b].mean() if (where == b).any() else 0 for b in range(10)])[where]
    parts = brier_decomposition(confidence, correct, edges=edges)
    three = parts.reliability - parts.resolution + parts.uncertainty
    assert three == pytest.approx(np.mean((means - correct) ** 2), abs=1e-14)
    assert brier_decomposition(means, correct, edges=edges).within_bins == pytest.approx(0, abs=1e-14)
    assert parts.within_bins != pytest.approx(0, abs=1e-6)


def test_brier_parts_by_hand() -> None:
    """Two bins of two: forecasts 0.25 (one of two true) and 0.75 (both true)."""
    parts = brier_decomposition(
        np.array([0.25, 0.25, 0.75, 0.75]), np.array([True, False, True, True]), edges=equal_width_edges(2)
    )
    assert parts.reliability == pytest.approx(0.0625)
    assert parts.resolution == pytest.approx(0.0625)
    assert parts.uncertainty == pytest.approx(0.1875)
    assert parts.within_bins == pytest.approx(0, abs=1e-14)


def test_classwise_brier_parts_make_the_brier_score_of_all_classes() -> None:
    """The parts summed over classes are the sum over classes of squared errors, and each class's own parts summed."""
    probs, labels = many_classes()
    outcomes = np.eye(6)[labels].astype(bool)
    found = classwise_brier_decomposition(probs, labels)
    assert found.score == pytest.approx(((probs - outcomes) ** 2).sum(axis=1).mean(), abs=1e-13)
    each = [brier_decomposition(probs[:, c], outcomes[:, c], edges=equal_width_edges()) for c in range(6)]
    for name in ("reliability", "resolution", "uncertainty", "within_bins"):
        assert getattr(found, name) == pytest.approx(sum(getattr(one, name) for one in each), abs=1e-13)


def test_classwise_error_is_the_literatures() -> None:
    """Classwise ECE is the static calibration error of pytorch-ensembles, and ECE its ECE, within 1e-12."""
    probs, labels = special.softmax(np.array(GOLDEN["logits"]), axis=1), np.array(GOLDEN["labels"])
    assert classwise_calibration_error(probs, labels) == pytest.approx(GOLDEN["sce"], abs=1e-12)
    edges, correct = equal_width_edges(), probs.argmax(axis=1) == labels
    assert calibration_error(reliability_between(probs.max(axis=1), correct, edges=edges)) == pytest.approx(
        GOLDEN["ece"], abs=1e-12
    )
    assert classwise_brier_decomposition(probs, labels).score == pytest.approx(GOLDEN["brier"], abs=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many probabilities are binned at once, the classwise error is the same."""
    probs, labels = many_classes()
    whole = classwise_calibration_error(probs, labels)
    monkeypatch.setattr(reliability, "_BLOCK", 40)
    assert classwise_calibration_error(probs, labels) == pytest.approx(whole, abs=1e-14)


def test_classwise_error_of_certain_predictions() -> None:
    """Probabilities of zero and one have a bin each: right ones have no error, and wrong ones 2 / C."""
    probs = np.eye(4)[[0, 1, 2, 3]]
    assert classwise_calibration_error(probs, np.arange(4)) == 0.0
    assert classwise_calibration_error(probs, np.arange(4)[::-1]) == pytest.approx(0.5)


@pytest.mark.parametrize("bins", [1, 5, 10])
def test_equal_mass_bins_agree_with_scikit_learn(bins: int) -> None:
    """600 distinct confidences in 5 or 10 bins: equal counts, and scikit-learn's quantile curve."""
    confidence, correct = forecasts()
    found = reliability_between(confidence, correct, edges=equal_mass_edges(confidence, bins))
    np.testing.assert_array_equal(found.count, 600 // bins)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins, strategy="quantile")
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, mean)


def test_equal_mass_bins_differ_by_one() -> None:
    """Where N is no multiple of B the bins hold the integers around N / B."""
    confidence, _ = forecasts(601)
    counts = np.bincount(bin_of(confidence, equal_mass_edges(confidence, 15)), minlength=15)
    assert set(counts) == {40, 41}


def test_equal_confidences_share_a_bin_whatever_their_order() -> None:
    """Most confidences are one: they are in one bin, and another order of examples gives the same error."""
    confidence = np.array([1.0] * 70 + [0.5] * 5 + np.linspace(0.3, 0.99, 25).tolist())
    correct = np.arange(100) % 3 > 0
    where = bin_of(confidence, equal_mass_edges(confidence, 10))
    assert len(set(where[:70])) == 1
    assert len(set(where[70:75])) == 1
    order = np.random.default_rng(0).permutation(100)
    first, second = (
        calibration_error(reliability_between(c, k, edges=equal_mass_edges(c, 10)))
        for c, k in ((confidence, correct), (confidence[order], correct[order]))
    )
    assert first == pytest.approx(second, abs=1e-15)


def test_more_bins_than_examples() -> None:
    """Two examples in fifteen bins have a bin each; the rest are empty."""
    confidence, correct = np.array([0.6, 0.9]), np.array([False, True])
    found = reliability_between(confidence, correct, edges=equal_mass_edges(confidence, 15))
    assert sorted(found.count)[-2:] == [1, 1]
    assert calibration_error(found) == pytest.approx((0.6 + 0.1) / 2)
