"""The three noises against their published definitions."""

import numpy as np
import pytest
import scipy.stats

from harness.corruptions.registry import SEVERITIES, make_corruption

STD = {32: (0.04, 0.06, 0.08, 0.09, 0.10), 80: (0.08, 0.12, 0.18, 0.26, 0.38)}
PHOTONS = {32: (500, 250, 100, 75, 50), 80: (60, 25, 12, 5, 3)}
SHARE = {32: (0.01, 0.02, 0.03, 0.05, 0.07), 80: (0.03, 0.06, 0.09, 0.17, 0.27)}


def corrupted(kind: str, severity: int, *, side: int, grey: int) -> np.ndarray:
    """About 100,000 values that were `grey`, as float64."""
    images = np.full((100_000 // (side * side * 3) + 1, side, side, 3), grey, np.uint8)
    return make_corruption(kind, severity)(images, np.arange(len(images)), seed=0).astype(np.float64)


@pytest.mark.parametrize("side", [32, 80])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_noise_has_the_published_spread(side: int, severity: int) -> None:
    """On mid-grey the spread is that of a normal number clipped to [0, 255] (SciPy's moments), within 2 %."""
    std = 255 * STD[side][severity - 1]
    found = corrupted("gaussian_noise", severity, side=side, grey=128)
    normal = scipy.stats.norm(128, std)
    expected = np.sqrt(normal.expect(lambda x: (np.clip(x, 0, 255) - 128) ** 2, lb=-np.inf, ub=np.inf))
    assert np.sqrt(((found + 0.5 - 128) ** 2).mean()) == pytest.approx(expected, rel=0.02)
    assert np.median(found) == pytest.approx(128, abs=1)


@pytest.mark.parametrize("side", [32, 80])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_is_a_poisson_count(side: int, severity: int) -> None:
    """At grey level 60 the counts follow SciPy's Poisson distribution of mean photons 60 / 255."""
    photons = PHOTONS[side][severity - 1]
    found = corrupted("shot_noise", severity, side=side, grey=60)
    counts = np.minimum(np.rint((found + 0.5) * photons / 255), photons).astype(int)
    if photons <= 255:  # above it two counts may fall on one grey level
        shares = np.bincount(counts.ravel(), minlength=photons + 1) / counts.size
        expected = scipy.stats.poisson(photons * 60 / 255).pmf(np.arange(photons + 1))
        assert np.abs(shares[:-1] - expected[:-1]).max() < 0.006
    assert found.mean() + 0.5 == pytest.approx(60, abs=1.5)


def test_variance_of_shot_noise_grows_with_the_grey_level() -> None:
    """The variance is 255 v / photons at grey level v, so twice the light has twice the variance."""
    variances = {grey: corrupted("shot_noise", 5, side=32, grey=grey).var() for grey in (50, 100)}
    assert variances[50] == pytest.approx(255 * 50 / 50, rel=0.03)
    assert variances[100] == pytest.approx(255 * 100 / 50, rel=0.03)


def test_black_stays_black_under_shot_noise() -> None:
    """Where there is no light there is no noise."""
    assert not corrupted("shot_noise", 5, side=80, grey=0).any()


@pytest.mark.parametrize("side", [32, 80])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_changes_the_published_share(side: int, severity: int) -> None:
    """Half of the share turns black, half white, the rest stays, within four standard errors."""
    share = SHARE[side][severity - 1]
    found = corrupted("impulse_noise", severity, side=side, grey=90)
    error = 4 * np.sqrt(share / 2 / found.size)
    assert (found == 0).mean() == pytest.approx(share / 2, abs=error)
    assert (found == 255).mean() == pytest.approx(share / 2, abs=error)
    assert set(np.unique(found)) == {0, 90, 255}


@pytest.mark.parametrize("kind", ["gaussian_noise", "shot_noise", "impulse_noise"])
def test_noise_is_independent_from_value_to_value(kind: str) -> None:
    """Neighbouring pixels, channels of a pixel and examples are not correlated."""
    found = corrupted(kind, 5, side=32, grey=128) - 128
    for one, other in (
        (found[:, :, 1:], found[:, :, :-1]),
        (found[..., 1:], found[..., :-1]),
        (found[1:], found[:-1]),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02
