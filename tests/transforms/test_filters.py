"""Sharpness and blur against hand values, Pillow and scipy.ndimage."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image, ImageEnhance, ImageFilter

from harness.transforms.base import Transform
from harness.transforms.filters import PilBlur, Sharpness

COLOUR = np.random.default_rng(5).integers(0, 256, (2, 9, 12, 3)).astype(np.uint8)


def run(transform: Transform, images: np.ndarray) -> np.ndarray:
    """The transform on a batch, as float32."""
    return transform(images.astype(np.float32), np.arange(len(images)))


def test_sharpness_by_hand() -> None:
    """The neighbours 1, 2, 3, 4, 6, 7, 8, 9 and five times 83 make 455, which is 13 times 35; the border stays."""
    image = np.array([[1, 2, 3], [4, 83, 6], [7, 8, 9]], np.float32)[None, :, :, None]
    for factor, middle in ((0, 35), (0.5, 59), (1.5, 107), (9, 255)):
        expected = [[1, 2, 3], [4, middle, 6], [7, 8, 9]]
        assert np.allclose(run(Sharpness(factor), image)[0, :, :, 0], expected, atol=1e-4)


def test_blur_by_hand() -> None:
    """A point is spread over the ring at distance two from it, a 16th each; a border of two pixels stays."""
    image = np.zeros((1, 7, 7, 1), np.float32)
    image[0, 3, 4], image[0, 0, 1] = 160, 32
    assert run(PilBlur(), image)[0, :, :, 0].tolist() == [
        [0, 32, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 12, 2, 0, 0, 0],
        [0, 0, 10, 0, 0, 0, 0],
        [0, 0, 10, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5, 1.9, 3.0])
def test_sharpness_agrees_with_pillow(factor: float) -> None:
    """Pillow rounds the smoothed image (multiplied by |1 - factor|) and the result."""
    for image, ours in zip(COLOUR, run(Sharpness(factor), COLOUR), strict=True):
        expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor)).astype(np.float32)
        assert np.abs(ours - expected).max() <= 1.01 + 0.5 * abs(1 - factor)


def test_sharpness_zero_is_pillows_smooth() -> None:
    """`ImageFilter.SMOOTH`, which rounds, within half a level."""
    expected = np.asarray(Image.fromarray(COLOUR[0]).filter(ImageFilter.SMOOTH)).astype(np.float32)
    assert np.abs(run(Sharpness(0), COLOUR)[0] - expected).max() <= 0.501


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_is_pillows(channels: int) -> None:
    """`ImageFilter.BLUR`, which rounds, within half a level, its untouched border included."""
    for image, ours in zip(COLOUR[..., :channels], run(PilBlur(), COLOUR[..., :channels]), strict=True):
        expected = np.asarray(Image.fromarray(image.squeeze()).filter(ImageFilter.BLUR)).reshape(image.shape)
        assert np.abs(ours - expected).max() <= 0.501


def test_windows_agree_with_scipy() -> None:
    """The same kernels through scipy.ndimage.convolve, inside the border, within 1e-3."""
    smooth, ring = np.ones((3, 3)), np.ones((5, 5))
    smooth[1, 1], ring[1:4, 1:4] = 5, 0
    for transform, kernel, border in ((Sharpness(0), smooth / 13, 1), (PilBlur(), ring / 16, 2)):
        expected = scipy.ndimage.convolve(COLOUR.astype(np.float64), kernel[None, :, :, None])
        inner = np.s_[:, border:-border, border:-border]
        assert np.abs(run(transform, COLOUR) - expected)[inner].max() < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (4, 4)])
def test_images_without_an_inside_stay(shape: tuple[int, int]) -> None:
    """Where no window fits, nothing changes."""
    images = np.random.default_rng(0).uniform(0, 255, (1, *shape, 1)).astype(np.float32)
    assert np.array_equal(run(PilBlur(), images), images)
    assert np.array_equal(run(Sharpness(0), images), images) == (min(shape) < 3)


def test_only_factor_one_is_a_no_op() -> None:
    """Sharpness(1) is the identity; the blur never is."""
    assert Sharpness(1).is_identity()
    assert not PilBlur().is_identity()
    with pytest.raises(ValueError, match=r"factor must be a number in \[0, inf\)"):
        Sharpness(-0.1)
