"""Adaptive aggregations: what a view-by-view program would do, written plainly, is the witness."""

import numpy as np
import pytest
from scipy import special, stats

from harness.policies.adaptive import INNER, EarlyExit, ExactExit, Selective
from harness.policies.base import Aggregation, Fitted
from harness.policies.fixed import GMeanProbs, MeanProbs
from harness.policies.learned_exit import LearnedEarlyExit
from harness.policies.logits import ViewLogits

NO_LABELS = np.zeros(0, np.int64)


def random_logits(
    views: int, *, examples: int = 300, classes: int = 5, scale: float = 2.0, seed: int = 0
) -> np.ndarray:
    """Made-up logits `[V, n, C]` float32 of views that agree more or less."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((examples, classes))
    return (scale * (common + 0.7 * rng.standard_normal((views, examples, classes)))).astype(np.float32)


def labels_for(logits: np.ndarray, *, seed: int = 1) -> np.ndarray:
    """Labels `[n]` drawn from the mean of the views' probabilities."""
    p = special.softmax(logits.astype(np.float64), axis=-1).mean(axis=0)
    return (p.cumsum(axis=1) > np.random.default_rng(seed).random((len(p), 1))).argmax(axis=1)


def logits_of(probs: list[list[float]]) -> np.ndarray:
    """Logits `[V, 1, C]` of one example whose views have these probabilities."""
    return np.log(np.array(probs))[:, None, :]


def plainly(logits: np.ndarray, confidence: float) -> tuple[np.ndarray, list[int]]:
    """Early exit, one example and one view after another: probabilities `[n, C]` and passes."""
    probs, passes = [], []
    for example in special.softmax(logits.astype(np.float64), axis=-1).swapaxes(0, 1):
        for used in range(1, len(example) + 1):
            mean = example[:used].mean(axis=0)
            if mean.max() >= confidence:
                break
        probs.append(mean)
        passes.append(used)
    return np.array(probs), passes


def fitted(aggregation: Aggregation, logits: np.ndarray) -> Fitted:
    """The aggregation fitted on these logits."""
    return aggregation.fit(ViewLogits.of(logits), labels_for(logits))


ADAPTIVE = [Selective(0.3), Selective(0.5, "vote", "entropy"), EarlyExit(0.8), LearnedEarlyExit(), ExactExit()]
every = pytest.mark.parametrize("aggregation", ADAPTIVE, ids=lambda one: one.label())


@every
@pytest.mark.parametrize("views", [1, 4])
def test_rows_are_finite_distributions_and_passes_are_between_one_and_all(aggregation: Aggregation, views: int) -> None:
    """Logits up to the largest float32, or all equal: finite rows that sum to one, from 1 to V passes."""
    for scale in (0.0, 1.0, 1e4, 1e30, 3e37):
        logits = random_logits(views, scale=scale, examples=40)
        policy = fitted(aggregation, logits)
        found, passes = policy(logits), policy.passes(logits)
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.exp(found).sum(-1), 1.0, atol=1e-9)
        assert passes.dtype == np.int64
        assert passes.shape == (40,)
        assert passes.min() >= 1
        assert passes.max() <= views


@every
def test_examples_do_not_see_each_other(aggregation: Aggregation) -> None:
    """Result and passes of an example are the same alone, in any order and in company; fits are repeatable."""
    logits = random_logits(6)
    policy = fitted(aggregation, logits)
    assert policy == fitted(aggregation, logits)
    together, passes = policy(logits), policy.passes(logits)
    for i in range(20):
        np.testing.assert_allclose(policy(logits[:, i : i + 1])[0], together[i], atol=1e-14)
        assert policy.passes(logits[:, i : i + 1]).tolist() == [passes[i]]
    np.testing.assert_allclose(policy(logits[:, ::-1]), together[::-1], atol=1e-14)


@every
def test_views_that_are_not_used_have_no_influence(aggregation: Aggregation) -> None:
    """After its last pass an example's further views may hold anything: the result is the same."""
    logits = random_logits(6)
    policy = fitted(aggregation, logits)
    passes, expected = policy.passes(logits), policy(logits)
    order = list(policy.parameters().get("order", range(6)))
    assert passes.min() < 6, "the case needs examples that save passes"
    other = logits.copy()
    for place, view in enumerate(order):
        other[view, passes <= place] = np.random.default_rng(5).standard_normal(5)
    np.testing.assert_array_equal(policy.passes(other), passes)
    np.testing.assert_array_equal(policy(other), expected)


