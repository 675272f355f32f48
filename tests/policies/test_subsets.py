"""Subset search: every subset there once, numbers of each by itself, the front by its definition, the null by hand."""

from itertools import chain, combinations

import numpy as np
import pytest
from scipy import special, stats

from harness.calibration import calibrated_nll, fit_temperature
from harness.errors import ConfigError
from harness.intervals import paired_intervals
from harness.policies import subset_gains as gains_module
from harness.policies.linear import WeightedMeans
from harness.policies.linear_temperatures import Criterion, criterion_scores
from harness.policies.logits import ViewLogits
from harness.policies.subset_gains import subset_gains
from harness.policies.subsets import SubsetTable, percentile, random_subset_null, search_subsets
from harness.policies.weighted import WeightedMean

CRITERIA: tuple[Criterion, ...] = ("nll_calibrated", "nll", "accuracy")


def drawn(views: int, examples: int, classes: int, *, seed: int = 0) -> tuple[ViewLogits, np.ndarray]:
    """Logits of views of unlike quality, and labels."""
    rng = np.random.default_rng(seed)
    base = 2 * rng.standard_normal((examples, classes))
    labels = (base + rng.gumbel(size=base.shape)).argmax(axis=1)
    noise = rng.uniform(0.5, 3, (views, 1, 1)) * rng.standard_normal((views, examples, classes))
    return ViewLogits.of((base + noise).astype(np.float32)), labels


def mean_of(table: SubsetTable, place: int, views: int) -> WeightedMean:
    """One policy of a table, by itself."""
    chosen = table.views[place]
    return WeightedMean(table.spaces[place], tuple((view in chosen) / len(chosen) for view in range(views)))


def test_every_subset_is_there_once() -> None:
    """All subsets of one to three of five views; means of logits for those of more than one view; small ones first."""
    logits, labels = drawn(5, 40, 3)
    table = search_subsets(logits, labels, up_to=3)
    subsets = list(chain.from_iterable(combinations(range(5), size) for size in (1, 2, 3)))
    expected = [(subset, "probs") for subset in subsets] + [(subset, "logits") for subset in subsets[5:]]
    found = list(zip(table.views, table.spaces, strict=True))
    assert len(table) == len(expected) == 45
    assert sorted(found) == sorted(expected)
    assert table.passes.tolist() == sorted(len(subset) for subset, _ in found)
    assert [len(subset) for subset in table.views] == table.passes.tolist()
    assert len(search_subsets(logits, labels, up_to=99)) == 2 * 31 - 5


def test_numbers_are_those_of_each_policy() -> None:
    """Accuracy exactly; NLL, temperature and calibrated NLL as of the policy by itself."""
    logits, labels = drawn(4, 300, 4)
    table, raw = search_subsets(logits, labels, up_to=4), logits.stacked()
    for place in range(len(table)):
        log_probs = mean_of(table, place, 4)(raw)
        temperature = fit_temperature(log_probs, labels)
        assert table.accuracy[place] == (log_probs.argmax(axis=1) == labels).mean()
        assert table.nll[place] == pytest.approx(-log_probs[np.arange(300), labels].mean(), abs=1e-6)
        assert table.temperatures[place] == pytest.approx(temperature, abs=1e-4)
        expected = calibrated_nll(log_probs, labels, temperature=temperature).mean()
        assert table.nll_calibrated[place] == pytest.approx(expected, abs=1e-6)


def test_too_many_policies_are_refused() -> None:
    """The message says how many there would be and what to lower; no bound below one view makes sense."""
    logits, labels = drawn(40, 3, 2)
    with pytest.raises(ConfigError, match=r"would try 21,360 policies of up to 3 views, at most 20,000 .*: lower"):
        search_subsets(logits, labels, up_to=3)
    with pytest.raises(ConfigError, match="at least one view"):
        search_subsets(logits, labels, up_to=0)


