"""Fixed aggregations: hand values, invariants, SciPy and long doubles as witnesses, and what public libraries give."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from harness.policies import anchored, fixed
from harness.policies.base import Fixed
from harness.policies.logits import ViewLogits
from harness.policies.votes import Vote

MEANS: list[Fixed] = [
    fixed.MeanProbs(),
    fixed.MeanLogits(),
    fixed.GMeanProbs(),
    fixed.HMeanProbs(),
    fixed.PowerMeanProbs(0.5),
    fixed.PowerMeanProbs(-3),
    fixed.PowerMeanProbs(1e-7),
    fixed.LogOddsProbs(),
    fixed.MaxProbs(),
    fixed.MaxLogits(),
    fixed.MinProbs(),
    fixed.MedianProbs(),
    fixed.TrimmedMeanProbs(0.25),
]
ANCHORED: list[Fixed] = [anchored.AnchorProbs(0.4), anchored.AnchorLogits(0.4)]
EVERY: list[Fixed] = [*MEANS, *ANCHORED, Vote()]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "merges.json").read_text())


def name(aggregation: object) -> str:
    """A test's name for an aggregation."""
    return aggregation.label() if hasattr(aggregation, "label") else ""


def random_logits(views: int, *, examples: int = 40, classes: int = 7, scale: float = 3.0) -> np.ndarray:
    """Made-up logits `[V, n, C]` float32."""
    rng = np.random.default_rng(11)
    return (scale * rng.uniform(-1, 1, (views, examples, classes))).astype(np.float32)


def logits_of(probs: list[list[float]]) -> np.ndarray:
    """Logits `[V, 1, C]` of one example whose views have these probabilities."""
    return np.log(np.array(probs))[:, None, :]


def normalised(values: np.ndarray) -> np.ndarray:
    """Rows that sum to one."""
    return values / values.sum(axis=-1, keepdims=True)


P = [[0.6, 0.1, 0.3], [0.5, 0.35, 0.15], [0.1, 0.6, 0.3]]
CUBE = list(np.cbrt([0.030, 0.021, 0.0135]) / np.cbrt([0.030, 0.021, 0.0135]).sum())
HARMONIC = [1 / (1 / 0.6 + 2 + 10), 1 / (10 + 1 / 0.35 + 1 / 0.6), 1 / (1 / 0.3 + 1 / 0.15 + 1 / 0.3)]
SQUARES = list(np.sqrt([0.36 + 0.25 + 0.01, 0.01 + 0.1225 + 0.36, 0.09 + 0.0225 + 0.09]))
ODDS = [1.5 * 1.0 / 9, 1 / 9 * 7 / 13 * 1.5, 3 / 7 * 3 / 17 * 3 / 7]  # products of p / (1 - p)
LOGISTIC = [np.cbrt(odds) / (1 + np.cbrt(odds)) for odds in ODDS]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (fixed.MeanProbs(), [0.40, 0.35, 0.25]),
        (fixed.GMeanProbs(), CUBE),
        (fixed.MeanLogits(), CUBE),
        (fixed.HMeanProbs(), [value / sum(HARMONIC) for value in HARMONIC]),
        (fixed.PowerMeanProbs(2), [value / sum(SQUARES) for value in SQUARES]),
        (fixed.LogOddsProbs(), [value / sum(LOGISTIC) for value in LOGISTIC]),
        (fixed.MaxProbs(), [0.6 / 1.5, 0.6 / 1.5, 0.3 / 1.5]),
        (fixed.MaxLogits(), [0.6 / 1.5, 0.6 / 1.5, 0.3 / 1.5]),
        (fixed.MinProbs(), [0.1 / 0.35, 0.1 / 0.35, 0.15 / 0.35]),
        (fixed.MedianProbs(), [0.5 / 1.15, 0.35 / 1.15, 0.3 / 1.15]),
        (fixed.TrimmedMeanProbs(0.34), [0.5 / 1.15, 0.35 / 1.15, 0.3 / 1.15]),
        (fixed.TrimmedMeanProbs(0.33), [0.40, 0.35, 0.25]),
        (Vote(), [(2 + 0.4) / 4, (1 + 0.35) / 4, (0 + 0.25) / 4]),
        (anchored.AnchorProbs(0.25), [0.15 + 0.75 * 0.3, 0.025 + 0.75 * 0.475, 0.075 + 0.75 * 0.225]),
        (anchored.AnchorProbs(1), P[0]),
        (anchored.AnchorProbs(0), [0.3, 0.475, 0.225]),
        (anchored.AnchorLogits(0.5), list(normalised(np.sqrt(np.array(P[0]) * np.sqrt(np.array(P[1]) * P[2]))))),
    ],
    ids=name,
)
def test_three_views_by_hand(aggregation: Fixed, expected: list[float]) -> None:
    """Three views of one example give the probabilities that the formula gives on paper."""
    np.testing.assert_allclose(np.exp(aggregation(logits_of(P)))[0], expected, rtol=1e-12)