UNCERTAINTIES = {
    "max_prob": lambda p: 1 - p.max(axis=1),
    "entropy": lambda p: stats.entropy(p, axis=1),
    "margin": lambda p: 1 - (np.sort(p)[:, -1] - np.sort(p)[:, -2]),
}


@pytest.mark.parametrize("measure", UNCERTAINTIES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_selective_by_the_quantile(measure: str, share: float) -> None:
    """The threshold is NumPy's quantile of the plain view's uncertainty; above it all views count, else one."""
    fit_on, logits = random_logits(4), random_logits(4, seed=9)
    policy = Selective(share, "gmean_probs", measure).fit(ViewLogits.of(fit_on), NO_LABELS)  # type: ignore[arg-type]
    plain = special.softmax(fit_on[0].astype(np.float64), axis=-1)
    threshold = np.quantile(UNCERTAINTIES[measure](plain), 1 - share)
    np.testing.assert_allclose(policy.threshold, threshold, rtol=1e-9)
    assert abs((policy.passes(fit_on) == 4).mean() - share) <= 1 / 300
    uncertain = UNCERTAINTIES[measure](special.softmax(logits[0].astype(np.float64), axis=-1)) > threshold
    np.testing.assert_array_equal(policy.passes(logits), np.where(uncertain, 4, 1))
    np.testing.assert_allclose(policy(logits)[uncertain], GMeanProbs()(logits[:, uncertain]), atol=1e-12)
    np.testing.assert_allclose(policy(logits)[~uncertain], MeanProbs()(logits[:1, ~uncertain]), atol=1e-12)
    assert policy.parameters() == {"threshold": policy.threshold, "uncertainty": measure, "aggregation": "gmean_probs"}


def test_selective_with_a_share_of_one_is_the_full_policy() -> None:
    """All examples get all views, the most certain one too."""
    logits = random_logits(3, scale=1e4)
    policy = Selective(1).fit(ViewLogits.of(logits), NO_LABELS)
    np.testing.assert_allclose(policy(logits), MeanProbs()(logits), atol=1e-12)
    np.testing.assert_array_equal(policy.passes(logits), 3)


@pytest.mark.parametrize("measure", ["max_prob", "margin"])
def test_selective_tells_apart_what_rounds_to_certain(measure: str) -> None:
    """Probabilities of 1 - 1e-20 and 1 - 1e-30 are different uncertainties, though both round to one."""
    logits = np.array([[[46.0, 0.0], [69.0, 0.0], [50.0, 0.0], [80.0, 0.0]]] * 2)
    policy = Selective(0.5, uncertainty=measure).fit(ViewLogits.of(logits), NO_LABELS)  # type: ignore[arg-type]
    assert policy.passes(logits).tolist() == [2, 1, 2, 1]


def test_selective_spends_nothing_on_examples_that_are_all_alike() -> None:
    """Where every plain view is equally certain none lies above the threshold, whatever the share below one."""
    logits = np.tile(np.array([3.0, 1.0, 0.0]), (2, 50, 1))
    policy = Selective(0.9).fit(ViewLogits.of(logits), NO_LABELS)
    np.testing.assert_array_equal(policy.passes(logits), 1)


def test_selective_refuses_what_cannot_be_inside() -> None:
    """An aggregation that needs parameters, or is unknown, or another uncertainty, is one clear line."""
    for wrong in ("anchor_probs", "mean_prob"):
        with pytest.raises(ValueError, match="unknown aggregation of all views"):
            Selective(0.5, wrong)
    with pytest.raises(ValueError, match="one of max_prob, entropy, margin"):
        Selective(0.5, uncertainty="luck")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"share must be a number in \(0, 1\]"):
        Selective(0.0)
    assert all(Selective(0.5, kind).aggregation == kind for kind in INNER)


