"""Evaluation: predictions from stored logits, pairing with identity, and the wall between fitting and test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import accuracy_score, log_loss
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from harness import evaluation
from harness.calibration import fit_temperature
from harness.errors import ConfigError, DataError, ModelError
from harness.evaluation import Evaluation, evaluate, predict_policy
from harness.metrics import reliability_bins
from harness.policies import aggregation
from harness.policies.aggregation import AGGREGATIONS
from harness.policies.policy import Policy
from harness.selection import choose
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.transforms.geometric import Shift
from harness.views import IDENTITY, View

HFLIP, VFLIP, SHIFT = View((HorizontalFlip(),)), View((VerticalFlip(),)), View((Shift(dx=1, dy=0),))
VIEWS = (IDENTITY, HFLIP, VFLIP, SHIFT)
CLASSES = 7
COUNTS = {"validation": 300, "test": 400}
LABELS = {split: np.random.default_rng(n).integers(CLASSES, size=n) for split, n in COUNTS.items()}
NOISE = {IDENTITY: 2.0, HFLIP: 2.0, VFLIP: 6.0, SHIFT: 2.2}


def made_up() -> dict[tuple[str, View], np.ndarray]:
    """Logits of every pass: the label's raised, noise of its own for every view; VFLIP is a bad view."""
    stored = {}
    for split, n in COUNTS.items():
        rng = np.random.default_rng(n + 1)
        shared = rng.standard_normal((n, CLASSES))
        shared[np.arange(n), LABELS[split]] += 2
        for view in VIEWS:
            own = NOISE[view] * rng.standard_normal((n, CLASSES))
            stored[split, view] = (3 * shared + own).astype(np.float32)
    return stored


STORED = made_up()
POLICIES = (
    Policy("hflip", (IDENTITY, HFLIP)),
    Policy("shift_logits", (IDENTITY, HFLIP, SHIFT), "mean_logits"),
    Policy("vflip", (IDENTITY, VFLIP), "max_probs"),
    Policy("only_vflip", (VFLIP,)),
)


def source(split: str, view: View) -> np.ndarray:
    """A logit source in memory."""
    return STORED[split, view]


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    """One evaluation that several tests look at."""
    return evaluate(POLICIES, source, LABELS, resamples=500, seed=3)


@pytest.mark.parametrize("name", sorted(AGGREGATIONS))
def test_blocks_change_nothing(name: str) -> None:
    """One example at a time, some, or all at once: the same predictions."""
    policy = Policy("p", VIEWS, name)
    whole = AGGREGATIONS[name](np.stack([STORED["test", view] for view in VIEWS]))
    for block in (1, 1000, 10**9):
        found = predict_policy(policy, lambda view: STORED["test", view], LABELS["test"], block=block)
        np.testing.assert_allclose(found.log_probs, whole, atol=1e-13)


def test_each_view_is_asked_for_once_a_policy() -> None:
    """Opening a stored pass is not repeated for every block."""
    asked: list[View] = []

    def logits_of(view: View) -> np.ndarray:
        asked.append(view)
        return STORED["test", view]

    predict_policy(Policy("p", VIEWS), logits_of, LABELS["test"], block=50)
    assert asked == list(VIEWS)


def test_memory_mapped_logits_give_the_same(tmp_path: Path) -> None:
    """Logits on disk, opened read-only as memory maps, are as good as arrays."""
    for i, view in enumerate(VIEWS):
        np.save(tmp_path / f"{i}.npy", STORED["test", view])
    mapped = {view: np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i, view in enumerate(VIEWS)}
    policy = Policy("p", VIEWS)
    found = predict_policy(policy, mapped.__getitem__, LABELS["test"])
    expected = predict_policy(policy, lambda view: STORED["test", view], LABELS["test"])
    np.testing.assert_array_equal(found.log_probs, expected.log_probs)


def test_identity_comes_first_and_policies_keep_their_order(evaluated: Evaluation) -> None:
    """Identity is evaluated though nobody asked; a result is found by its name."""
    names = [result.policy.name for result in evaluated.results]
    assert names == ["identity", *(policy.name for policy in POLICIES)]
    assert evaluated.identity is evaluated.result("identity")
    with pytest.raises(KeyError):
        evaluated.result("nobody")


def test_identity_gains_nothing_over_itself(evaluated: Evaluation) -> None:
    """Identity's gains are zero without width, its p is one, and nothing is corrected or corrupted."""
    identity = evaluated.identity
    for gain in identity.gains.values():
        assert (gain.value, gain.lower, gain.upper) == (0.0, 0.0, 0.0)
    assert (identity.p_value, identity.p_value_adjusted, identity.corrected, identity.corrupted) == (1.0, 1.0, 0, 0)


