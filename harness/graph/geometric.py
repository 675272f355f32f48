"""Pixels moved: mirror images, quarter turns, windows, and a part hidden; `harness.graph.resampling` has the rest."""

from typing import Any

import numpy as np

from harness.backend import keras
from harness.graph.base import Builder, Shape, Step
from harness.graph.resampling import affine
from harness.transforms.base import Transform
from harness.transforms.crops import Crop, PadCrop
from harness.transforms.flips import HorizontalFlip, Rotate90, VerticalFlip
from harness.transforms.geometric import Resampled, Rotate, Shear, Shift, Zoom
from harness.transforms.occlusion import Cutout

ops = keras.ops

FIRST = np.zeros(1, np.int64)  # the index of a single image


def horizontal_flip(_transform: HorizontalFlip, _shape: Shape) -> Step:
    """The order of columns reversed."""
    return lambda images: _reversed(images, 2)


def vertical_flip(_transform: VerticalFlip, _shape: Shape) -> Step:
    """The order of rows reversed."""
    return lambda images: _reversed(images, 1)


def rotate90(transform: Rotate90, _shape: Shape) -> Step:
    """Quarter turns: a mirror image and an exchange of rows and columns."""
    if transform.turns == 2:
        return lambda images: _reversed(_reversed(images, 1), 2)
    mirrored = 2 if transform.turns == 1 else 1
    return lambda images: ops.transpose(_reversed(images, mirrored), (0, 2, 1, 3))


def _reversed(images: Any, axis: int) -> Any:
    return ops.take(images, np.arange(images.shape[axis])[::-1].astype(np.int32), axis=axis)


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
    """The transform's map at unchanged size."""
    h, w, _ = shape
    interpolation, fill, value = transform.interpolation, transform.fill, transform.fill_value
    return affine(transform.matrix(h, w), shape, (h, w), interpolation=interpolation, fill=fill, fill_value=value)


def resize(shape: Shape, size: tuple[int, int]) -> Step:
    """What `harness.transforms.resample.resize` does: bilinear to `size` (H, W), without antialiasing."""
    h, w, _ = shape
    matrix = (w / size[1], 0.0, 0.0, 0.0, h / size[0], 0.0)
    return affine(matrix, shape, size, interpolation="bilinear", fill="edge", fill_value=0.0)


def cutout(transform: Cutout, shape: Shape) -> Step:
    """The square, as the transform itself puts it on a blank image."""
    blank = np.full((1, *shape[:2], 1), transform.fill_value + 1, np.float32)
    hidden = transform(blank, FIRST) != blank
    rows, columns = hidden.any(axis=2, keepdims=True), hidden.any(axis=1, keepdims=True)

    def step(images: Any) -> Any:
        return ops.where(rows, ops.where(columns, transform.fill_value, images), images)

    return step


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
