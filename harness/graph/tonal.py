"""Operations on grey levels one by one, and on their histograms, as in `harness.transforms.tonal`.

A histogram is a count of whole numbers, and the tables made from it are computed as in NumPy: exact in any order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.backend import keras
from harness.graph.base import Builder, Shape, Step, clipped, spread
from harness.transforms.base import Transform
from harness.transforms.photometric import Brightness, Gamma
from harness.transforms.tonal import Add, Autocontrast, Equalize, Invert, Posterize, Solarize

ops = keras.ops


def brightness(transform: Brightness, _shape: Shape) -> Step:
    """Every value times a factor."""
    return lambda images: clipped(images * transform.factor)


def gamma(transform: Gamma, shape: Shape) -> Step:
    """The power law.

    Powers end in other bits in the last numbers of a tensor that do not fill a vector of the processor, so each image
    is made up to a multiple of every vector's length.
    """
    values = shape[0] * shape[1] * shape[2]

    def step(images: Any) -> Any:
        filled = ops.pad(ops.reshape(images / 255.0, (-1, values)), [(0, 0), (0, -values % 64)])
        power = ops.power(filled, transform.gamma)[:, :values]
        return clipped(255.0 * ops.reshape(power, (-1, *shape)))

    return step


def add(transform: Add, _shape: Shape) -> Step:
    """The same number added to every value."""
    return lambda images: clipped(images + transform.value)


def invert(_transform: Invert, _shape: Shape) -> Step:
    """The negative."""
    return lambda images: 255.0 - images


def solarize(transform: Solarize, _shape: Shape) -> Step:
    """The negative of all values at or above the threshold."""
    return lambda images: ops.where(images < transform.threshold, images, 255.0 - images)


def posterize(transform: Posterize, _shape: Shape) -> Step:
    """Rounded, then the lower bits dropped: division by a power of two is exact."""
    step = float(2 ** (8 - transform.bits))
    return lambda images: ops.floor(ops.round(images) / step) * step


def equalize(_transform: Equalize, shape: Shape) -> Step:
    """Levels through the table that makes each channel's histogram flat."""
    return _through_tables(shape, _equalizing)


def autocontrast(transform: Autocontrast, shape: Shape) -> Step:
    """Levels through the table that stretches each channel."""
    cut = int(shape[0] * shape[1] * transform.cutoff // 100)
    return _through_tables(shape, lambda counts: _stretching(counts, cut))


def _through_tables(shape: Shape, tables: Callable[[Any], Any]) -> Step:
    """Images through 256 new levels for each image and channel; `tables` takes and gives `[n channels, 256]`."""
    h, w, channels = shape

    def step(images: Any) -> Any:
        levels = ops.cast(ops.round(ops.transpose(images, (0, 3, 1, 2))), "int32")
        levels = ops.reshape(levels, (-1, h * w))
        counts = ops.reshape(ops.bincount(levels, minlength=256)[:, :256], (-1, 256))
        table = ops.reshape(ops.cast(tables(ops.cast(counts, "int32")), "float32"), (-1,))
        rows = ops.cumsum(ops.ones_like(levels[:, :1]), axis=0) - 1
        result = ops.take(table, spread(levels, 256 * rows), axis=0)
        return ops.transpose(ops.reshape(result, (-1, channels, h, w)), (0, 2, 3, 1))

    return step


def _equalizing(counts: Any) -> Any:
    below_or_at = ops.cumsum(counts, axis=1)
    total = below_or_at[:, -1:]
    lower = ops.max(ops.where(below_or_at < total, below_or_at, 0), axis=1, keepdims=True)
    step = ops.floor_divide(lower, 255)  # all but the pixels at the highest level
    spread = ops.floor_divide(ops.floor_divide(step, 2) + below_or_at - counts, ops.maximum(step, 1))
    return ops.where(step > 0, ops.minimum(spread, 255), np.arange(256, dtype=np.int32))


def _stretching(counts: Any, cut: int) -> Any:
    darkest = _levels_within(ops.cumsum(counts, axis=1), cut)
    lightest = 255.0 - _levels_within(ops.cumsum(ops.flip(counts, axis=1), axis=1), cut)
    scale = 255.0 / ops.maximum(lightest - darkest, 1.0)
    levels = np.arange(256, dtype=np.float64)
    # Pillow's order of operations, as in NumPy; what lies below zero is cut off anyway, so floor is truncation.
    stretched = ops.floor(spread(scale * levels, -darkest * scale))
    return ops.where(lightest <= darkest, levels, ops.clip(stretched, 0.0, 255.0))


def _levels_within(counts: Any, cut: int) -> Any:
    """How many levels have at most `cut` pixels up to them: `[rows, 1]` float64."""
    return ops.cast(ops.sum(ops.cast(counts <= cut, "int32"), axis=1, keepdims=True), "float64")


BUILDERS: dict[type[Transform], Builder] = {
    Brightness: brightness,
    Gamma: gamma,
    Add: add,
    Invert: invert,
    Solarize: solarize,
    Posterize: posterize,
    Equalize: equalize,
    Autocontrast: autocontrast,
}
