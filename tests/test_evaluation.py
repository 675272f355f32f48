"""Evaluation: predictions from stored logits, pairing with identity, and the wall between fitting and test."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import accuracy_score, log_loss
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from harness import evaluation
from harness.calibration import fit_temperature
from harness.cross_fitting import Folds
from harness.errors import DataError, ModelError
from harness.evaluation import Evaluation, Settings, evaluate, gains_over_first, score, view_logits
from harness.firewall import Examples
from harness.metrics import reliability_bins
from harness.policies.base import Aggregation
from harness.policies.policy import Policy
from harness.policies.registry import make_aggregation
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


def named(kind: str, **parameters: float | str) -> Aggregation:
    """An aggregation by its name."""
    return make_aggregation(kind, parameters)


POLICIES = (
    Policy("hflip", (IDENTITY, HFLIP)),
    Policy("shift_logits", (IDENTITY, HFLIP, SHIFT), named("mean_logits")),
    Policy("vflip", (IDENTITY, VFLIP), named("max_probs")),
    Policy("only_vflip", (VFLIP,)),
)
LEARNED = (
    *(
        Policy(kind, VIEWS, named(kind))
        for kind in (
            "augtta",
            "classtta",
            "augtta_or_classtta",
            "m_atta",
            "covariance_weights",
            "stacking",
            "loss_ridge",
            "v_atta",
            "learned_early_exit",
        )
    ),
    Policy("gps", VIEWS, named("gps", budget=3)),
    Policy("best_subset", VIEWS, named("best_subset", size=2)),
    Policy("selective", VIEWS, named("selective", share=0.3)),
)
FAST = Settings(resamples=20)


def examples(labels: dict[str, np.ndarray] | None = None) -> dict[str, Examples]:
    """The splits with ids of their own."""
    return {
        split: Examples(np.array([f"{split}/{i}" for i in range(len(found))]), found)
        for split, found in (labels or LABELS).items()
    }


def source(split: str, view: View) -> np.ndarray:
    """A logit source in memory."""
    return STORED[split, view]


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    """One evaluation that several tests look at."""
    return evaluate(POLICIES, source, examples(), settings=Settings(resamples=500, seed=3))


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
    assert set(identity.p_values.values()) == set(identity.p_values_adjusted.values()) == {1.0}
    assert (identity.corrected, identity.corrupted, identity.verdict) == (0, 0, "undecided")


def test_metrics_agree_with_scikit_learn(evaluated: Evaluation) -> None:
    """Accuracy and NLL, before and after temperature, on both splits, from SciPy's softmax and scikit-learn."""
    result = evaluated.result("hflip")
    for split, metrics in (("validation", result.validation), ("test", result.test)):
        probs = special.softmax(np.stack([STORED[split, v] for v in (IDENTITY, HFLIP)]).astype(float), axis=-1).mean(0)
        classes = np.arange(CLASSES)
        assert metrics["accuracy"] == pytest.approx(accuracy_score(LABELS[split], probs.argmax(1)))
        assert metrics["nll"] == pytest.approx(log_loss(LABELS[split], probs, labels=classes), rel=1e-9)
    after = special.softmax(np.log(probs) / result.temperature, axis=1)
    assert result.test["nll_calibrated"] == pytest.approx(log_loss(LABELS["test"], after, labels=classes), rel=1e-9)
    assert set(result.test) - set(result.validation) == {
        "nll_calibrated_paper", "classwise_ece", "brier_reliability", "brier_resolution", "brier_uncertainty",
        "brier_within_bins",
    }  # fmt: skip
    parts = [result.test[f"brier_{name}"] for name in ("reliability", "uncertainty", "within_bins")]
    assert sum(parts) - result.test["brier_resolution"] == pytest.approx(result.test["brier"], rel=1e-9)


def test_the_temperature_is_that_of_validation(evaluated: Evaluation) -> None:
    """The temperature is the best one on validation; test uses it as it is."""
    for result in evaluated.results:
        logits = np.stack([STORED["validation", view] for view in result.policy.views])
        log_probs = result.fitted.fitted(logits)
        assert result.temperature == pytest.approx(fit_temperature(log_probs, LABELS["validation"]), rel=1e-6)


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
    assert (found.level, evaluated.settings.level) == (0.95, 0.95)


def test_a_policy_has_the_same_interval_in_any_company(evaluated: Evaluation) -> None:
    """Intervals come from one stream of resamples, whatever the other policies are."""
    alone = evaluate(POLICIES[1:2], source, examples(), settings=evaluated.settings).results[1]
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
    np.testing.assert_allclose([result.p_values["accuracy"] for result in evaluated.results[1:]], expected, rtol=1e-9)
    discoveries = [result.p_values_bh["accuracy"] for result in evaluated.results[1:]]
    np.testing.assert_allclose(discoveries, multipletests(expected, method="fdr_bh")[1], rtol=1e-9)
    adjusted = multipletests(expected, method="holm")[1]
    np.testing.assert_allclose(
        [result.p_values_adjusted["accuracy"] for result in evaluated.results[1:]], adjusted, rtol=1e-9
    )


