"""Snow, frost, fog and brightness against their published definitions."""

import colorsys
import json
from pathlib import Path

import numpy as np
import pytest

from harness.corruptions.fractal import fractal, side_for
from harness.corruptions.registry import SEVERITIES, make_corruption

PARTS = json.loads((Path(__file__).parent / "golden" / "parts.json").read_text())
COLOUR = np.random.default_rng(5).integers(0, 256, (4, 20, 26, 3)).astype(np.uint8)
SHIFT = {26: (0.05, 0.1, 0.15, 0.2, 0.3), 70: (0.1, 0.2, 0.3, 0.4, 0.5)}


@pytest.mark.parametrize("side", [26, 70])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_adds_to_the_value_of_hsv(side: int, severity: int) -> None:
    """Each pixel is Python's own `colorsys` with the shift added to the value, cut to whole grey levels."""
    images = np.random.default_rng(side).integers(0, 256, (1, 5, side, 3)).astype(np.uint8)
    images[0, 0, 0] = 0
    found = make_corruption("brightness", severity)(images, np.arange(1))
    for before, after in zip(images.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before / 255))
        lifted = min(value + SHIFT[side][severity - 1], 1)
        expected = 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, lifted))
        assert np.array_equal(after, np.floor(expected + 1e-6))


def test_brightness_of_grey_is_a_sum() -> None:
    """Grey images gain 255 times the shift: 12 of 12.75 at the weakest, with white as the end."""
    images = np.array([0, 100, 240, 250], np.uint8).reshape(1, 2, 2, 1)
    assert make_corruption("brightness", 1)(images, np.arange(1)).ravel().tolist() == [12, 112, 252, 255]


@pytest.mark.parametrize("case", PARTS["fractal"], ids=lambda case: str(case["decay"]))
def test_fractal_is_the_published_one(case: dict[str, list[list[float]]]) -> None:
    """With the same draws the heights are the original's."""
    found = fractal(np.array(case["draws"])[None], decay=case["decay"])[0]
    assert np.allclose(found, case["heights"], atol=1e-8)


def test_fractal_is_scaled_and_smoother_with_decay() -> None:
    """Heights run from 0 to 1; a greater decay makes smaller steps between neighbours."""
    draws = np.random.default_rng(0).random((5, 64, 64))
    steps = []
    for decay in (1.2, 2.0, 3.0):
        heights = fractal(draws, decay=decay)
        assert (heights.min(axis=(1, 2)) == 0).all() and (heights.max(axis=(1, 2)) == 1).all()
        steps.append(np.abs(np.diff(heights, axis=2)).mean())
    assert steps[0] > steps[1] > steps[2]


@pytest.mark.parametrize(
    ("size", "side"), [((32, 32), 32), ((28, 28), 32), ((33, 8), 64), ((224, 224), 256), ((1, 1), 2)]
)
def test_fractal_covers_the_image(size: tuple[int, int], side: int) -> None:
    """The map's side is the next power of two of the longer side."""
    assert side_for(size) == side


def test_fog_keeps_the_maximum_and_takes_the_contrast() -> None:
    """No pixel exceeds the image's own maximum, black stays black, and the spread falls with thickness."""
    images = COLOUR // 2
    spreads = [make_corruption("fog", severity)(images, np.arange(4)) for severity in (1, 5)]
    assert all((found.max(axis=(1, 2, 3)) <= images.max(axis=(1, 2, 3))).all() for found in spreads)
    assert images.std() > spreads[0].std() > spreads[1].std()
    assert not make_corruption("fog", 5)(np.zeros_like(images), np.arange(4)).any()


def test_fog_is_the_same_in_all_channels() -> None:
    """What fog adds to a uniform colour is grey."""
    found = make_corruption("fog", 3)(np.full((2, 32, 32, 3), 90, np.uint8), np.arange(2))
    assert np.array_equal(found[..., 0], found[..., 1]) and np.array_equal(found[..., 0], found[..., 2])
    assert found.std() > 5


def test_snow_whitens_and_never_darkens() -> None:
    """Snow adds light: no value falls, and flakes fall from above, so columns vary less than rows do."""
    images = np.full((30, 32, 32, 3), 80, np.uint8)
    found = make_corruption("snow", 5)(images, np.arange(30))[..., 0].astype(float)
    assert found.min() >= 80 and found.mean() > 100
    assert np.abs(np.diff(found, axis=1)).mean() < 0.8 * np.abs(np.diff(found, axis=2)).mean()


def test_snow_without_flakes_is_the_whitened_scene() -> None:
    """Where no flake fell, grey v at severity 1 is 0.95 v + 0.05 max(v, 1.5 v + 127.5)."""
    images = np.full((20, 32, 32, 1), 60, np.uint8)
    found = make_corruption("snow", 1)(images, np.arange(20))
    assert found.min() == int(0.95 * 60 + 0.05 * (1.5 * 60 + 127.5))


def test_frost_is_ice_over_a_dimmed_image() -> None:
    """What frost adds to black and to grey differs by the image's share; ice is bluish and differs by example."""
    frost = make_corruption("frost", 5)
    black, grey = (frost(np.full((40, 32, 32, 3), v, np.uint8), np.arange(40)).astype(float) for v in (0, 60))
    assert np.abs(grey - black - 0.75 * 60).max() <= 1
    red, green, blue = black.mean(axis=(0, 1, 2))
    assert red < green < blue
    assert black.mean(axis=(1, 2, 3)).std() > 5 and black.std(axis=(1, 2)).mean() > 3