def test_early_exit_by_hand() -> None:
    """A running mean of .6, .7, .8 leaves after one, two or three views, by the confidence asked for."""
    logits = logits_of([[0.6, 0.4], [0.8, 0.2], [1 - 1e-12, 1e-12]])
    for confidence, used, top in [(0.55, 1, 0.6), (0.65, 2, 0.7), (0.75, 3, 0.8), (0.9, 3, 0.8)]:
        assert EarlyExit(confidence).passes(logits).tolist() == [used]
        np.testing.assert_allclose(np.exp(EarlyExit(confidence)(logits))[0], [top, 1 - top], rtol=1e-9)


@pytest.mark.parametrize("confidence", [0.4, 0.6, 0.9])
def test_early_exit_is_a_loop_over_views(confidence: float) -> None:
    """Probabilities and passes are those of a plain loop that stops."""
    logits = random_logits(7)
    expected, passes = plainly(logits, confidence)
    assert len(set(passes)) > 2, "the case needs different exits"
    np.testing.assert_array_equal(EarlyExit(confidence).passes(logits), passes)
    np.testing.assert_allclose(np.exp(EarlyExit(confidence)(logits)), expected, rtol=1e-10)


@pytest.mark.parametrize("wrong", [0.0, 1.0, -1.0, float("nan")])
def test_a_confidence_is_between_none_and_all(wrong: float) -> None:
    """Zero would always leave and one never for a reason; both are refused."""
    with pytest.raises(ValueError, match=r"confidence must be a number in \(0, 1\)"):
        EarlyExit(wrong)


def test_exact_exit_by_hand() -> None:
    """Of four views the class is decided after three that agree, after four where the fourth could still turn it."""
    sure, against = [0.99, 0.01], [0.3, 0.7]
    assert ExactExit().passes(logits_of([sure, sure, sure, against])).tolist() == [3]
    assert ExactExit().passes(logits_of([sure, against, sure, against])).tolist() == [3]
    assert ExactExit().passes(logits_of([sure, against, against, sure])).tolist() == [4]
    assert ExactExit().passes(logits_of([sure, sure])).tolist() == [2]
    found = np.exp(ExactExit()(logits_of([sure, sure, sure, against])))[0]
    np.testing.assert_allclose(found, sure, rtol=1e-9)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("views", [1, 2, 3, 5, 8, 16])
def test_exact_exit_predicts_the_class_of_mean_probs(views: int, classes: int) -> None:
    """Whatever the logits, ties and saturated ones included, the class is that of `mean_probs`."""
    saved = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        whole = rng.integers(-2, 3, (views, 500, classes)).astype(np.float32)  # few values: many exact ties
        for logits in (whole, 40 * whole, 1e30 * whole, random_logits(views, classes=classes, seed=seed, scale=4)):
            passes = ExactExit().passes(logits)
            assert passes.min() >= 1
            assert passes.max() <= views
            np.testing.assert_array_equal(ExactExit()(logits).argmax(-1), MeanProbs()(logits).argmax(-1))
            everything = passes == views
            full = MeanProbs()(logits)
            np.testing.assert_array_equal(ExactExit()(logits)[everything], full[everything])
            saved += int((views - passes).sum())
    assert (saved > 0) == (views > 2)


def test_exact_exit_is_as_early_as_can_be() -> None:
    """One view earlier, views that are all for the runner-up would have turned the class or tied."""
    logits = random_logits(9, classes=3, scale=4)
    passes = ExactExit().passes(logits)
    p = special.softmax(logits.astype(np.float64), axis=-1)
    for i in np.flatnonzero(passes > 1):
        before = p[: passes[i] - 1, i].sum(axis=0)
        first, second = np.sort(before)[::-1][:2]
        assert second + 9 - (passes[i] - 1) >= first - 1e-6


