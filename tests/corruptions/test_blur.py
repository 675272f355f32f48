"""The blurs against the original code's numbers, SciPy, and plain loops."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from harness.corruptions import blur
from harness.corruptions.registry import SEVERITIES, make_corruption

PARTS = json.loads((Path(__file__).parent / "golden" / "parts.json").read_text())
COLOUR = np.random.default_rng(5).integers(0, 256, (3, 24, 30, 3)).astype(np.uint8)


@pytest.mark.parametrize("key", PARTS["disks"])
def test_disk_is_the_published_one(key: str) -> None:
    """Below radius 8 the kernel is the original's to its float32."""
    radius, alias = map(float, key.split())
    quarter = np.array(PARTS["disks"][key])
    kernel = blur.disk(radius, alias)
    middle = len(kernel) // 2
    trimmed = kernel[middle - len(quarter) + 1 : middle + 1, middle - len(quarter) + 1 : middle + 1]
    assert np.allclose(trimmed, quarter, atol=2e-7)


@pytest.mark.parametrize(("radius", "alias"), [(0.3, 0.4), (1.5, 0.1), (3, 0.1), (8, 0.5), (10, 0.5)])
def test_disk_is_round_and_sums_to_one(radius: float, alias: float) -> None:
    """The kernel sums to one, is the same from all sides, flat inside and zero beyond radius and softening."""
    kernel = blur.disk(radius, alias)
    y, x = np.indices(kernel.shape) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert np.allclose(kernel, kernel.T, atol=1e-15) and np.allclose(kernel, kernel[::-1], atol=1e-15)
    assert (kernel[np.hypot(x, y) > radius + 3] == 0).all()
    assert np.ptp(kernel[np.hypot(x, y) <= radius - 3]) < 1e-12 if radius > 3 else True


@pytest.mark.parametrize("kind", ["defocus_blur", "motion_blur", "zoom_blur", "glass_blur"])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_blur_of_one_colour_is_that_colour(kind: str, severity: int) -> None:
    """Weights sum to one and edges are continued: a uniform image stays as it is, small or large."""
    for side in (32, 70):
        images = np.broadcast_to(np.array([7, 130, 255], np.uint8), (2, side, side, 3)).copy()
        assert np.array_equal(make_corruption(kind, severity)(images, np.arange(2)), images)


@pytest.mark.parametrize("kind", ["defocus_blur", "motion_blur", "glass_blur", "zoom_blur"])
def test_blur_keeps_the_mean_and_takes_the_detail(kind: str) -> None:
    """On noise the mean stays within two grey levels and the spread falls by a fifth at least."""
    images = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    found = make_corruption(kind, 5)(images, np.arange(8))
    assert found.mean() == pytest.approx(images.mean(), abs=2)
    assert found.std() < 0.8 * images.std()


def test_defocus_is_scipys_correlation() -> None:
    """The result is SciPy's correlation of one channel with the kernel, mirrored at the edges, cut to whole levels."""
    found = make_corruption("defocus_blur", 5)(COLOUR, np.arange(3))
    kernel = np.pad(np.full((3, 3), 1 / 9), 1)
    expected = scipy.ndimage.correlate(COLOUR[1, :, :, 2].astype(float), kernel, mode="mirror")
    assert np.array_equal(found[1, :, :, 2], np.floor(expected + 1e-6))


@pytest.mark.parametrize("case", PARTS["motion"]["cases"], ids=lambda case: str(case["degrees"]))
def test_smear_is_the_published_motion_blur(case: dict[str, float]) -> None:
    """Direction, weights and edges are the original's, within its rounding."""
    image = np.array(PARTS["motion"]["image"])[None, :, :, None]
    found = blur.smeared(image, np.array([case["degrees"]]), radius=case["radius"], sigma=case["sigma"])
    assert np.allclose(found[0, :, :, 0], case["result"], atol=1e-5)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.13, 1.25, 1.75, 3.0])
@pytest.mark.parametrize("size", [(32, 32), (17, 17)])
def test_zoom_is_scipys(factor: float, size: tuple[int, int]) -> None:
    """The zoomed middle is `scipy.ndimage.zoom` of the kept middle, trimmed evenly."""
    image = np.random.default_rng(0).random(size)
    kept = int(np.ceil(size[0] / factor))
    start = (size[0] - kept) // 2
    enlarged = scipy.ndimage.zoom(image[start : start + kept, start : start + kept], factor, order=1)
    trim = (len(enlarged) - size[0]) // 2
    found = blur.zoomed(image[None, :, :, None], factor)[0, :, :, 0]
    assert np.allclose(found, enlarged[trim : trim + size[0], trim : trim + size[0]], atol=1e-9)


@pytest.mark.parametrize(("reach", "rounds"), [(1, 2), (2, 1), (3, 2)])
def test_glass_is_the_published_loop(reach: int, rounds: int) -> None:
    """Moving all pixels at once gives what the published pixel-by-pixel loop gives with the same draws."""
    images = COLOUR[:, :14, :17]
    inner = (14 - 2 * reach) * (17 - 2 * reach)
    draws = np.random.default_rng(reach).random((3, rounds * inner * 2))
    found = blur.glass_blur(images, lambda k: draws[:, :k], sigma=0.0, reach=reach, rounds=rounds)
    expected = images.copy()
    for image, own in zip(expected, draws, strict=True):
        moves = iter(np.floor(own * 2 * reach).astype(int) - reach)
        for _ in range(rounds):
            for y in range(14 - reach, reach, -1):
                for x in range(17 - reach, reach, -1):
                    across, down = next(moves), next(moves)
                    image[y, x] = image[y + down, x + across]
    assert np.array_equal(found, expected)


def test_glass_moves_no_further_than_its_reach() -> None:
    """At the weakest setting a lone white pixel is found again within one pixel of its place, or not at all."""
    images = np.zeros((40, 32, 32, 1), np.uint8)
    images[:, 16, 16] = 255
    found = np.argwhere(make_corruption("glass_blur", 1)(images, np.arange(40))[..., 0] > 0)
    assert len(found) > 20
    assert set(found[:, 1]) <= {15, 16, 17} and set(found[:, 2]) <= {15, 16, 17}
