"""Metrics: hand values, scikit-learn as witness."""

import numpy as np
import pytest
from scipy import special
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score, top_k_accuracy_score

from harness import metrics
from harness.metrics import ExampleScores, example_scores, expected_calibration_error, reliability_bins, summary
from harness.types import Predictions


def predictions_of(probs: list[list[float]], labels: list[int]) -> Predictions:
    """Predictions from probabilities written by hand."""
    with np.errstate(divide="ignore"):
        return Predictions(np.log(np.array(probs)), np.array(labels))


def random_predictions(examples: int = 500, classes: int = 9) -> Predictions:
    """Predictions that are right more often than chance."""
    rng = np.random.default_rng(3)
    labels = rng.integers(classes, size=examples)
    logits = rng.standard_normal((examples, classes)) * 2
    logits[np.arange(examples), labels] += 1.5
    return Predictions(special.log_softmax(logits, axis=1), labels)


def scores_of(confidence: list[float], correct: list[bool]) -> ExampleScores:
    """Scores that hold what calibration looks at."""
    none = np.zeros(len(correct))
    return ExampleScores(none.astype(int), np.array(correct), np.array(confidence), none, none, None)


def test_by_hand() -> None:
    """Three examples worked out on paper."""
    scores = example_scores(predictions_of([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.25, 0.25, 0.5]], [0, 0, 2]))
    np.testing.assert_array_equal(scores.predicted, [0, 1, 2])
    np.testing.assert_array_equal(scores.correct, [True, False, True])
    np.testing.assert_allclose(scores.confidence, [0.7, 0.6, 0.5])
    np.testing.assert_allclose(scores.nll, -np.log([0.7, 0.3, 0.5]))
    np.testing.assert_allclose(scores.brier, [0.09 + 0.04 + 0.01, 0.49 + 0.36 + 0.01, 0.0625 + 0.0625 + 0.25])
    assert scores.top5_correct is None
    assert len(scores) == 3


def test_scikit_learn_agrees() -> None:
    """Accuracy, top-5 accuracy, NLL and Brier are scikit-learn's on 500 random examples of nine classes."""
    predictions = random_predictions()
    found, labels, probs = summary(example_scores(predictions)), predictions.labels, predictions.probs
    classes = np.arange(9)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, probs.argmax(1)), abs=1e-15)
    assert found["top5_accuracy"] == pytest.approx(top_k_accuracy_score(labels, probs, k=5, labels=classes), abs=1e-15)
    assert found["nll"] == pytest.approx(log_loss(labels, probs, labels=classes), rel=1e-12)
    theirs = brier_score_loss(labels, probs, labels=classes, scale_by_half=False)
    assert found["brier"] == pytest.approx(theirs, rel=1e-12)


def test_reliability_bins_agree_with_scikit_learn() -> None:
    """Accuracy and confidence of the filled bins are those of scikit-learn's calibration curve."""
    scores = example_scores(random_predictions())
    found = reliability_bins(scores)
    accuracy, confidence = calibration_curve(scores.correct, scores.confidence, n_bins=15)
    filled = found.count > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy)
    np.testing.assert_allclose(found.confidence[filled], confidence)
    assert found.count.sum() == len(scores)


def test_ece_by_hand() -> None:
    """Two bins of two and three examples, weighted by how many they hold."""
    scores = scores_of([0.62, 0.64, 0.95, 0.97, 0.99], [True, False, True, True, False])
    expected = 2 / 5 * abs(1 / 2 - 0.63) + 3 / 5 * abs(2 / 3 - 0.97)
    assert expected_calibration_error(scores) == pytest.approx(expected, rel=1e-12)


