"""Pixels moved: mirror images, quarter turns, windows, the geometric engine, and a part hidden.

The engine's `Taps` are the same arrays as in NumPy, here as constants, and their products are added in the same
order, image by image: neither the batch nor the engine decides a bit (where the processor does not fuse the
multiplication with the addition).
"""

from typing import Any

import numpy as np

from harness.backend import tf
from harness.graph.base import Builder, Shape, Step, clipped
from harness.transforms.base import Transform
from harness.transforms.crops import Crop, PadCrop
from harness.transforms.flips import HorizontalFlip, Rotate90, VerticalFlip
from harness.transforms.geometric import Resampled, Rotate, Shear, Shift, Zoom
from harness.transforms.occlusion import Cutout
from harness.transforms.resample import Taps, coordinates, taps

FIRST = np.zeros(1, np.int64)  # the index of a single image


def horizontal_flip(_transform: HorizontalFlip, _shape: Shape) -> Step:
    """The order of columns reversed."""
    return lambda images: tf.reverse(images, [2])


def vertical_flip(_transform: VerticalFlip, _shape: Shape) -> Step:
    """The order of rows reversed."""
    return lambda images: tf.reverse(images, [1])


def rotate90(transform: Rotate90, _shape: Shape) -> Step:
    """Quarter turns: a mirror image and an exchange of rows and columns."""
    if transform.turns == 2:
        return lambda images: tf.reverse(images, [1, 2])
    mirrored = 2 if transform.turns == 1 else 1
    return lambda images: tf.transpose(tf.reverse(images, [mirrored]), [0, 2, 1, 3])


def crop(transform: Crop, shape: Shape) -> Step:
    """The window, where the transform itself cuts it out of an image of its own coordinates."""
    places = np.moveaxis(np.indices(shape[:2], np.float32), 0, -1)
    cut = transform(places[None], FIRST)[0]
    top, left = cut[0, 0].astype(int).tolist()
    return window(top, left, cut.shape[:2])


def window(top: int, left: int, size: tuple[int, int]) -> Step:
    """The pixels from row `top` and column `left` on, `size` (H, W) of them."""
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    return lambda images: images[:, rows, columns]


def pad_crop(transform: PadCrop, shape: Shape) -> Step:
    """The shift by whole pixels that it is."""
    fill, value = transform.fill, transform.fill_value
    shift = Shift(transform.dx, transform.dy, interpolation="nearest", fill=fill, fill_value=value)
    return resampled(shift, shape)


def resampled(transform: Resampled, shape: Shape) -> Step:
    """The transform's taps at unchanged size."""
    size = shape[:2]
    y, x = coordinates(transform.matrix(*size), size, size)
    interpolation, fill, value = transform.interpolation, transform.fill, transform.fill_value
    return weighted(taps(y, x, shape=size, interpolation=interpolation, fill=fill, fill_value=value), shape, size)


def resize(shape: Shape, size: tuple[int, int]) -> Step:
    """What `harness.transforms.resample.resize` does: bilinear to `size` (H, W), without antialiasing."""
    h, w, _ = shape
    y, x = coordinates((w / size[1], 0.0, 0.0, 0.0, h / size[0], 0.0), size, (h, w))
    return weighted(taps(y, x, shape=(h, w), interpolation="bilinear", fill="edge", fill_value=0.0), shape, size)


def weighted(found: Taps, shape: Shape, size: tuple[int, int]) -> Step:
    """Every output pixel as its weighted sum: images of `shape` to `size` (H, W), clipped."""
    h, w, channels = shape
    # A shift by whole pixels has one neighbour only; where all is outside a constant fill, it has none.
    kept = np.flatnonzero(found.weights.any(axis=0)).tolist() or [0]

    def step(images: Any) -> Any:
        # Images last: a pixel of the whole batch is then gathered at once, several times as fast as one by one.
        pixels = tf.reshape(tf.transpose(tf.reshape(images, [-1, h * w * channels])), [h * w, -1])
        products = [_product(found.indices[:, tap], found.weights[:, tap], pixels, channels) for tap in kept]
        total = tf.transpose(sum(products[1:], start=products[0]))
        if found.constant.any():
            total += tf.repeat(found.constant, channels)
        return clipped(tf.reshape(total, [-1, *size, channels]))

    return step


def _product(indices: np.ndarray, weights: np.ndarray, pixels: Any, channels: int) -> Any:
    """One source pixel of each output pixel times its weight: `[Q, channels n]` to `[P channels, n]`."""
    gathered = tf.reshape(tf.gather(pixels, indices), [len(indices) * channels, -1])
    return gathered * tf.repeat(weights, channels)[:, None]


def cutout(transform: Cutout, shape: Shape) -> Step:
    """The square, as the transform itself puts it on a blank image."""
    blank = np.full((1, *shape[:2], 1), transform.fill_value + 1, np.float32)
    hidden = transform(blank, FIRST) != blank
    return lambda images: tf.where(hidden, transform.fill_value, images)


BUILDERS: dict[type[Transform], Builder] = {
    HorizontalFlip: horizontal_flip,
    VerticalFlip: vertical_flip,
    Rotate90: rotate90,
    Rotate: resampled,
    Shift: resampled,
    Zoom: resampled,
    Shear: resampled,
    Crop: crop,
    PadCrop: pad_crop,
    Cutout: cutout,
}
