"""Aggregations that listen to certain views: hand values, SciPy, invariants, and the authors' code of ZERO."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from harness.policies.base import Fixed
from harness.policies.confident import ConfidentVote, EntropySoftmaxProbs, EntropyWeightedProbs, entropy
from harness.policies.fixed import MeanProbs
from harness.policies.votes import Vote

WEIGHTED: list[Fixed] = [EntropyWeightedProbs(), EntropySoftmaxProbs(0.5)]
EVERY: list[Fixed] = [*WEIGHTED, ConfidentVote(0.5)]
ZERO = json.loads((Path(__file__).parent / "golden" / "merges.json").read_text())["zero"]


def name(aggregation: Fixed) -> str:
    """A test's name for an aggregation."""
    return aggregation.label()


def random_logits(views: int, *, examples: int = 40, classes: int = 7, scale: float = 3.0) -> np.ndarray:
    """Made-up logits `[V, n, C]` float32."""
    rng = np.random.default_rng(12)
    return (scale * rng.uniform(-1, 1, (views, examples, classes))).astype(np.float32)


def logits_of(probs: list[list[float]]) -> np.ndarray:
    """Logits `[V, 1, C]` of one example whose views have these probabilities."""
    return np.log(np.array(probs))[:, None, :]


def weighted(probs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means `[n, C]` of probs `[V, n, C]` with weights `[V, n]` that are divided by their sum."""
    share = weights / weights.sum(axis=0)
    mean: np.ndarray = np.einsum("vn,vnc->nc", share, probs)
    return mean


def test_entropy_is_that_of_scipy() -> None:
    """In nats, also where probabilities are too small for float64, and log C for a uniform view."""
    logits = random_logits(3).astype(np.float64)
    p = special.softmax(logits, axis=-1)
    np.testing.assert_allclose(entropy(np.log(p)), stats.entropy(p, axis=-1), rtol=1e-10)
    assert entropy(np.array([0.0, -1e38])) == 0
    np.testing.assert_allclose(entropy(np.full(5, -np.log(5))), np.log(5), rtol=1e-15)


@pytest.mark.parametrize("views", [1, 2, 6])
def test_weights_follow_from_scipys_entropies(views: int) -> None:
    """The weights are 1 - H / log C and softmax(-H / t), by SciPy's entropy and softmax."""
    logits = random_logits(views).astype(np.float64)
    p = special.softmax(logits, axis=-1)
    h = stats.entropy(p, axis=-1)
    np.testing.assert_allclose(np.exp(WEIGHTED[0](logits)), weighted(p, 1 - h / np.log(7)), rtol=1e-9)
    np.testing.assert_allclose(np.exp(WEIGHTED[1](logits)), weighted(p, special.softmax(-h / 0.5, axis=0)), rtol=1e-9)


def test_a_uniform_view_says_nothing_by_hand() -> None:
    """Of a uniform view and another the entropy weights keep the other; of uniform views alone, all the same."""
    found = EntropyWeightedProbs()(logits_of([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]]))
    np.testing.assert_allclose(np.exp(found)[0], [0.9, 0.1], rtol=1e-12)
    uniform = EntropyWeightedProbs()(np.full((3, 2, 4), 7.0, np.float32))
    np.testing.assert_allclose(np.exp(uniform), 0.25, rtol=1e-12)


def test_softmax_weights_pass_from_the_most_certain_view_to_the_mean() -> None:
    """A small t keeps the view of lowest entropy alone, a large one weighs all alike."""
    logits = random_logits(4)
    surest = entropy(special.log_softmax(logits.astype(np.float64), axis=-1)).argmin(axis=0)
    alone = MeanProbs()(logits[surest, np.arange(40)][None])
    np.testing.assert_allclose(EntropySoftmaxProbs(1e-6)(logits), alone, atol=1e-12)
    np.testing.assert_allclose(EntropySoftmaxProbs(1e9)(logits), MeanProbs()(logits), atol=1e-8)


@pytest.mark.parametrize("aggregation", WEIGHTED, ids=name)
def test_means_of_one_view_and_of_views_given_twice(aggregation: Fixed) -> None:
    """One view is its own result, and all views given twice change nothing."""
    logits = random_logits(3)
    np.testing.assert_allclose(aggregation(logits[:1]), MeanProbs()(logits[:1]), atol=1e-12)
    np.testing.assert_allclose(aggregation(np.concatenate([logits, logits])), aggregation(logits), atol=1e-12)


@pytest.mark.parametrize("aggregation", EVERY, ids=name)
def test_order_of_views_changes_nothing(aggregation: Fixed) -> None:
    """Any order of views with different entropies gives the same result within float rounding."""
    logits = random_logits(4)
    for order in permutations(range(4)):
        np.testing.assert_allclose(aggregation(logits[list(order)]), aggregation(logits), atol=1e-12)


@pytest.mark.parametrize("aggregation", [*EVERY, ConfidentVote(), ConfidentVote(1)], ids=name)
@pytest.mark.parametrize("views", [1, 3, 12])
def test_rows_are_finite_distributions_at_extreme_logits(aggregation: Fixed, views: int) -> None:
    """Logits up to the largest float32, of both signs, or all equal: finite log-probabilities, rows sum to one."""
    for scale in (0.0, 1.0, 1e4, 1e30, 3e38):
        found = aggregation(random_logits(views, scale=scale))
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.exp(found).sum(-1), 1.0, atol=1e-9)


