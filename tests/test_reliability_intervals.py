"""Intervals of the calibration error: explicit resamples, and how often simulated truths are covered."""

import numpy as np
import pytest

from harness import reliability_intervals
from harness.reliability import calibration_error, equal_mass_edges, equal_width_edges, reliability_between
from harness.reliability_intervals import METHOD, ece_intervals


def policies(off: float, *, examples: int = 300, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that are `off` too high in every bin, and correctness."""
    rng = np.random.default_rng(7)
    confidence = 0.1 + 0.9 * rng.beta(5, 1.5, (examples, count))
    return confidence, rng.random((examples, count)) < confidence - off


@pytest.mark.parametrize("equal_mass", [False, True])
def test_explicit_resamples(equal_mass: bool) -> None:
    """The interval comes from the ECE of each resample over the same bins, drawn one resample at a time."""
    confidence, correct = policies(0.2)
    found = ece_intervals(confidence, correct, resamples=50, seed=3, level=0.9, equal_mass=equal_mass)
    for p, one in enumerate(found):
        c, k = confidence[:, p], correct[:, p]
        edges = equal_mass_edges(c, 15) if equal_mass else equal_width_edges(15)
        value = calibration_error(reliability_between(c, k, edges=edges))
        stream = np.random.default_rng(3)
        drawn = [stream.integers(300, size=300) for _ in range(50)]
        errors = [calibration_error(reliability_between(c[i], k[i], edges=edges)) for i in drawn]
        assert one.value == pytest.approx(value, abs=1e-14)
        assert one.lower == pytest.approx(2 * value - np.quantile(errors, 0.95), abs=1e-13)
        assert one.upper == pytest.approx(max(value, 2 * value - np.quantile(errors, 0.05)), abs=1e-13)
        assert (one.level, one.method) == (0.9, METHOD)


def test_a_policys_interval_does_not_depend_on_its_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, among others, or in another block: the same interval."""
    confidence, correct = policies(0.1)
    together = ece_intervals(confidence, correct, resamples=40, seed=0, level=0.95)
    alone = ece_intervals(confidence[:, 1:2], correct[:, 1:2], resamples=40, seed=0, level=0.95)[0]
    monkeypatch.setattr(reliability_intervals, "_NUMBERS", 1)
    blocks = ece_intervals(confidence, correct, resamples=40, seed=0, level=0.95)
    for one in (together[1], blocks[1]):
        assert (one.value, one.lower, one.upper) == pytest.approx((alone.value, alone.lower, alone.upper), abs=1e-14)
    assert len(blocks) == 3


def test_a_calibrated_policy_reaches_zero() -> None:
    """Of 150 calibrated policies at least 140 have a lower end of zero, though their ECE is above it."""
    rng = np.random.default_rng(0)
    confidence = 0.1 + 0.9 * rng.beta(5, 1.5, (500, 150))
    correct = rng.random((500, 150)) < confidence
    found = ece_intervals(confidence, correct, resamples=200, seed=0, level=0.95)
    assert min(one.value for one in found) > 0
    assert sum(one.lower == 0 for one in found) >= 140


def test_coverage_of_a_known_error() -> None:
    """Of 150 policies whose true ECE is 0.08 in N = 1,000 at least 80 % of the 95 % intervals hold it."""
    confidence, correct = policies(0.08, examples=1000, count=150)
    found = ece_intervals(confidence, correct, resamples=200, seed=0, level=0.95)
    assert np.mean([one.lower <= 0.08 <= one.upper for one in found]) >= 0.8
    assert all(one.lower > 0 for one in found)


def test_ends_stay_in_range() -> None:
    """Always wrong with certainty: ECE and both ends are one."""
    (one,) = ece_intervals(np.ones((20, 1)), np.zeros((20, 1), bool), resamples=30, seed=0, level=0.95)
    assert (one.value, one.lower, one.upper) == (1.0, 1.0, 1.0)


def test_a_level_is_a_share() -> None:
    """Percent is refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        ece_intervals(np.ones((2, 1)), np.ones((2, 1), bool), resamples=3, seed=0, level=95)
