"""Weather: snow, frost, fog and brightness."""

import numpy as np

from harness.corruptions.base import Draw, normal
from harness.corruptions.blur import smeared, zoomed
from harness.corruptions.fractal import fractal, side_for

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
# Chosen so that ice has about the mean, the spread and the colour of the photographs in the published code.
ICE = (117.0, 237.0)  # grey level of the thickest ice, from one example to another
DEPTH = 0.35  # by how much the thinnest ice is darker
TINT = np.array([0.89, 1.02, 1.09])


def snow(
    images: np.ndarray,
    draw: Draw,
    *,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    keep: float,
) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 whitened, with flakes that fall in two opposite directions.

    Flakes are normal noise (`mean`, `spread`), enlarged by `zoom`, black below `threshold`, smeared within 45 degrees
    of the vertical; a second layer is the first one upside down. The scene keeps the share `keep` of itself, the rest
    is the lighter of itself and 1.5 luma + 127.5.
    """
    n, h, w, _ = images.shape
    draws = draw(h * w + 1)
    layer = zoomed((mean + spread * normal(draws[:, 1:])).reshape(n, h, w, 1), zoom)
    flakes = np.where(layer < threshold, 0, 255 * np.clip(layer, 0, 1))
    flakes = smeared(flakes, -135 + 90 * draws[:, 0], radius=radius, sigma=sigma)
    scene = keep * images + (1 - keep) * np.maximum(images, 1.5 * _luma(images) + 127.5)
    fallen: np.ndarray = scene + flakes + flakes[:, ::-1, ::-1]
    return fallen


def frost(images: np.ndarray, draw: Draw, *, image: float, ice: float) -> np.ndarray:
    """`image` times the images `[n, h, w, channels]` uint8 plus `ice` times a texture of ice.

    The official sets take crops of photographs of frost, which cannot be shipped. Here every example gets ice of its
    own: needles in three directions 60 degrees apart over the ridges of fractal noise, bluish, brighter or
    darker from example to example. Mean and spread resemble the photographs', the look is not theirs: numbers are not
    comparable with those on the official frost images.
    """
    n, h, w, channels = images.shape
    side = side_for((h, w))
    draws = draw(2 + h * w + side * side)
    clouds = fractal(draws[:, 2 + h * w :].reshape(n, side, side), decay=1.6)[:, :h, :w, None]
    needles = _needles(draws[:, 2 : 2 + h * w].reshape(n, h, w, 1), 60 * draws[:, 0])
    cover = np.clip((1 - np.abs(2 * clouds - 1)) ** 2 + needles, 0, 1)
    brightest = ICE[0] + (ICE[1] - ICE[0]) * draws[:, 1, None, None, None]
    texture = brightest * (1 - DEPTH * (1 - cover))
    frosted: np.ndarray = image * images + ice * np.minimum(texture * TINT if channels == 3 else texture, 255)
    return frosted


def _needles(draws: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Crystals `[n, h, w, 1]` from 0 to 1: scattered pixels smeared in the direction `degrees [n]` and 60, 120 on."""
    length = max(2, min(draws.shape[1:3]) // 16)
    seeds = np.where(draws < 1 / (6 * length), 1.0, 0.0)
    ways = [smeared(seeds, degrees + turn, radius=length, sigma=length) for turn in (0, 60, 120)]
    crystals: np.ndarray = np.minimum(np.maximum.reduce(ways) * length, 1)
    return crystals


def fog(images: np.ndarray, draw: Draw, *, thickness: float, decay: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 plus 255 `thickness` times fractal noise, scaled back to their own maximum."""
    n, h, w, _ = images.shape
    side = side_for((h, w))
    heights = fractal(draw(side * side).reshape(n, side, side), decay=decay)[:, :h, :w, None]
    white = images.max(axis=(1, 2, 3), keepdims=True) / 255
    foggy: np.ndarray = (images + 255 * thickness * heights) * white / (white + thickness)
    return foggy


def brightness(images: np.ndarray, _draw: Draw, *, shift: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 with 255 `shift` added to their value in hue, saturation, value.

    The value is the greatest channel. With hue and saturation kept, all channels grow by the same factor; black, which
    has no hue, becomes grey.
    """
    value = images.max(axis=3, keepdims=True).astype(np.float64)
    lifted = np.minimum(value + 255 * shift, 255)
    brighter: np.ndarray = np.where(value > 0, images * (lifted / np.maximum(value, 1)), lifted)
    return brighter


def _luma(images: np.ndarray) -> np.ndarray:
    """The grey value `[n, h, w, 1]` of uint8 images, one term after another so that no bit depends on the batch."""
    if images.shape[3] == 1:
        return images.astype(np.float64)
    parts = images * LUMA
    grey: np.ndarray = parts[..., :1] + parts[..., 1:2] + parts[..., 2:]
    return grey