def test_median_of_an_even_number_of_views_by_hand() -> None:
    """With four views the median is the mean of the two middle probabilities, class by class."""
    logits = logits_of([[0.1, 0.9], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    np.testing.assert_allclose(np.exp(fixed.MedianProbs()(logits))[0], [0.4, 0.6], rtol=1e-12)


@pytest.mark.parametrize("views", [1, 2, 5, 8])
def test_ordinary_logits_agree_with_scipy_and_numpy(views: int) -> None:
    """At ordinary sizes the log-space results equal the plain formulas on SciPy's softmax."""
    logits = random_logits(views).astype(np.float64)
    p = special.softmax(logits, axis=-1)
    odds = special.expit(special.logit(p).mean(axis=0))
    witnesses = {
        fixed.MeanProbs(): p.mean(axis=0),
        fixed.MeanLogits(): special.softmax(logits.mean(axis=0), axis=-1),
        fixed.GMeanProbs(): stats.gmean(p, axis=0),
        fixed.HMeanProbs(): stats.hmean(p, axis=0),
        fixed.PowerMeanProbs(0.5): stats.pmean(p, 0.5, axis=0),
        fixed.PowerMeanProbs(-2): stats.pmean(p, -2, axis=0),
        fixed.PowerMeanProbs(7): stats.pmean(p, 7, axis=0),
        fixed.LogOddsProbs(): odds,
        fixed.MaxProbs(): p.max(axis=0),
        fixed.MaxLogits(): special.softmax(logits.max(axis=0), axis=-1),
        fixed.MinProbs(): p.min(axis=0),
        fixed.MedianProbs(): np.median(p, axis=0),
        fixed.TrimmedMeanProbs(0.3): stats.trim_mean(p, 0.3, axis=0),
    }
    for aggregation, expected in witnesses.items():
        found = np.exp(aggregation(logits))
        np.testing.assert_allclose(found, normalised(expected), rtol=1e-10, err_msg=aggregation.kind)


@pytest.mark.parametrize("power", [1e-9, -1e-9, 1e-3, 50.0])
def test_power_mean_agrees_with_long_doubles(power: float) -> None:
    """The power mean keeps its digits for powers close to zero and far from it."""
    logits = random_logits(5, scale=8.0)
    p = special.softmax(logits.astype(np.longdouble), axis=-1)
    if power < 1e-2:
        expected = normalised(np.exp(np.log1p(np.expm1(power * np.log(p)).mean(axis=0)) / power))
    else:
        expected = normalised((p**power).mean(axis=0) ** np.longdouble(1 / power))
    np.testing.assert_allclose(np.exp(fixed.PowerMeanProbs(power)(logits)), expected.astype(float), rtol=1e-9)


def test_powers_pass_from_minimum_to_maximum() -> None:
    """The power mean is the harmonic mean at -1, near the geometric mean close to 0, the mean at 1."""
    logits = random_logits(6)
    np.testing.assert_allclose(fixed.PowerMeanProbs(-1)(logits), fixed.HMeanProbs()(logits), atol=1e-12)
    np.testing.assert_allclose(fixed.PowerMeanProbs(1e-10)(logits), fixed.GMeanProbs()(logits), atol=1e-8)
    np.testing.assert_allclose(fixed.PowerMeanProbs(1)(logits), fixed.MeanProbs()(logits), atol=1e-12)
    np.testing.assert_allclose(fixed.PowerMeanProbs(100)(logits), fixed.MaxProbs()(logits), atol=0.05)
    np.testing.assert_allclose(fixed.PowerMeanProbs(-100)(logits), fixed.MinProbs()(logits), atol=0.05)


def test_log_odds_of_certain_views() -> None:
    """Where 1 - p is far below the resolution of float64 at one, its logarithm still counts."""
    logits = np.array([[[0.0, -100.0, -200.0]], [[-60.0, 0.0, -200.0]]])
    odds = np.array([(100 - 60) / 2, (-100 + 60) / 2])
    found = fixed.LogOddsProbs()(logits)[0]
    np.testing.assert_allclose(found, [*-np.log1p(np.exp(-odds)), -200.0], rtol=1e-8, atol=1e-12)


def test_mean_of_logits_is_geometric_mean_of_probabilities() -> None:
    """`mean_logits` and `gmean_probs` are one distribution, whatever constants the logits carry."""
    logits = random_logits(4) + np.arange(4, dtype=np.float32)[:, None, None] * 3
    np.testing.assert_allclose(fixed.MeanLogits()(logits), fixed.GMeanProbs()(logits), atol=1e-6)


def test_mean_of_logits_is_not_mean_of_probabilities() -> None:
    """The two spaces differ: one view that is almost certain wins by its logits, not by its probabilities."""
    logits = logits_of([[0.0001, 0.9999], [0.8, 0.2], [0.8, 0.2]])
    assert np.argmax(fixed.MeanProbs()(logits)) == 0
    assert np.argmax(fixed.MeanLogits()(logits)) == 1


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.29, 0.3, 0.4999999999])
def test_trimming_counts_whole_views(fraction: float) -> None:
    """floor(fraction * V) views go at each end in exact arithmetic, and one or two always stay."""
    from decimal import Decimal

    for views in (1, 2, 3, 10, 100):
        p = special.softmax(random_logits(views, examples=3).astype(np.float64), axis=-1)
        cut = int(Decimal(str(fraction)) * views)
        expected = normalised(np.sort(p, axis=0)[cut : views - cut].mean(axis=0))
        found = fixed.TrimmedMeanProbs(fraction)(np.log(p))
        np.testing.assert_allclose(np.exp(found), expected, rtol=1e-10)