def test_metrics_agree_with_scikit_learn(evaluated: Evaluation) -> None:
    """Accuracy and NLL, before and after temperature, on both splits, from SciPy's softmax and scikit-learn."""
    result = evaluated.result("hflip")
    for split, metrics in (("validation", result.validation), ("test", result.test)):
        probs = special.softmax(np.stack([STORED[split, v] for v in (IDENTITY, HFLIP)]).astype(float), axis=-1).mean(0)
        classes = np.arange(CLASSES)
        assert metrics["accuracy"] == pytest.approx(accuracy_score(LABELS[split], probs.argmax(1)))
        assert metrics["nll"] == pytest.approx(log_loss(LABELS[split], probs, labels=classes), rel=1e-9)
        after = special.softmax(np.log(probs) / result.temperature, axis=1)
        assert metrics["nll_calibrated"] == pytest.approx(log_loss(LABELS[split], after, labels=classes), rel=1e-9)
    assert set(result.test) == {"accuracy", "top5_accuracy", "nll", "nll_calibrated", "brier", "ece"}
    assert set(result.validation) == set(result.test)


def test_the_temperature_is_that_of_validation(evaluated: Evaluation) -> None:
    """The temperature is the best one on validation, so it cannot raise the NLL there; test uses it as it is."""
    for result in evaluated.results:
        views = result.policy.views
        log_probs = AGGREGATIONS[result.policy.aggregation](np.stack([STORED["validation", v] for v in views]))
        assert result.temperature == pytest.approx(fit_temperature(log_probs, LABELS["validation"]), rel=1e-6)
        assert result.validation["nll_calibrated"] <= result.validation["nll"]


def test_gains_are_differences_of_metrics_and_positive_is_better(evaluated: Evaluation) -> None:
    """Accuracy minus identity's; identity's NLL minus the policy's; the good view gains and the bad one loses."""
    base = evaluated.identity.test
    for result in evaluated.results[1:]:
        assert result.gains["accuracy"].value == pytest.approx(result.test["accuracy"] - base["accuracy"], abs=1e-12)
        for name in ("nll", "nll_calibrated"):
            assert result.gains[name].value == pytest.approx(base[name] - result.test[name], abs=1e-12)
    assert all(evaluated.result("hflip").gains[name].lower > 0 for name in ("nll", "nll_calibrated", "accuracy"))
    assert all(evaluated.result("only_vflip").gains[name].upper < 0 for name in ("nll", "nll_calibrated", "accuracy"))


def test_intervals_are_those_of_explicit_paired_resamples(evaluated: Evaluation) -> None:
    """The interval of the accuracy gain is the percentile interval over indices drawn from the seed."""
    stream = np.random.default_rng(3)
    hit = [evaluated.result(name).scores.correct.astype(float) for name in ("hflip", "identity")]
    drawn = [stream.integers(400, size=400) for _ in range(500)]
    gains = [hit[0][rows].mean() - hit[1][rows].mean() for rows in drawn]
    found = evaluated.result("hflip").gains["accuracy"]
    np.testing.assert_allclose([found.lower, found.upper], np.percentile(gains, [2.5, 97.5]), atol=1e-12)
    assert (found.level, evaluated.level, evaluated.resamples, evaluated.seed) == (0.95, 0.95, 500, 3)


def test_a_policy_has_the_same_interval_in_any_company(evaluated: Evaluation) -> None:
    """Intervals come from one stream of resamples, whatever the other policies are."""
    alone = evaluate(POLICIES[1:2], source, LABELS, resamples=500, seed=3).results[1]
    for name, gain in evaluated.result("shift_logits").gains.items():
        np.testing.assert_allclose(
            [alone.gains[name].lower, alone.gains[name].upper], [gain.lower, gain.upper], atol=1e-12
        )


def test_mcnemar_and_holm_agree_with_statsmodels(evaluated: Evaluation) -> None:
    """McNemar's p comes from the paired table, and is adjusted over all but identity."""
    base = evaluated.identity.scores.correct
    expected = []
    for result in evaluated.results[1:]:
        right = result.scores.correct
        table = [[(right & base).sum(), (right & ~base).sum()], [(~right & base).sum(), (~right & ~base).sum()]]
        assert (result.corrected, result.corrupted) == (table[0][1], table[1][0])
        expected.append(float(mcnemar(table, exact=True).pvalue))
    np.testing.assert_allclose([result.p_value for result in evaluated.results[1:]], expected, rtol=1e-9)
    adjusted = multipletests(expected, method="holm")[1]
    np.testing.assert_allclose([result.p_value_adjusted for result in evaluated.results[1:]], adjusted, rtol=1e-9)


def test_permuted_test_labels_change_nothing_that_is_fitted_or_chosen(evaluated: Evaluation) -> None:
    """With the test labels shuffled, temperatures, validation metrics and the choice are the same to the last bit."""
    shuffled = LABELS | {"test": np.random.default_rng(0).permutation(LABELS["test"])}
    other = evaluate(POLICIES, source, shuffled, resamples=50)
    for before, after in zip(evaluated.results, other.results, strict=True):
        assert before.temperature == after.temperature
        assert before.validation == after.validation
    for criterion in ("nll_calibrated", "nll", "accuracy"):
        chosen = choose(evaluated.results, criterion=criterion)
        assert chosen.policy == choose(other.results, criterion=criterion).policy != "identity"
    assert other.identity.test["accuracy"] < 0.4 < evaluated.identity.test["accuracy"]