def test_other_p_values_are_paired_t_tests(evaluated: Evaluation) -> None:
    """The gains in NLL, before and after temperature, are tested by SciPy's paired t test."""
    base = evaluated.identity
    for result in evaluated.results[1:]:
        expected = stats.ttest_rel(base.nll_calibrated, result.nll_calibrated).pvalue
        assert result.p_values["nll_calibrated"] == pytest.approx(expected, rel=1e-6)
        assert result.p_values["nll"] == pytest.approx(stats.ttest_rel(base.scores.nll, result.scores.nll).pvalue)


def test_policies_that_were_tried_elsewhere_enter_the_correction(evaluated: Evaluation) -> None:
    """With 996 more tried, the smallest p is multiplied by a thousand, and nothing else changes."""
    other = evaluate(POLICIES, source, examples(), settings=evaluated.settings, tried=996)
    smallest = min(evaluated.results[1:], key=lambda result: result.p_values["accuracy"])
    after = other.result(smallest.policy.name)
    assert other.tried == 1000
    assert after.p_values == smallest.p_values
    assert after.p_values_adjusted["accuracy"] == pytest.approx(min(1, 1000 * smallest.p_values["accuracy"]))


def test_a_good_view_ships_and_a_bad_one_does_not(evaluated: Evaluation) -> None:
    """The verdicts follow the adjusted p: the good view's gain is found, the bad view's harm too."""
    assert evaluated.result("hflip").verdict == "ship"
    assert evaluated.result("only_vflip").verdict == "do not ship"


def test_permuted_test_labels_change_nothing_that_is_fitted_or_chosen() -> None:
    """With the test labels shuffled, everything learned, searched and chosen is the same to the last bit."""
    shuffled = LABELS | {"test": np.random.default_rng(0).permutation(LABELS["test"])}
    policies = (*POLICIES, *LEARNED)
    settings = Settings(resamples=20, folds=Folds(3, 1, 0))
    runs = [evaluate(policies, source, examples(labels), settings=settings) for labels in (LABELS, shuffled)]
    for before, after in zip(runs[0].results, runs[1].results, strict=True):
        assert before.temperature == after.temperature
        assert before.validation == after.validation
        assert before.fitted.fitted.parameters() == after.fitted.fitted.parameters()
        assert before.fitted.conformal.thresholds == after.fitted.conformal.thresholds
        assert (before.passes_per_image == after.passes_per_image).all()
        assert before.provenance == after.provenance
    for criterion in ("nll_calibrated", "nll", "accuracy"):
        chosen = [choose(run.results, criterion=criterion).policy for run in runs]
        assert chosen[0] == chosen[1] != "identity"
    assert runs[1].identity.test["accuracy"] < 0.4 < runs[0].identity.test["accuracy"]


def test_splits_that_share_examples_are_refused() -> None:
    """One validation example among the test examples: a line with both splits and the example."""
    splits = examples()
    ids = splits["test"].ids.astype(object)
    ids[3] = "validation/7"
    splits["test"] = Examples(ids.astype(np.str_), LABELS["test"])
    with pytest.raises(DataError, match="validation and test share 1 examples, the first is validation/7"):
        evaluate(POLICIES, source, splits, settings=FAST)


def test_numbers_say_which_examples_they_come_from(evaluated: Evaluation) -> None:
    """Fit and choice name validation's ids, the report test's."""
    splits = examples()
    for result in evaluated.results:
        assert result.provenance.fit == result.provenance.select == splits["validation"].digest
        assert result.provenance.report == splits["test"].digest


def test_conformal_sets_are_calibrated_apart_from_the_weights() -> None:
    """A learned policy's sets come from weights fitted on half of validation, not from those that are shipped."""
    found = evaluate(LEARNED[:1], source, examples(), settings=FAST).results[1]
    assert found.fitted.conformal.fitted.parameters() != found.fitted.fitted.parameters()
    assert set(found.conformal) == {"aps", "raps"}
    assert all(sets.coverage > 0.85 for sets in found.conformal.values())


def test_the_order_of_examples_changes_no_metric(evaluated: Evaluation) -> None:
    """Test examples in another order have the same metrics: no example sees another."""
    order = np.random.default_rng(1).permutation(400)

    def shuffled(split: str, view: View) -> np.ndarray:
        return STORED[split, view][order] if split == "test" else STORED[split, view]

    other = evaluate(POLICIES, shuffled, examples(LABELS | {"test": LABELS["test"][order]}), settings=FAST)
    for before, after in zip(evaluated.results, other.results, strict=True):
        plain = {name: value for name, value in before.test.items() if name != "nll_calibrated_paper"}  # random halves
        assert {name: after.test[name] for name in plain} == pytest.approx(plain, abs=1e-9)
        np.testing.assert_array_equal(after.scores.predicted, before.scores.predicted[order])
        assert (before.corrected, before.corrupted) == (after.corrected, after.corrupted)


