"""Curves of random views: against enumeration, against a simulation image by image, and against SciPy."""

import itertools
from math import prod

import numpy as np
import pytest
from scipy.stats import binom

from harness.diagnostics.draws import Curve, break_even, copies_curve, draw_curve
from harness.logspace import log_softmax
from harness.policies.logits import ViewLogits
from harness.policies.weighted import WeightedMean


def noisy(views: int, examples: int, classes: int, *, seed: int) -> tuple[ViewLogits, np.ndarray]:
    """Random logits on whose classes the views often disagree, and labels."""
    stream = np.random.default_rng(seed)
    labels = stream.integers(0, classes, examples)
    logits = stream.normal(size=(views, examples, classes))
    logits[:, np.arange(examples), labels] += 0.7
    return ViewLogits.of(logits.astype(np.float32)), labels


def enumerated(logits: ViewLogits, labels: np.ndarray, chances: list[float], n: int) -> np.ndarray:
    """Each image's chance to be right, over all V^n ordered draws."""
    probs = np.exp(log_softmax(logits.stacked()))
    chance = np.zeros(len(labels))
    for draw in itertools.product(range(len(probs)), repeat=n):
        right = probs[list(draw)].mean(axis=0).argmax(axis=1) == labels
        chance += prod(chances[view] for view in draw) * right
    return chance


@pytest.mark.parametrize(("chance", "n"), [(0.5, 7), (0.5, 4), (0.2, 5), (0.9, 1)])
def test_two_views_are_exact(chance: float, n: int) -> None:
    """Seven tossed flips: the expectation is that over all 2^7 ordered draws, to 1e-12, and nothing is sampled."""
    logits, labels = noisy(2, 60, 4, seed=0)
    curve = draw_curve(logits, labels, probabilities=[1 - chance, chance], ns=[n], repeats=1, seed=0)
    assert curve.method == "exact"
    assert curve.mean[0] == pytest.approx(enumerated(logits, labels, [1 - chance, chance], n).mean(), abs=1e-12)


def test_band_of_two_views_is_binomial_where_images_are_alike() -> None:
    """Forty images with one chance each, ten always right and ten never: the band is SciPy's binomial quantiles."""
    first, second = np.array([3.0, 0, 0]), np.array([0, 1.0, 0])
    sure, never = np.array([5.0, 0, 0]), np.array([0, 0, 5.0])
    views = [[one] * 40 + [sure] * 10 + [never] * 10 for one in (first, second)]
    logits, labels = ViewLogits.of(np.array(views, np.float32)), np.zeros(60, int)
    curve = draw_curve(logits, labels, probabilities=[0.4, 0.6], ns=[1], repeats=1, seed=0, level=0.9)
    assert curve.mean[0] == pytest.approx((10 + 40 * 0.4) / 60, abs=1e-12)
    expected = [(10 + count) / 60 for count in binom.ppf([0.05, 0.95], 40, 0.4)]
    assert (curve.lower[0], curve.upper[0]) == pytest.approx(expected, abs=1e-12)


def test_band_of_two_views_holds_the_share_it_says() -> None:
    """Simulated image by image, about 90 of 100 accuracies lie in the exact band of 90 percent."""
    logits, labels = noisy(2, 200, 4, seed=1)
    curve = draw_curve(logits, labels, probabilities=[0.5, 0.5], ns=[3], repeats=1, seed=0, level=0.9)
    chance = enumerated(logits, labels, [0.5, 0.5], 3)
    simulated = (np.random.default_rng(0).random((20_000, 200)) < chance).mean(axis=1)
    inside = ((simulated >= curve.lower[0] - 1e-9) & (simulated <= curve.upper[0] + 1e-9)).mean()
    assert 0.89 < inside < 0.95  # accuracies come in steps of one image, so that a band holds a little more


def test_larger_supports_are_sampled_without_bias() -> None:
    """The sampled mean is the enumerated expectation within four of its own standard errors; so is the spread."""
    logits, labels = noisy(3, 80, 4, seed=2)
    chances, repeats = [0.5, 0.3, 0.2], 4000
    curve = draw_curve(logits, labels, probabilities=chances, ns=[1, 4], repeats=repeats, seed=3)
    assert curve.method == f"sampled, {repeats} repeats"
    for place, n in enumerate(curve.ns):
        chance = enumerated(logits, labels, chances, n)
        spread = np.sqrt((chance * (1 - chance)).sum()) / len(labels)
        assert abs(curve.mean[place] - chance.mean()) < 4 * spread / np.sqrt(repeats)
        band = (curve.upper[place] - curve.lower[place]) / (2 * 1.96)
        assert band == pytest.approx(spread, abs=1 / len(labels))


def test_one_draw_of_equal_views_is_their_mean_accuracy() -> None:
    """With one draw the expected accuracy is the weighted mean of the views' own."""
    logits, labels = noisy(2, 500, 5, seed=4)
    accuracies = (logits.stacked().argmax(axis=-1) == labels).mean(axis=1)
    curve = draw_curve(logits, labels, probabilities=[0.25, 0.75], ns=[1], repeats=1, seed=0)
    assert curve.mean[0] == pytest.approx(0.25 * accuracies[0] + 0.75 * accuracies[1], abs=1e-12)


