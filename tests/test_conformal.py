"""Conformal sets: a search over classes, numbers of the public code, and the guarantee by simulation, as witnesses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from harness import conformal
from harness.conformal import APS, RAPS, AdaptiveScore, calibrate, conformal_sets

GOLDEN = json.loads((Path(__file__).parent / "golden" / "adaptive_sets.json").read_text())
SCORES = [APS, RAPS, AdaptiveScore(penalty=0.2, k_reg=1), AdaptiveScore(randomised=False)]


def drawn(examples: int, *, classes: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sharp, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.standard_normal((examples, classes))
    truth = special.softmax(logits, axis=1)
    labels = (truth.cumsum(axis=1) < rng.random((examples, 1))).sum(axis=1)
    return special.softmax(2 * logits, axis=1), np.minimum(labels, classes - 1)


def by_search(probs: np.ndarray, u: float, score: AdaptiveScore) -> list[float]:
    """The score of every class of one example, from its definition."""
    order = sorted(range(len(probs)), key=lambda c: (-probs[c], c))
    found = [0.0] * len(probs)
    for place, c in enumerate(order):
        before = sum(probs[other] for other in order[:place])
        penalty = score.penalty * max(0, place + 1 - score.k_reg)
        found[c] = before + (u if score.randomised else 1.0) * probs[c] + penalty
    return found


@pytest.mark.parametrize("score", SCORES)
def test_agrees_with_a_search(score: AdaptiveScore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threshold, sizes and coverage are those of a search over classes; the size of blocks plays no part."""
    monkeypatch.setattr(conformal, "_BLOCK", 50)
    probs, labels = drawn(90)
    half, other = slice(0, 45), slice(45, 90)
    threshold = calibrate(probs[half], labels[half], alpha=0.2, score=score, seed=3)
    u = np.random.default_rng([3, 0]).random(45)
    of_labels = sorted(by_search(p, r, score)[y] for p, r, y in zip(probs[half], u, labels[half], strict=True))
    assert threshold == pytest.approx(of_labels[int(np.ceil(46 * 0.8)) - 1], abs=1e-12)

    # Away from a tie with the calibration score itself, so that rounding decides nothing.
    found = conformal_sets(probs[other], labels[other], threshold=threshold + 1e-9, score=score, seed=3)
    u = np.random.default_rng([3, 1]).random(45)
    for i, (p, r, y) in enumerate(zip(probs[other], u, labels[other], strict=True)):
        members = [c for c, value in enumerate(by_search(p, r, score)) if value <= threshold + 1e-9]
        assert found.size[i] == len(members)
        assert found.covered[i] == (y in members)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['penalty']}, {case['k_reg']}")
def test_public_code_agrees(case: dict[str, Any]) -> None:
    """Scores of the labels (1e-12) and sets are those of conformal_classification, with its random numbers."""
    probs, labels = special.softmax(np.array(GOLDEN["logits"]), axis=1), np.array(GOLDEN["labels"])
    order = np.argsort(-probs, axis=1)
    scores = AdaptiveScore(penalty=case["penalty"], k_reg=case["k_reg"]).of_ranks(probs, np.array(case["u"]))
    place = np.argsort(order, axis=1)[np.arange(40), labels]
    np.testing.assert_allclose(scores[np.arange(40), place], case["scores"], atol=1e-12)
    sizes = (scores <= case["threshold"]).sum(axis=1)
    assert [sorted(classes[:size].tolist()) for classes, size in zip(order, sizes, strict=True)] == case["sets"]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("alpha", [0.1, 0.35])