@pytest.mark.parametrize("aggregation", EVERY, ids=name)
def test_examples_do_not_see_each_other(aggregation: Fixed) -> None:
    """An example's result is the same alone as in company, whatever was added to all logits of a view."""
    logits = random_logits(3).astype(np.float64)
    together = aggregation(logits)
    for i in range(5):
        np.testing.assert_allclose(aggregation(logits[:, i : i + 1])[0], together[i], atol=1e-14)
    np.testing.assert_allclose(aggregation(logits + np.arange(3)[:, None, None]), together, atol=1e-9)


def test_confident_vote_by_hand() -> None:
    """Of four views the two most certain vote and share out one vote more; the crowd of doubtful ones is not heard."""
    logits = logits_of([[0.4, 0.5, 0.1], [0.98, 0.01, 0.01], [0.9, 0.05, 0.05], [0.4, 0.5, 0.1]])
    expected = [(2 + 0.94) / 3, 0.03 / 3, 0.03 / 3]
    np.testing.assert_allclose(np.exp(ConfidentVote(0.5)(logits))[0], expected, rtol=1e-12)


def test_a_tie_admits_the_next_certain_view_for_one_of_the_tied() -> None:
    """A vote of one to one is broken by the third view; a view for a class that is not tied is passed over."""
    tied = [[0.98, 0.01, 0.01], [0.03, 0.95, 0.02]]
    other, second = [0.05, 0.05, 0.9], [0.2, 0.7, 0.1]
    expected = [(1 + 0.505) / 4, (2 + 0.48) / 4, 0.015 / 4]
    for views, fraction in [([*tied, second], 0.6), ([second, other, *tied], 0.5)]:
        np.testing.assert_allclose(np.exp(ConfidentVote(fraction)(logits_of(views)))[0], expected, rtol=1e-12)


def test_a_tie_that_nothing_breaks_goes_to_the_higher_mean() -> None:
    """Where no further view is for one of the tied classes, the mean probability of those that voted decides."""
    views = [[0.98, 0.01, 0.01], [0.03, 0.95, 0.02], [0.05, 0.05, 0.9]]
    expected = [(1 + 0.505) / 3, (1 + 0.48) / 3, 0.015 / 3]
    np.testing.assert_allclose(np.exp(ConfidentVote(0.6)(logits_of(views)))[0], expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(ConfidentVote(1)(logits_of(views[:2])))[0], expected, rtol=1e-12)


def test_views_of_one_entropy_count_in_their_order() -> None:
    """Mirrored views are equally certain: the first one, as a rule the plain view, is the one that is kept."""
    views = [[0.1, 0.9], [0.9, 0.1]]
    np.testing.assert_allclose(np.exp(ConfidentVote()(logits_of(views)))[0], [0.05, 0.95], rtol=1e-12)


def test_all_views_voting_is_a_vote() -> None:
    """With a fraction of one, and so none to admit, it is `vote`."""
    logits = random_logits(5, examples=200, classes=3)
    np.testing.assert_allclose(ConfidentVote(1)(logits), Vote()(logits), atol=1e-12)


@pytest.mark.parametrize(
    ("fraction", "views", "kept"), [(0.1, 1, 1), (0.1, 10, 1), (0.1, 11, 2), (0.07, 100, 7), (0.3, 64, 20), (1, 7, 7)]
)
def test_how_many_views_vote(fraction: float, views: int, kept: int) -> None:
    """ceil(fraction * V) of exact arithmetic: shares of one class' votes tell how many there were."""
    logits = np.tile(np.array([2.0, 1.0, 0.0]), (views, 1, 1))
    p = special.softmax([2.0, 1.0, 0.0])
    found = np.exp(ConfidentVote(fraction)(logits))[0]
    np.testing.assert_allclose(found, (kept * np.array([1, 0, 0]) + p) / (kept + 1), rtol=1e-12)


def test_the_authors_code_of_zero_counts_the_same() -> None:
    """Kept votes, ties and how they are broken are those of the code that the paper's authors published."""
    logits, counts = np.array(ZERO["logits"]), np.array(ZERO["counts"])
    kept = round(ZERO["gamma"] * len(logits))
    assert (counts.sum(axis=1) > kept).sum() > 10, "the case needs ties"
    p = special.softmax(logits, axis=-1)
    order = stats.entropy(p, axis=-1).argsort(axis=0)[:kept]
    shared = np.take_along_axis(p, order[..., None], axis=0).mean(axis=0)
    found = ConfidentVote(ZERO["gamma"])(logits)
    np.testing.assert_array_equal(found.argmax(-1), counts.argmax(-1))
    np.testing.assert_allclose(np.exp(found), (counts + shared) / (counts.sum(axis=1, keepdims=True) + 1), rtol=1e-9)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_of_no_views_is_refused(wrong: float) -> None:
    """At least some view has to vote."""
    with pytest.raises(ValueError, match=r"fraction must be a number in \(0, 1\]"):
        ConfidentVote(wrong)
    with pytest.raises(ValueError, match="t must be a number in"):
        EntropySoftmaxProbs(min(wrong, 0.0))
