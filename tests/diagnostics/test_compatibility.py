"""Single views against identity: numbers by hand and by SciPy and statsmodels, and which of them raise a flag."""

import numpy as np
import pytest
from scipy.stats import sem
from statsmodels.stats.contingency_tables import mcnemar

from harness.diagnostics.compatibility import ViewCheck, check_views, harm_sentences
from harness.policies.logits import ViewLogits


def logits_of(predicted: np.ndarray, classes: int) -> ViewLogits:
    """Logits whose largest is at `predicted [V, N]`."""
    return ViewLogits.of(np.eye(classes, dtype=np.float32)[predicted])


def check(predicted: list[np.ndarray], labels: np.ndarray, classes: int) -> tuple[ViewCheck, ...]:
    """Checks of views called identity, view1, ... with classes named by their number."""
    names = ["identity", *(f"view{place}" for place in range(1, len(predicted)))]
    return check_views(
        logits_of(np.stack(predicted), classes), labels, class_names=[str(c) for c in range(classes)], views=names
    )


def turned(labels: np.ndarray, place: int, *, to: int, lost: int) -> np.ndarray:
    """The labels, with the first `lost` examples of a class taken for another."""
    predicted = labels.copy()
    predicted[np.flatnonzero(labels == place)[:lost]] = to
    return predicted


def test_six_upside_down_is_a_nine() -> None:
    """A view that takes sixes for nines is flagged with both classes, their drops and what they become."""
    labels = np.repeat(np.arange(10), 100)
    upside_down = np.where(labels == 9, turned(labels, 9, to=6, lost=70), turned(labels, 6, to=9, lost=80))
    upside_down[np.flatnonzero(labels == 6)[80:85]] = 0
    _, found = check([labels, upside_down], labels, 10)
    assert found.harms
    assert [(one.name, one.taken_for) for one in found.harmed] == [("6", "9"), ("9", "6")]
    np.testing.assert_allclose([one.difference for one in found.harmed], [-0.85, -0.7])
    assert found.sentence() == (
        "view view1 harms: 6 (-85.0 points, taken for 9), 9 (-70.0 points, taken for 6); -15.5 points overall"
    )


@pytest.mark.parametrize(("examples", "flagged"), [(1, False), (3, False), (8, False), (9, True)])
def test_a_few_examples_raise_no_flag(examples: int, flagged: bool) -> None:
    """Losing all of a small class has a standard error of zero; nine lost examples are the fewest that are believed.

    With one view and ten classes eleven differences are looked at, and 2^-8 <= 0.05 / 11 < 2^-7.
    """
    labels = np.concatenate([np.zeros(examples, int), np.repeat(np.arange(1, 10), 200)])
    _, found = check([labels, turned(labels, 0, to=1, lost=examples)], labels, 10)
    assert (found.class_difference[0], bool(found.harmed)) == (-1.0, flagged)


def test_numbers_are_those_of_the_paired_differences() -> None:
    """Accuracies, differences and standard errors, over all and by class, agree with NumPy and `scipy.stats.sem`."""
    stream = np.random.default_rng(0)
    labels = stream.integers(0, 4, 300)
    predicted = [np.where(stream.random(300) < 0.7, labels, stream.integers(0, 4, 300)) for _ in range(3)]
    for row, found in zip(predicted, check(predicted, labels, 4), strict=True):
        right = (row == labels).astype(float)
        paired = right - (predicted[0] == labels)
        assert found.accuracy == pytest.approx(right.mean(), abs=1e-12)
        assert found.difference == pytest.approx(paired.mean(), abs=1e-12)
        assert found.standard_error == pytest.approx(sem(paired), abs=1e-12)
        by_class = [[right[labels == c].mean(), paired[labels == c].mean(), sem(paired[labels == c])] for c in range(4)]
        ours = np.stack([found.class_accuracy, found.class_difference, found.class_standard_error], axis=1)
        np.testing.assert_allclose(ours, by_class, atol=1e-12)