def test_a_slice_of_the_examples_scores_as_the_scores_sliced(evaluated: Evaluation) -> None:
    """Evaluating every other test example gives every other score."""

    def sliced(split: str, view: View) -> np.ndarray:
        return STORED[split, view][::2] if split == "test" else STORED[split, view]

    other = evaluate(POLICIES, sliced, examples(LABELS | {"test": LABELS["test"][::2]}), settings=FAST)
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
    results = evaluate([once, twice], source, examples(), settings=FAST).results
    assert results[1].test == results[2].test


def test_no_policies_leaves_identity() -> None:
    """An empty list evaluates the reference alone."""
    results = evaluate([], source, examples(), settings=FAST).results
    assert [result.policy.name for result in results] == ["identity"]
    assert choose(results).verdict == "do not ship"


def test_five_classes_have_no_top_five() -> None:
    """Top-5 accuracy is left out for C <= 5."""
    labels = {split: found % 5 for split, found in LABELS.items()}
    results = evaluate([], lambda split, view: STORED[split, view][:, :5], examples(labels), settings=FAST).results
    assert "top5_accuracy" not in results[0].test


def swapped(view: View, wrong: np.ndarray) -> Callable[[str, View], np.ndarray]:
    """The logits, with those of one view on test replaced."""
    return lambda split, asked: wrong if (split, asked) == ("test", view) else STORED[split, asked]


def test_views_that_do_not_fit_together_are_refused() -> None:
    """Another number of classes or of examples than the other views, or than the labels: one line."""
    policy, good = Policy("p", (IDENTITY, HFLIP)), STORED["test", HFLIP]
    for wrong, said in ((good[:, :-1], "one shape"), (good[:-1], "400 labels"), (good[0], "400 labels")):
        with pytest.raises(DataError, match=said):
            evaluate([policy], swapped(HFLIP, wrong), examples(), settings=FAST)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_named_by_their_view(bad: float) -> None:
    """A NaN or infinite logit is refused with the view that has it, not averaged away."""
    broken = STORED["test", HFLIP].copy()
    broken[17, 3] = bad
    with pytest.raises(ModelError, match=f"under view {HFLIP.name} "):
        evaluate([Policy("p", (IDENTITY, HFLIP))], swapped(HFLIP, broken), examples(), settings=FAST)


def test_another_split_is_scored_with_what_was_fitted(evaluated: Evaluation) -> None:
    """A corrupted copy of test costs no fit: with clean logits the scores and gains are those of test."""
    splits = examples()
    logits = view_logits(POLICIES, source, "test", splits["test"])
    scored = score(evaluated.fitted, logits, splits["test"], settings=evaluated.settings)
    brief = score(evaluated.fitted, logits, splits["test"], settings=evaluated.settings, report=False)
    gains = gains_over_first(scored, settings=evaluated.settings)
    for one, result in zip(scored, evaluated.results, strict=True):
        assert one.metrics == result.test
    for one, result in zip(brief, evaluated.results, strict=True):
        assert one.metrics.items() <= result.test.items()
        assert (one.reported, one.conformal) == ({}, {})
    for gain, result in zip(gains, evaluated.results, strict=True):
        assert gain == result.gains


def test_no_code_path_gives_test_labels_to_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitting is called once, with validation's examples and logits alone, before test logits are asked for."""
    asked: list[str] = []
    calls: list[tuple[object, ...]] = []
    original = evaluation.fit_policies

    def spy(*arguments: object, **settings: object) -> object:
        calls.append(arguments)
        assert "test" not in asked
        return original(*arguments, **settings)  # type: ignore[arg-type]

    def watched(split: str, view: View) -> np.ndarray:
        asked.append(split)
        return STORED[split, view]

    monkeypatch.setattr(evaluation, "fit_policies", spy)
    evaluate(POLICIES, watched, examples(), settings=FAST)
    ((_, views, given),) = calls
    assert isinstance(given, Examples)
    np.testing.assert_array_equal(given.labels, LABELS["validation"])
    assert isinstance(views, dict)
    assert {len(array) for array in views.values()} == {COUNTS["validation"]}


def test_a_search_that_ends_at_identity_is_identity() -> None:
    """It has identity's temperature, gains exactly nothing, and no p-value finds it."""

    def bad(split: str, view: View) -> np.ndarray:
        return STORED[split, view if view == IDENTITY else VFLIP]

    policies = [Policy("gps", VIEWS, named("gps", budget=1)), Policy("subset", VIEWS, named("best_subset", size=1))]
    found = evaluate(policies, bad, examples(), settings=FAST)
    for result in found.results[1:]:
        assert result.fitted.fitted.parameters()["weights"] == [1.0, 0.0, 0.0, 0.0]
        assert result.temperature == pytest.approx(found.identity.temperature, rel=1e-9)
        assert {gain.ends for gain in result.gains.values()} == {(0.0, 0.0, 0.0)}
        assert set(result.p_values.values()) == {1.0}