def test_the_pareto_front_is_what_its_definition_says() -> None:
    """A policy is on the front if none of as few or fewer passes is as good, of equal ones only the first."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        passes = np.sort(rng.integers(1, 5, size=12))
        columns = rng.integers(0, 6, size=(3, 12)) / 6
        table = SubsetTable(((0,),) * 12, ("probs",) * 12, passes, *columns, np.ones(12))
        for criterion, worth in zip(CRITERIA, (-columns[2], -columns[1], columns[0]), strict=True):
            front = [
                place
                for place in range(12)
                if not any(
                    worth[other] >= worth[place]
                    if (passes[other], other) < (passes[place], place)
                    else passes[other] == passes[place] and worth[other] > worth[place]
                    for other in range(12)
                )
            ]
            assert table.pareto(criterion) == tuple(front)


def test_the_pareto_front_by_hand() -> None:
    """One pass .5; two passes .7 and .6; three passes .7, no better; four passes .8."""
    accuracy = np.array([0.5, 0.4, 0.6, 0.7, 0.7, 0.7, 0.8])
    passes = np.array([1, 1, 2, 2, 2, 3, 4])
    table = SubsetTable(((0,),) * 7, ("probs",) * 7, passes, accuracy, -accuracy, 1 - accuracy, np.ones(7))
    assert table.pareto("accuracy") == table.pareto("nll_calibrated") == (0, 3, 6)


def test_gains_on_test_are_those_of_each_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains over the reference, counts and exact p by SciPy's binomial test; temperatures from validation."""
    validation, labels = drawn(4, 200, 3)
    test, test_labels = drawn(4, 300, 3, seed=1)
    table = search_subsets(validation, labels, up_to=2)
    monkeypatch.setattr(gains_module, "_HELD", 1000)
    found = subset_gains(table, test, test_labels, reference=2, resamples=200, seed=5, level=0.9)
    raw, first = test.stacked(), table.views.index((2,))
    log_probs = [mean_of(table, place, 4)(raw) for place in range(len(table))]
    correct = np.array([values.argmax(axis=1) == test_labels for values in log_probs])
    nll = np.array(
        [calibrated_nll(v, test_labels, temperature=t) for v, t in zip(log_probs, table.temperatures, strict=True)]
    )
    np.testing.assert_allclose(found.accuracy, correct.mean(axis=1))
    np.testing.assert_allclose(found.nll_calibrated, nll.mean(axis=1), atol=1e-6)
    up, down = (correct & ~correct[first]).sum(axis=1), (~correct & correct[first]).sum(axis=1)
    assert (found.corrected.tolist(), found.corrupted.tolist()) == (up.tolist(), down.tolist())
    p_values = [stats.binomtest(int(u), int(u + d)).pvalue if u + d else 1.0 for u, d in zip(up, down, strict=True)]
    np.testing.assert_allclose(found.p_values, p_values)
    accuracy = paired_intervals((correct * 1.0 - correct[first]).T, resamples=200, seed=5, level=0.9)
    calibrated = paired_intervals((nll[first] - nll).T, resamples=200, seed=5, level=0.9)
    for place in range(len(table)):
        for one, other in (
            (found.accuracy_gains[place], accuracy[place]),
            (found.nll_calibrated_gains[place], calibrated[place]),
        ):
            np.testing.assert_allclose(
                (one.value, one.lower, one.upper), (other.value, other.lower, other.upper), atol=1e-6
            )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_null_of_few_subsets_is_all_of_them(criterion: Criterion) -> None:
    """Three of five views: the ten subsets, each once."""
    logits, labels = drawn(5, 100, 3)
    found = random_subset_null(logits, labels, size=3, criterion=criterion)
    weights = np.array([[(view in subset) / 3 for view in range(5)] for subset in combinations(range(5), 3)])
    policies = WeightedMeans("probs", weights)
    expected = criterion_scores(policies, logits, labels=labels, criterion=criterion)
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-7)


def test_the_null_by_hand() -> None:
    """Views that are right on the first 1, 2, .. 6 of six examples, surely: a pair's accuracy is the larger of two."""
    logits = np.zeros((6, 6, 2), np.float32)
    for view in range(6):
        logits[view, : view + 1, 1] = 5 + view
        logits[view, view + 1 :, 0] = 1
    found = random_subset_null(ViewLogits.of(logits), np.ones(6, np.int64), size=2, criterion="accuracy")
    assert sorted((6 * found).round().tolist()) == sorted(max(pair) for pair in combinations(range(1, 7), 2))


def test_the_null_is_drawn_by_its_seed() -> None:
    """One seed gives one null, another another; as many distinct subsets as asked for."""
    logits, labels = drawn(9, 60, 3)
    one, again, other = (random_subset_null(logits, labels, size=4, subsets=50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert len(one) == len(np.unique(one)) == 50


def test_the_null_is_unbiased() -> None:
    """Drawn subsets use every view equally often: their mean score is near that of all subsets."""
    logits, labels = drawn(12, 80, 3)
    every = random_subset_null(logits, labels, size=3, subsets=220, criterion="nll")
    some = random_subset_null(logits, labels, size=3, subsets=110, seed=3, criterion="nll")
    assert len(every) == 220
    assert some.mean() == pytest.approx(every.mean(), abs=3 * every.std() / np.sqrt(110))


def test_wrong_sizes_are_refused() -> None:
    """A subset has at least one view and no more than there are."""
    logits, labels = drawn(3, 20, 2)
    for size, subsets in ((0, 200), (4, 200), (2, 0)):
        with pytest.raises(ValueError, match="a size from 1 to 3"):
            random_subset_null(logits, labels, size=size, subsets=subsets)


def test_percentile_by_hand() -> None:
    """The share below, equal ones half; by SciPy's mean percentile too."""
    null = np.array([0.1, 0.2, 0.2, 0.4])
    assert [percentile(score, null) for score in (0.0, 0.2, 0.3, 0.4, 0.5)] == [0.0, 0.5, 0.75, 0.875, 1.0]
    rng = np.random.default_rng(0)
    null = special.expit(rng.standard_normal(200)).round(2)
    for score in (0.3, 0.5, 0.77):
        assert percentile(score, null) == pytest.approx(stats.percentileofscore(null, score, kind="mean") / 100)