def test_a_flag_means_three_standard_errors_and_an_exact_test() -> None:
    """Exactly those classes are flagged that drop by more than 3 SE and whose McNemar p (statsmodels) is small."""
    stream = np.random.default_rng(1)
    labels = np.repeat(np.arange(6), 60)
    chances = np.repeat([0.95, 0.9, 0.8, 0.7, 0.6, 0.5], 60)
    predicted = [
        np.where(stream.random(360) < p, labels, (labels + 1) % 6) for p in (np.full(360, 0.85), chances, chances)
    ]
    checks, flagged = check(predicted, labels, 6), 0
    for row, found in zip(predicted[1:], checks[1:], strict=True):
        expected = set()
        for place in range(6):
            mine, base = ((one == labels)[labels == place] for one in (row, predicted[0]))
            table = [[int((a & b).sum()) for b in (mine, ~mine)] for a in (base, ~base)]
            paired = mine.astype(float) - base
            if paired.mean() < -3 * sem(paired) and mcnemar(table, exact=True).pvalue <= 0.05 / (2 * 7):
                expected.add(str(place))
        assert {one.name for one in found.harmed} == expected
        flagged += len(expected)
    assert 0 < flagged < 12


def test_harm_spread_over_all_classes_is_seen() -> None:
    """Where no class loses enough to be named, the drop over all examples is flagged."""
    labels = np.repeat(np.arange(50), 20)
    spread = labels.copy()
    spread[::20] = (labels[::20] + 1) % 50
    _, found = check([labels, spread], labels, 50)
    assert found.drops and found.harms and found.harmed == ()
    assert found.sentence() == "view view1 harms: all classes a little, none alone for certain; -5.0 points overall"


def test_what_makes_no_difference_is_not_flagged() -> None:
    """Identity itself, a view equal to it and one that gains harm nothing, and have no sentence among the harmful."""
    labels = np.repeat(np.arange(2), 50)
    identity = turned(labels, 0, to=1, lost=30)
    checks = check([identity, identity, labels], labels, 2)
    assert [(one.harms, one.difference) for one in checks] == [(False, 0.0), (False, 0.0), (False, 0.3)]
    assert checks[2].sentence() == "view view2 harms no class: +30.0 points overall"
    assert harm_sentences(checks) == ()


def test_noise_is_rarely_flagged() -> None:
    """Views that are as good as identity raise a flag in no more than one job in twenty."""
    stream = np.random.default_rng(2)
    labels = np.repeat(np.arange(10), 40)
    flagged = 0
    for _ in range(100):
        predicted = [np.where(stream.random(400) < 0.8, labels, (labels + 1) % 10) for _ in range(8)]
        flagged += any(one.harms for one in check(predicted, labels, 10))
    assert flagged <= 5


def test_at_most_three_classes_are_named_and_the_worst_view_comes_first() -> None:
    """A sentence names the three largest drops and counts the others; views are ordered by what they cost."""
    labels = np.repeat(np.arange(6), 40)
    milder, harsher = turned(labels, 0, to=1, lost=20), labels.copy()
    for place in range(5):
        harsher = np.where(labels == place, turned(labels, place, to=5, lost=20 + 4 * place), harsher)
    first, second = harm_sentences(check([labels, milder, harsher], labels, 6))
    assert first == (
        "view view2 harms: 4 (-90.0 points, taken for 5), 3 (-80.0 points, taken for 5), "
        "2 (-70.0 points, taken for 5) and 2 more classes; -58.3 points overall"
    )
    assert second.startswith("view view1 harms: 0 (-50.0 points, taken for 1)")


def test_a_class_without_examples_has_no_numbers() -> None:
    """A class that is not among the labels is NaN, not an error and not a flag."""
    labels = np.zeros(30, int)
    _, found = check([labels, labels], labels, 2)
    assert found.class_accuracy[0] == 1 and np.isnan(found.class_accuracy[1]) and not found.harms


def test_counts_have_to_fit() -> None:
    """Labels, class names or views in another number than the logits are refused, not broadcast."""
    labels = np.zeros(4, int)
    logits = logits_of(np.zeros((2, 4), int), 3)
    for names, views, given in (
        (["a"] * 3, ["x"], labels),
        (["a"], ["x", "y"], labels),
        (["a"] * 3, ["x", "y"], labels[:3]),
    ):
        with pytest.raises(ValueError, match="expected"):
            check_views(logits, given, class_names=names, views=views)