def test_ece_agrees_with_a_sum_over_bins() -> None:
    """ECE is the sum that the definition states, written as a loop over the bins."""
    scores = example_scores(random_predictions())
    total = 0.0
    for b in range(15):
        inside = (scores.confidence > b / 15) & (scores.confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(scores.correct[inside].mean() - scores.confidence[inside].mean())
    assert expected_calibration_error(scores) == pytest.approx(total, rel=1e-12)


def test_bins_are_closed_on_the_right() -> None:
    """A confidence on an edge belongs to the bin below it; one that rounding put above one to the last."""
    found = reliability_bins(scores_of([0.25, 0.5, 0.75, 1.0, 1.0 + 1e-12], [True] * 5), bins=4)
    np.testing.assert_array_equal(found.count, [1, 1, 1, 2])
    found = reliability_bins(scores_of([0.2501], [True]), bins=4)
    np.testing.assert_array_equal(found.count, [0, 1, 0, 0])
    assert np.isnan(found.accuracy[0])


def test_perfect_and_worst_predictions() -> None:
    """Certain and right scores 0 everywhere; certain and wrong has Brier 2 and ECE 1; no AUROC of errors in either."""
    right = summary(example_scores(predictions_of([[1.0, 0.0], [0.0, 1.0]], [0, 1])))
    assert right.pop("accuracy") == 1.0
    assert set(right.values()) == {0.0}
    wrong = summary(example_scores(predictions_of([[1.0, 0.0], [0.0, 1.0]], [1, 0])))
    assert (wrong["accuracy"], wrong["brier"], wrong["ece"], wrong["ece_equal_mass"]) == (0.0, 2.0, 1.0, 1.0)
    assert (wrong["aurc"], wrong["risk_at_80"]) == (1.0, 1.0)
    assert wrong["nll"] == np.inf
    assert "auroc_errors" not in right.keys() | wrong.keys()


def test_every_logged_name() -> None:
    """The names of the summary, which dashboards are built on; all are finite."""
    found = summary(example_scores(random_predictions()))
    assert set(found) == {
        "accuracy", "top5_accuracy", "nll", "brier", "ece", "ece_equal_mass", "aurc", "risk_at_80", "auroc_errors",
    }  # fmt: skip
    assert np.isfinite(list(found.values())).all()


def test_rejection_agrees_with_its_definitions() -> None:
    """Sorting by hand, and scikit-learn's area."""
    scores = example_scores(random_predictions())
    found, order = summary(scores), np.argsort(-scores.confidence)
    wrong = ~scores.correct[order]
    assert found["risk_at_80"] == pytest.approx(wrong[:400].mean())
    assert found["aurc"] == pytest.approx((np.cumsum(wrong) / np.arange(1, 501)).mean(), rel=1e-12)
    assert found["auroc_errors"] == pytest.approx(roc_auc_score(~scores.correct, -scores.confidence), abs=1e-12)


def test_equal_mass_error_is_a_sum_over_slices_of_the_sorted() -> None:
    """Fifteen slices of 40 examples sorted by confidence, some too sure, some too unsure: not the ECE of width."""
    whole = random_predictions(600)
    scores = example_scores(Predictions(special.log_softmax(whole.log_probs * 0.5, axis=1), whole.labels))
    slices = np.array_split(np.argsort(scores.confidence), 15)
    gaps = [abs(scores.correct[part].mean() - scores.confidence[part].mean()) for part in slices]
    found = summary(scores)
    assert found["ece_equal_mass"] == pytest.approx(np.mean(gaps), rel=1e-12)
    assert abs(found["ece_equal_mass"] - found["ece"]) > 1e-3


def test_the_first_of_tied_classes_is_predicted() -> None:
    """Equal probabilities: the first class counts as predicted, and the first five as the top five."""
    uniform = [[1 / 8] * 8] * 8
    scores = example_scores(predictions_of(uniform, list(range(8))))
    np.testing.assert_array_equal(scores.correct, [True] + [False] * 7)
    assert scores.top5_correct is not None
    np.testing.assert_array_equal(scores.top5_correct, [True] * 5 + [False] * 3)


def test_six_classes_have_a_top_five_and_five_have_none() -> None:
    """Top-5 accuracy is there for C > 5 only, and asking for it otherwise is refused."""
    six = example_scores(random_predictions(classes=6))
    five = example_scores(random_predictions(classes=5))
    assert "top5_accuracy" in summary(six)
    assert "top5_accuracy" not in summary(five)
    with pytest.raises(ValueError, match="more than five classes"):
        metrics.top5_accuracy(five)


def test_a_slice_scores_as_the_whole_sliced() -> None:
    """Scoring half of the examples gives half of the scores."""
    whole = random_predictions()
    part = Predictions(whole.log_probs[::2], whole.labels[::2])
    for name in ("predicted", "correct", "confidence", "nll", "brier", "top5_correct"):
        np.testing.assert_allclose(getattr(example_scores(part), name), getattr(example_scores(whole), name)[::2])