def test_the_order_of_examples_changes_no_metric(evaluated: Evaluation) -> None:
    """Test examples in another order have the same metrics: no example sees another."""
    order = np.random.default_rng(1).permutation(400)

    def shuffled(split: str, view: View) -> np.ndarray:
        return STORED[split, view][order] if split == "test" else STORED[split, view]

    other = evaluate(POLICIES, shuffled, LABELS | {"test": LABELS["test"][order]}, resamples=50)
    for before, after in zip(evaluated.results, other.results, strict=True):
        assert after.test == pytest.approx(before.test, abs=1e-12)
        np.testing.assert_array_equal(after.scores.predicted, before.scores.predicted[order])
        assert (before.corrected, before.corrupted) == (after.corrected, after.corrupted)


def test_a_slice_of_the_examples_scores_as_the_scores_sliced(evaluated: Evaluation) -> None:
    """Evaluating every other test example gives every other score."""

    def sliced(split: str, view: View) -> np.ndarray:
        return STORED[split, view][::2] if split == "test" else STORED[split, view]

    other = evaluate(POLICIES, sliced, LABELS | {"test": LABELS["test"][::2]}, resamples=50)
    for before, after in zip(evaluated.results, other.results, strict=True):
        np.testing.assert_allclose(after.scores.nll, before.scores.nll[::2], atol=1e-12)
        np.testing.assert_allclose(after.nll_calibrated, before.nll_calibrated[::2], atol=1e-12)


def test_reliability_can_be_had_of_any_policy(evaluated: Evaluation) -> None:
    """The scores of a result are enough for a reliability diagram."""
    for result in evaluated.results:
        assert reliability_bins(result.scores).count.sum() == 400


def test_a_duplicated_view_changes_no_mean() -> None:
    """A view listed twice is one view."""
    once, twice = Policy("once", (IDENTITY, HFLIP)), Policy("twice", (IDENTITY, HFLIP, HFLIP))
    results = evaluate([once, twice], source, LABELS, resamples=20).results
    assert results[1].test == results[2].test


def test_no_policies_leaves_identity() -> None:
    """An empty list evaluates the reference alone."""
    results = evaluate([], source, LABELS, resamples=20).results
    assert [result.policy.name for result in results] == ["identity"]
    assert choose(results).verdict == "do not ship"


def test_five_classes_have_no_top_five() -> None:
    """Top-5 accuracy is left out for C <= 5."""
    labels = {split: found % 5 for split, found in LABELS.items()}
    results = evaluate([], lambda split, view: STORED[split, view][:, :5], labels, resamples=20).results
    assert "top5_accuracy" not in results[0].test


def swapped(view: View, wrong: np.ndarray) -> Callable[[View], np.ndarray]:
    """The test logits, with those of one view replaced."""
    return lambda asked: wrong if asked == view else STORED["test", asked]


def test_views_that_do_not_fit_together_are_refused() -> None:
    """Another number of classes or of examples than the other views, or than the labels: one line with both."""
    policy, good = Policy("p", (IDENTITY, HFLIP)), STORED["test", HFLIP]
    for wrong in (good[:, :-1], good[:-1], good[0]):
        with pytest.raises(DataError, match="one shape"):
            predict_policy(policy, swapped(HFLIP, wrong), LABELS["test"])
    with pytest.raises(DataError, match="400 examples but 399 labels"):
        predict_policy(policy, swapped(HFLIP, good), LABELS["test"][:-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_named_by_their_view(bad: float) -> None:
    """A NaN or infinite logit is refused with the view that has it, not averaged away."""
    broken = STORED["test", HFLIP].copy()
    broken[17, 3] = bad
    with pytest.raises(ModelError, match=f"under view {HFLIP.name} "):
        predict_policy(Policy("p", (IDENTITY, HFLIP)), swapped(HFLIP, broken), LABELS["test"])


@pytest.mark.parametrize(
    "result",
    [np.zeros((2, 2)), np.full((400, CLASSES), -np.inf), np.full((400, CLASSES), -3.0), np.ones((400, CLASSES))],
)
def test_a_foreign_aggregation_is_checked(result: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package's aggregation that returns a wrong shape, infinities or no distribution is named."""
    monkeypatch.setitem(aggregation.AGGREGATIONS, "theirs", lambda _: result)
    with pytest.raises(ConfigError, match="'theirs' must return"):
        predict_policy(Policy("p", (IDENTITY,), "theirs"), lambda view: STORED["test", view], LABELS["test"])


def test_no_code_path_gives_test_labels_to_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is fitted gets as many labels as validation has, and they are validation's."""
    seen: list[np.ndarray] = []

    def spy(log_probs: np.ndarray, labels: np.ndarray) -> float:
        seen.append(labels)
        return fit_temperature(log_probs, labels)

    monkeypatch.setattr(evaluation, "fit_temperature", spy)
    evaluate(POLICIES, source, LABELS, resamples=20)
    assert len(seen) == len(POLICIES) + 1
    for labels in seen:
        np.testing.assert_array_equal(labels, LABELS["validation"])