def informative(*, examples: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[4, n, 3]` whose views know more or less of the labels `[n]`: place 2 most, then 0, 3 and 1."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, examples)
    signal = np.eye(3)[labels] * np.array([2.6, 2.2, 2.8, 2.4])[:, None, None]
    return (signal + 1.5 * rng.standard_normal((4, examples, 3))).astype(np.float32), labels


def test_the_learned_order_is_greedy_behind_the_plain_view() -> None:
    """Each place is the view whose addition gives the lowest NLL of the mean, by a plain loop; the first stays."""
    logits, labels = informative()
    p = special.softmax(logits.astype(np.float64), axis=-1)[:, np.arange(400), labels]
    order = [0]
    while len(order) < 4:
        left = [view for view in range(4) if view not in order]
        order.append(min(left, key=lambda view: -np.log(p[[*order, view]].mean(axis=0)).mean()))
    policy = LearnedEarlyExit().fit(ViewLogits.of(logits), labels)
    assert policy.order == tuple(order)
    assert policy.order[:2] == (0, 2)


def test_the_learned_confidence_is_the_cheapest_within_one_standard_error() -> None:
    """Its NLL is within one paired standard error of all views, and on a fine grid no cheaper exit's is."""
    logits, labels = informative()
    logits = logits[[0, 0, 0, 2, 1]]  # places 1 and 2 add nothing to the first: the learned order is another one
    policy = LearnedEarlyExit().fit(ViewLogits.of(logits), labels)
    assert policy.order[:2] == (0, 3)
    ordered = logits[list(policy.order)]
    full = -np.log(special.softmax(ordered.astype(np.float64), axis=-1).mean(axis=0)[np.arange(400), labels])

    def within(level: float) -> tuple[bool, float]:
        probs, passes = plainly(ordered, level)
        worse = -np.log(probs[np.arange(400), labels]) - full
        return bool(worse.mean() <= stats.sem(worse)), float(np.mean(passes))

    confidence = policy.parameters()["confidence"]
    grid = [within(level) for level in np.linspace(0.34, 0.999, 150)]
    cheapest = min(cost for fine, cost in grid if fine)
    assert within(confidence)[0]
    assert 1.1 < cheapest < 4
    assert abs(within(confidence)[1] - cheapest) < 0.02
    np.testing.assert_allclose(np.exp(policy(logits)), plainly(ordered, confidence)[0], rtol=1e-9)
    np.testing.assert_array_equal(policy.passes(logits), plainly(ordered, confidence)[1])


def test_the_learned_exit_does_not_depend_on_how_examples_are_cut_into_blocks() -> None:
    """More logits than one block holds, and rows picked in another order, give one and the same policy."""
    logits, labels = informative(examples=5000)
    assert logits.size > 1 << 15
    policy = LearnedEarlyExit().fit(ViewLogits.of(logits), labels)
    picked = np.random.default_rng(0).permutation(5000)
    shuffled = LearnedEarlyExit().fit(ViewLogits.of(logits).take(picked), labels[picked])
    assert policy.order == shuffled.order
    np.testing.assert_allclose(policy.parameters()["confidence"], shuffled.parameters()["confidence"], rtol=1e-9)
    some = np.arange(0, 5000, 7)
    alone = LearnedEarlyExit().fit(ViewLogits.of(logits[:, some]), labels[some])
    assert alone == LearnedEarlyExit().fit(ViewLogits.of(logits).take(some), labels[some])


def test_the_learned_exit_leaves_at_once_where_views_are_equal() -> None:
    """Views that say the same are worth one pass; a view that alone is right is not left out."""
    logits, labels = informative()
    same = LearnedEarlyExit().fit(ViewLogits.of(logits[[2, 2, 2]]), labels)
    np.testing.assert_array_equal(same.passes(logits[[2, 2, 2]]), 1)
    # The plain view is certain and wrong everywhere, the other one certain and right: leaving is never no worse.
    wrong = np.where(np.arange(3) == (labels[:, None] + 1) % 3, 30.0, 0.0)
    right = np.where(np.arange(3) == labels[:, None], 30.0, 0.0)
    split = np.stack([wrong, right]).astype(np.float32)
    never = LearnedEarlyExit().fit(ViewLogits.of(split), labels)
    np.testing.assert_array_equal(never.passes(split), 2)
    assert never.parameters() == {"order": [0, 1], "confidence": None}
    np.testing.assert_allclose(never(split), MeanProbs()(split), atol=1e-12)


def test_what_learns_and_what_is_anchored() -> None:
    """Selective and the learned exit look at validation and keep the plain view first; the others do neither."""
    assert [(one.learns, one.anchored) for one in ADAPTIVE] == [(True, True)] * 2 + [
        (False, False),
        (True, True),
        (False, False),
    ]