@pytest.mark.parametrize("aggregation", [*MEANS, *ANCHORED], ids=name)
def test_one_view_is_its_own_log_softmax(aggregation: Fixed) -> None:
    """With one view there is nothing to aggregate."""
    logits = random_logits(1)
    expected = special.log_softmax(logits[0].astype(np.float64), axis=-1)
    np.testing.assert_allclose(aggregation(logits), expected, atol=1e-12)


def test_one_view_keeps_its_winner_under_vote() -> None:
    """A vote of one view has that view's winner."""
    logits = random_logits(1)
    np.testing.assert_array_equal(Vote()(logits).argmax(-1), logits[0].argmax(-1))


@pytest.mark.parametrize("aggregation", [*MEANS, Vote()], ids=name)
def test_order_of_views_changes_nothing(aggregation: Fixed) -> None:
    """Any order of the views gives the same result within float rounding."""
    logits = random_logits(4)
    expected = aggregation(logits)
    for order in permutations(range(4)):
        np.testing.assert_allclose(aggregation(logits[list(order)]), expected, atol=1e-12)


@pytest.mark.parametrize("aggregation", ANCHORED, ids=name)
def test_only_the_plain_view_has_a_place(aggregation: Fixed) -> None:
    """Anchored aggregations treat the first view apart and the others alike, and say so."""
    logits = random_logits(4)
    assert type(aggregation).anchored
    np.testing.assert_allclose(aggregation(logits[[0, 3, 1, 2]]), aggregation(logits), atol=1e-12)
    assert np.abs(aggregation(logits[[1, 0, 2, 3]]) - aggregation(logits)).max() > 0.01


@pytest.mark.parametrize("aggregation", [*MEANS, Vote()], ids=name)
def test_repeating_every_view_changes_no_mean(aggregation: Fixed) -> None:
    """All views given twice: no mean, extreme or median moves, and the vote keeps its winner."""
    logits = random_logits(4)
    once, twice = aggregation(logits), aggregation(np.concatenate([logits, logits]))
    if aggregation == Vote():
        np.testing.assert_array_equal(once.argmax(-1), twice.argmax(-1))
    else:
        np.testing.assert_allclose(twice, once, atol=1e-12)


