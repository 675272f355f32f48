"""Grey and hue against hand values, Pillow and the standard library's colorsys."""

import colorsys

import numpy as np
import pytest
from PIL import Image

from harness.transforms.base import Transform
from harness.transforms.colour import Grayscale, Hue
from harness.transforms.photometric import Saturation

COLOUR = np.random.default_rng(5).integers(0, 256, (1, 9, 12, 3)).astype(np.uint8)
# Red, a dark green, white; a grey, blue, a pale red.
HAND = np.array([[[255, 0, 0], [0, 100, 0], [255] * 3], [[70] * 3, [0, 0, 255], [200, 100, 100]]], np.float32)[None]


def run(transform: Transform, images: np.ndarray) -> np.ndarray:
    """The transform on a batch, as float32."""
    return transform(images.astype(np.float32), np.arange(len(images)))


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (120, [[[0, 255, 0], [0, 0, 100], [255] * 3], [[70] * 3, [255, 0, 0], [100, 200, 100]]]),
        (-120, [[[0, 0, 255], [100, 0, 0], [255] * 3], [[70] * 3, [0, 255, 0], [100, 100, 200]]]),
        (60, [[[255, 255, 0], [0, 100, 100], [255] * 3], [[70] * 3, [255, 0, 255], [200, 200, 100]]]),
        (180, [[[0, 255, 255], [100, 0, 100], [255] * 3], [[70] * 3, [255, 255, 0], [100, 200, 200]]]),
        (-30, [[[255, 0, 127.5], [50, 100, 0], [255] * 3], [[70] * 3, [0, 127.5, 255], [200, 100, 150]]]),
    ],
)
def test_hue_by_hand(degrees: float, expected: list[list[list[float]]]) -> None:
    """A third of the circle hands each colour to the next; greys stay; half a sextant is half a mixture."""
    assert np.allclose(run(Hue(degrees), HAND)[0], expected, atol=1e-4)


@pytest.mark.parametrize("degrees", [-179, -77.7, -1, 13, 90, 180])
def test_hue_agrees_with_colorsys(degrees: float) -> None:
    """Python's own HSV, pixel by pixel, within 1e-3 of 255."""
    expected = np.empty(COLOUR.shape)
    for place in np.ndindex(COLOUR.shape[:3]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(COLOUR[place] / 255))
        expected[place] = colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)
    assert np.abs(run(Hue(degrees), COLOUR) - 255 * expected).max() < 1e-3


def test_hues_add_up() -> None:
    """Three turns of 120 degrees are none."""
    result = COLOUR.astype(np.float32)
    for _ in range(3):
        result = run(Hue(120), result)
    assert np.allclose(result, COLOUR, atol=1e-3)


def test_grayscale_by_hand() -> None:
    """299, 587 and 114 thousandths of red, green and blue, the same in all channels."""
    lumas = [[76.245, 58.7, 255], [70, 29.07, 129.9]]
    assert np.allclose(run(Grayscale(), HAND)[0], np.repeat(np.array(lumas)[..., None], 3, axis=2), atol=1e-4)


def test_grayscale_is_pillows_luma() -> None:
    """Pillow's mode L, which rounds, within half a level; and our saturation of 0."""
    expected = np.asarray(Image.fromarray(COLOUR[0]).convert("L")).astype(np.float32)
    assert np.abs(run(Grayscale(), COLOUR)[0] - expected[..., None]).max() <= 0.501
    assert np.allclose(run(Grayscale(), COLOUR), run(Saturation(0), COLOUR), atol=1e-4)


def test_no_turn_is_a_no_op() -> None:
    """Hue by no degrees; grey is always a change."""
    assert Hue(0).is_identity()
    assert not Grayscale().is_identity()


def test_wrong_parameters_are_refused() -> None:
    """One angle has one spelling."""
    with pytest.raises(ValueError, match=r"degrees must be a number in \(-180, 180\]"):
        Hue(-180)