def test_coverage_guarantee(score: AdaptiveScore, alpha: float) -> None:
    """Over 500 draws of 60 calibration and 20 new examples coverage is 1 - alpha at least; exactly, where randomised.

    Randomised scores have no ties, so that the mean coverage is ceil(61 (1 - alpha)) / 61. The tolerance is that of
    independent draws, each of which covers 20 examples.
    """
    probs, labels = drawn(500 * 80, seed=5)
    shares = []
    for draw in range(500):
        known, new = slice(80 * draw, 80 * draw + 60), slice(80 * draw + 60, 80 * draw + 80)
        threshold = calibrate(probs[known], labels[known], alpha=alpha, score=score, seed=draw)
        found = conformal_sets(probs[new], labels[new], threshold=threshold, score=score, seed=draw)
        shares.append(found.coverage)
    error = np.std(shares, ddof=1) / np.sqrt(500)
    exact = np.ceil(61 * (1 - alpha)) / 61
    assert np.mean(shares) >= exact - stats.norm.isf(1e-4) * error
    if score.randomised:
        assert np.mean(shares) <= exact + stats.norm.isf(1e-4) * error


def test_by_hand_without_randomness() -> None:
    """Scores are cumulated probabilities: the set of threshold 0.85 is 0.5 + 0.3, and all classes at infinity."""
    probs, plain = np.array([[0.2, 0.5, 0.3]]), AdaptiveScore(randomised=False)
    found = conformal_sets(probs, np.array([2]), threshold=0.85, score=plain, seed=0)
    assert (found.size.tolist(), found.covered.tolist(), found.threshold) == ([2], [True], 0.85)
    assert not conformal_sets(probs, np.array([0]), threshold=0.85, score=plain, seed=0).covered[0]
    assert conformal_sets(probs, np.array([0]), threshold=np.inf, score=plain, seed=0).size[0] == 3
    assert conformal_sets(probs, np.array([1]), threshold=0.4, score=plain, seed=0).size[0] == 0


def test_too_few_calibration_examples_give_all_classes() -> None:
    """Eight examples cannot promise 90 %: the threshold is infinite; nine can, by their largest score."""
    probs, labels = drawn(9)
    assert calibrate(probs[:8], labels[:8], alpha=0.1, score=APS, seed=0) == np.inf
    u = np.random.default_rng([0, 0]).random(9)
    largest = max(by_search(p, r, APS)[y] for p, r, y in zip(probs, u, labels, strict=True))
    assert calibrate(probs, labels, alpha=0.1, score=APS, seed=0) == pytest.approx(largest)


def test_class_coverage() -> None:
    """Coverage by class, its smallest value, and NaN for a class that is not there."""
    probs = np.array([[0.6, 0.3, 0.1, 0.0], [0.6, 0.3, 0.1, 0.0], [0.1, 0.2, 0.7, 0.0], [0.1, 0.8, 0.1, 0.0]])
    score = AdaptiveScore(randomised=False)
    found = conformal_sets(probs, np.array([0, 2, 2, 1]), threshold=0.8, score=score, seed=0)
    np.testing.assert_allclose(found.class_coverage, [1.0, 1.0, 0.5, np.nan])
    assert found.worst_class_coverage == 0.5
    assert (found.coverage, found.mean_size) == (0.75, 1.0)


def test_the_penalty_makes_sets_smaller() -> None:
    """RAPS with a strong penalty has smaller sets than APS on the same examples, where tails are noise."""
    probs, labels = drawn(4000, classes=40)
    sizes = []
    for score in (APS, AdaptiveScore(penalty=0.3, k_reg=5)):
        threshold = calibrate(probs[:2000], labels[:2000], alpha=0.1, score=score, seed=0)
        sizes.append(conformal_sets(probs[2000:], labels[2000:], threshold=threshold, score=score, seed=0).size)
    assert sizes[1].max() < sizes[0].max()


def test_u_is_the_examples_own() -> None:
    """Another policy's probabilities meet the same random numbers, and the seed decides them."""
    probs, labels = drawn(50)
    first = calibrate(probs, labels, alpha=0.3, score=APS, seed=1)
    assert calibrate(probs, labels, alpha=0.3, score=APS, seed=1) == first
    assert calibrate(probs, labels, alpha=0.3, score=APS, seed=2) != first


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0])
def test_alpha_is_a_share(alpha: float) -> None:
    """Anything else is refused, and so is a negative penalty."""
    with pytest.raises(ValueError, match="alpha lies between"):
        calibrate(*drawn(5), alpha=alpha, score=APS, seed=0)
    with pytest.raises(ValueError, match="penalty must be"):
        AdaptiveScore(penalty=-0.1)