def test_limit_is_the_weighted_mean_of_the_support() -> None:
    """The limit is the accuracy of `WeightedMean` over probabilities, and many draws come close to it."""
    logits, labels = noisy(2, 400, 4, seed=5)
    chances = (0.3, 0.7)
    curve = draw_curve(logits, labels, probabilities=chances, ns=[3, 2000], repeats=1, seed=0)
    predicted = WeightedMean("probs", chances)(logits.stacked()).argmax(axis=1)
    assert curve.limit == (predicted == labels).mean()
    assert abs(curve.mean[1] - curve.limit) < 0.02 < abs(curve.mean[0] - curve.limit)
    assert curve.lower[1] <= curve.mean[1] <= curve.upper[1] < curve.lower[1] + 0.05


def test_views_without_a_chance_are_left_out() -> None:
    """A support of three with one chance of zero is one of two, and exact."""
    logits, labels = noisy(3, 50, 4, seed=6)
    pair = draw_curve(logits.select([0, 2]), labels, probabilities=[0.5, 0.5], ns=[2], repeats=1, seed=0)
    assert draw_curve(logits, labels, probabilities=[0.5, 0, 0.5], ns=[2], repeats=1, seed=0) == pair


def test_a_support_of_one_view_is_that_view() -> None:
    """Where nothing is random every number is the view's accuracy."""
    logits, labels = noisy(1, 50, 4, seed=7)
    curve = draw_curve(logits, labels, probabilities=[1.0], ns=[1, 5], repeats=3, seed=0)
    accuracy = (logits.stacked()[0].argmax(axis=1) == labels).mean()
    assert {*curve.mean, *curve.lower, *curve.upper, curve.limit} == {accuracy}


def test_same_seed_same_curve_and_numbers_of_draws_do_not_meddle() -> None:
    """The seed decides, and what is said about three draws does not depend on which other numbers are asked for."""
    logits, labels = noisy(4, 100, 4, seed=8)
    asked = {"probabilities": [0.25] * 4, "repeats": 20}
    one = draw_curve(logits, labels, ns=[9, 3], seed=1, **asked)  # type: ignore[arg-type]
    assert one == draw_curve(logits, labels, ns=[3, 9, 3], seed=1, **asked)  # type: ignore[arg-type]
    assert one.ns == (3, 9)
    alone = draw_curve(logits, labels, ns=[3], seed=1, **asked)  # type: ignore[arg-type]
    assert (alone.mean[0], alone.lower[0], alone.upper[0]) == (one.mean[0], one.lower[0], one.upper[0])
    assert one.mean != draw_curve(logits, labels, ns=[3, 9], seed=2, **asked).mean  # type: ignore[arg-type]


def test_copies_are_drawn_without_replacement() -> None:
    """The mean over subsets of n copies is that over all of them, within sampling; all M copies are one number."""
    logits, labels = noisy(5, 150, 4, seed=9)
    probs = np.exp(log_softmax(logits.stacked()))
    curve = copies_curve(logits, labels, ns=[2, 5], repeats=3000, seed=0)
    pairs = [
        (probs[list(pair)].mean(axis=0).argmax(axis=1) == labels).mean() for pair in itertools.combinations(range(5), 2)
    ]
    assert curve.mean[0] == pytest.approx(np.mean(pairs), abs=4 * np.std(pairs) / np.sqrt(3000))
    assert (curve.lower[0], curve.upper[0]) == pytest.approx((min(pairs), max(pairs)), abs=np.ptp(pairs) / 2)
    everything = (probs.mean(axis=0).argmax(axis=1) == labels).mean()
    assert curve.lower[1] == curve.upper[1] == everything and curve.mean[1] == pytest.approx(everything, abs=1e-12)
    assert curve.limit is None and curve == copies_curve(logits, labels, ns=[2, 5], repeats=3000, seed=0)


def test_break_even_is_where_the_curve_stays_up() -> None:
    """The smallest n from which on the mean is not below identity: a single crossing that falls back does not count."""
    curve = Curve((1, 2, 4, 8), (0.5, 0.8, 0.7, 0.75), (0.0,) * 4, (1.0,) * 4, level=0.95, limit=None, method="exact")
    assert break_even(curve, 0.71) == 8
    assert break_even(curve, 0.7) == 2
    assert break_even(curve, 0.5) == 1
    assert break_even(curve, 0.76) is None


def test_arguments_out_of_range_are_refused() -> None:
    """Chances that do not sum to one, no draws, more copies than there are: one line each, no wrong curve."""
    logits, labels = noisy(3, 10, 3, seed=10)
    thirds = [1 / 3] * 3
    for chances, ns, repeats, level in (
        ([0.5, 0.5], [1], 1, 0.9), ([0.5, 0.6, -0.1], [1], 1, 0.9), ([0.5, 0.5, 0.5], [1], 1, 0.9),
        (thirds, [], 1, 0.9), (thirds, [0], 1, 0.9), (thirds, [1], 0, 0.9), (thirds, [1], 1, 1.0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"expected"):
            draw_curve(logits, labels, probabilities=chances, ns=ns, repeats=repeats, seed=0, level=level)
    with pytest.raises(ValueError, match="3 copies are stored"):
        copies_curve(logits, labels, ns=[4], repeats=1, seed=0)
    with pytest.raises(ValueError, match="labels"):
        copies_curve(logits, labels[:5], ns=[1], repeats=1, seed=0)