@pytest.mark.parametrize("aggregation", EVERY, ids=name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("views", [1, 3])
def test_rows_are_finite_distributions_at_extreme_logits(aggregation: Fixed, dtype: type, views: int) -> None:
    """Logits up to the largest float32, of both signs, or all equal: finite log-probabilities, rows sum to one."""
    for scale in (0.0, 1.0, 1e4, 1e30, 3e38):
        found = aggregation(random_logits(views, scale=scale).astype(dtype))
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.exp(found).sum(-1), 1.0, atol=1e-9)
        if scale == 0 and aggregation != Vote():
            np.testing.assert_allclose(found, -np.log(7), rtol=1e-12)


@pytest.mark.parametrize("aggregation", EVERY, ids=name)
def test_nothing_underflows(aggregation: Fixed) -> None:
    """A class that every view puts at e^-20000 keeps its logarithm, where probabilities would be zero."""
    logits = np.tile(np.array([1e4, -1e4, -1.5e4]), (3, 1, 1))
    extra = np.log(4) if aggregation == Vote() else 0.0
    np.testing.assert_allclose(aggregation(logits)[0][1:], [-20000 - extra, -25000 - extra], rtol=1e-9)


@pytest.mark.parametrize("aggregation", [one for one in EVERY if one != fixed.MaxLogits()], ids=name)
def test_a_number_added_to_all_logits_of_a_view_changes_nothing(aggregation: Fixed) -> None:
    """Logits are defined up to a constant per view and example; so is every aggregation but `max_logits`."""
    logits = random_logits(3).astype(np.float64)
    moved = logits + np.array([1.0, -7.0, 40.0])[:, None, None]
    np.testing.assert_allclose(aggregation(moved), aggregation(logits), atol=1e-9)


@pytest.mark.parametrize("aggregation", EVERY, ids=name)
def test_examples_do_not_see_each_other(aggregation: Fixed) -> None:
    """An example's result is the same alone as in company, and it costs all views."""
    logits = random_logits(3)
    together = aggregation(logits)
    for i in range(5):
        np.testing.assert_allclose(aggregation(logits[:, i : i + 1])[0], together[i], atol=1e-14)
    np.testing.assert_array_equal(aggregation.passes(logits), np.full(40, 3))


def test_a_view_without_weight_costs_no_pass() -> None:
    """An anchor of weight one needs the plain view alone, one of weight zero all the others."""
    logits = random_logits(4, examples=2)
    for cls in (anchored.AnchorProbs, anchored.AnchorLogits):
        assert [cls(beta).passes(logits).tolist() for beta in (0, 0.5, 1)] == [[3, 3], [4, 4], [1, 1]]


def test_a_fixed_aggregation_is_its_own_fit() -> None:
    """There is nothing to learn: `fit` gives the aggregation back, which has nothing to record."""
    for aggregation in EVERY:
        assert aggregation.fit(ViewLogits.of(random_logits(2)), np.zeros(40, np.int64)) is aggregation
        assert aggregation.parameters() == {}
        assert not aggregation.learns


def test_vote_winner_is_the_plurality() -> None:
    """The winner has the most votes, and among classes with equally many the highest mean probability."""
    logits = random_logits(6, examples=300, classes=4, scale=1.0)
    votes = np.stack([(logits.argmax(-1) == c).sum(0) for c in range(4)], axis=1)
    probs = special.softmax(logits.astype(np.float64), axis=-1).mean(0)
    most = votes == votes.max(axis=1, keepdims=True)
    assert (most.sum(axis=1) > 1).sum() > 20, "the case needs ties"
    expected = np.where(most, probs, -1.0).argmax(axis=1)
    np.testing.assert_array_equal(Vote()(logits).argmax(-1), expected)


