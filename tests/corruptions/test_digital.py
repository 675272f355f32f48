"""Contrast, elastic transform, pixelation and JPEG against formulas, Pillow and SciPy."""

import io

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from harness.corruptions import digital
from harness.corruptions.registry import SEVERITIES, make_corruption

COLOUR = np.random.default_rng(5).integers(0, 256, (3, 20, 26, 3)).astype(np.uint8)
LARGE = scipy.ndimage.gaussian_filter(np.random.default_rng(6).random((2, 70, 80, 3)), (0, 2, 2, 0))
LARGE = ((LARGE - LARGE.min()) / np.ptp(LARGE) * 255).astype(np.uint8)
FACTOR = {26: (0.75, 0.5, 0.4, 0.3, 0.15), 80: (0.4, 0.3, 0.2, 0.1, 0.05)}
SCALE = {26: (0.95, 0.9, 0.85, 0.75, 0.65), 80: (0.6, 0.5, 0.4, 0.3, 0.25)}
QUALITY = {26: (80, 65, 58, 50, 40), 80: (25, 18, 15, 10, 7)}

sizes = pytest.mark.parametrize("images", [COLOUR, LARGE, COLOUR[..., :1], LARGE[..., :1]], ids=["s", "l", "sg", "lg"])
severities = pytest.mark.parametrize("severity", SEVERITIES)


def picture(image: np.ndarray) -> Image.Image:
    """The image as Pillow's."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


@sizes
@severities
def test_contrast_shrinks_distances_from_the_mean(images: np.ndarray, severity: int) -> None:
    """Every channel is mean + factor (value - mean), cut to whole grey levels."""
    factor = FACTOR[images.shape[2]][severity - 1]
    means = images.astype(float).mean(axis=(1, 2), keepdims=True)
    expected = np.floor(means + factor * (images - means) + 1e-6)
    assert np.array_equal(make_corruption("contrast", severity)(images, np.arange(len(images))), expected)


@sizes
@severities
def test_pixelate_is_pillows_box(images: np.ndarray, severity: int) -> None:
    """Pixels are Pillow's, shrunk and enlarged with its box filter."""
    found = make_corruption("pixelate", severity)(images, np.arange(len(images)))
    h, w = images.shape[1:3]
    small = (int(w * SCALE[w][severity - 1]), int(h * SCALE[w][severity - 1]))
    for image, after in zip(images, found, strict=True):
        expected = picture(image).resize(small, Image.Resampling.BOX).resize((w, h), Image.Resampling.BOX)
        assert np.array_equal(after.squeeze(), np.asarray(expected))


@sizes
@severities
def test_jpeg_is_pillows(images: np.ndarray, severity: int) -> None:
    """Pixels are what Pillow reads back from its own file at the published quality."""
    found = make_corruption("jpeg_compression", severity)(images, np.arange(len(images)))
    for image, after in zip(images, found, strict=True):
        stream = io.BytesIO()
        picture(image).save(stream, "JPEG", quality=QUALITY[images.shape[2]][severity - 1])
        assert np.array_equal(after.squeeze(), np.asarray(Image.open(stream)))


def test_elastic_without_strength_or_corners_is_the_identity() -> None:
    """With nothing moved every pixel is its own."""
    middle = np.full((3, 6 + 2 * 20 * 26), 0.5)
    found = digital.elastic_transform(COLOUR, lambda k: middle[:, :k], strength=0.5, sigma=0.1, corner=0.5)
    assert np.allclose(found, COLOUR, atol=1e-9)


def test_elastic_moves_three_corners_where_it_is_told() -> None:
    """A shift of all three corners by one draw moves the whole image: 4 right and 2 down, mirrored at the edges."""
    draws = np.full((1, 6 + 2 * 20 * 26), 0.5)
    draws[0, :6] = [1.0, 0.75] * 3  # (x, y) of each: the full reach and half of it
    found = digital.elastic_transform(COLOUR[:1], lambda k: draws[:, :k], strength=0, sigma=0, corner=0.2)
    padded = np.pad(COLOUR[0].astype(float), ((2, 0), (4, 0), (0, 0)), mode="reflect")
    assert np.allclose(found[0], padded[:20, :26], atol=1e-8)


def test_elastic_displacements_are_bounded() -> None:
    """With fixed corners no pixel of a ramp changes by more than strength times the side, nor stays where it was."""
    ramp = np.broadcast_to((4 * np.arange(40))[None, None, :, None], (6, 40, 40, 1)).astype(np.uint8)
    draws = np.random.default_rng(0).random((6, 6 + 2 * 40 * 40))
    draws[:, :6] = 0.5
    found = digital.elastic_transform(ramp, lambda k: draws[:, :k], strength=0.1, sigma=0.05, corner=0)
    moved = np.abs(found - ramp)[:, :, 5:-5] / 4
    assert 0.1 < moved.max() <= 0.1 * 40
    smooth = np.abs(np.diff((found - ramp)[..., 0], axis=1)).mean() / np.abs(found - ramp).mean()
    assert smooth < 1  # neighbours go together