def test_vote_overrules_a_louder_minority() -> None:
    """Two faint votes beat one certain one."""
    logits = logits_of([[0.51, 0.49, 0.0001], [0.51, 0.49, 0.0001], [0.0001, 0.0001, 0.9998]])
    assert np.argmax(Vote()(logits)) == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: fixed.PowerMeanProbs(0), "zero; the limit at zero is gmean_probs"),
        (lambda: fixed.PowerMeanProbs(-0.0), "zero"),
        (lambda: fixed.PowerMeanProbs(101), r"power must be a number in \[-100, 100\]"),
        (lambda: fixed.PowerMeanProbs(float("nan")), "power must be"),
        (lambda: fixed.TrimmedMeanProbs(0.5), r"fraction must be a number in \[0, 0.5\)"),
        (lambda: fixed.TrimmedMeanProbs(-0.1), "fraction must be"),
        (lambda: anchored.AnchorProbs(1.1), "beta must be"),
        (lambda: anchored.AnchorLogits(-0.1), "beta must be"),
    ],
)
def test_parameters_out_of_range_are_refused(make: object, says: str) -> None:
    """A parameter that means nothing is refused where it is given, in one line."""
    with pytest.raises(ValueError, match=says) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("library", "kind", "aggregation"),
    [
        ("ttach", "mean", fixed.MeanProbs()),
        ("ttach", "sum", fixed.MeanProbs()),
        ("ttach", "gmean", fixed.GMeanProbs()),
        ("ttach", "max", fixed.MaxProbs()),
        ("ttach", "min", fixed.MinProbs()),
        ("pytorch_toolbelt", "mean", fixed.MeanProbs()),
        ("pytorch_toolbelt", "sum", fixed.MeanProbs()),
        ("pytorch_toolbelt", "gmean", fixed.GMeanProbs()),
        ("pytorch_toolbelt", "hmean", fixed.HMeanProbs()),
        ("pytorch_toolbelt", "logodd", fixed.LogOddsProbs()),
    ],
    ids=name,
)
def test_public_libraries_give_the_same_before_normalising(library: str, kind: str, aggregation: Fixed) -> None:
    """On ordinary probabilities, what ttach and pytorch-toolbelt give is ours once rows are divided by their sum."""
    found = np.exp(aggregation(np.log(GOLDEN["probs"])))
    np.testing.assert_allclose(found, normalised(np.array(GOLDEN[library][kind])), rtol=1e-9)


def test_tsharpen_is_a_power_mean_that_is_no_distribution() -> None:
    """The `tsharpen` of ttach is the mean of p^(1/2): its rows do not sum to one, its squares do, normalised."""
    theirs = np.array(GOLDEN["ttach"]["tsharpen"])
    ours = np.exp(fixed.PowerMeanProbs(0.5)(np.log(GOLDEN["probs"])))
    assert theirs.sum(axis=-1).min() > 1.05
    np.testing.assert_array_equal(ours.argmax(-1), theirs.argmax(-1))
    np.testing.assert_allclose(ours, normalised(theirs**2), rtol=1e-9)


def test_where_public_libraries_lose_small_probabilities() -> None:
    """Sixteen equal views are that view, but a running product underflows and clipping at 1e-6 lifts a small class."""
    lost = GOLDEN["underflow"]
    probs = np.array(lost["probs"])
    assert np.array(lost["ttach_gmean_float32"])[0, 1:].tolist() == [0.0, 0.0]
    for theirs in (lost["pytorch_toolbelt_logodd"], lost["pytorch_toolbelt_hmean"]):
        np.testing.assert_allclose(np.array(theirs)[0, 2], 1e-6, rtol=1e-9)
    logits = np.log(np.tile(probs, (lost["views"], 1, 1)))
    for aggregation in (fixed.GMeanProbs(), fixed.LogOddsProbs(), fixed.HMeanProbs()):
        np.testing.assert_allclose(np.exp(aggregation(logits)), normalised(probs), rtol=1e-9)


def test_where_a_public_library_takes_logits_for_probabilities() -> None:
    """Roots of negative logits are NaN in ttach; ours start from logits and so cannot take one for the other."""
    wrong = GOLDEN["on_logits"]
    logits = np.array(wrong["logits"])
    assert wrong["ttach_gmean"][0][1] is None
    assert wrong["ttach_tsharpen"][0][1] is None
    for aggregation in (fixed.GMeanProbs(), fixed.PowerMeanProbs(0.5)):
        assert np.isfinite(aggregation(logits)).all()
