"""The geometric engine as a graph: the pixels of `harness.transforms.resample` from a handful of numbers.

A map without rotation or shear moves rows and columns apart from each other: two sums of few terms, whose indices and
weights are a few numbers a row and a column. Any other map is computed in the graph, from its six numbers, in the same
double precision as in NumPy: at 224 pixels its indices and weights would be 1.6 MB in every file.

All sums are added term by term, image by image: neither the batch nor the engine decides a bit (where the processor
does not fuse the multiplication with the addition).
"""

from typing import Any

import numpy as np

from harness.backend import keras
from harness.graph.base import Shape, Step, clipped, spread
from harness.transforms.resample import Fill, Interpolation, Matrix, axis_taps, coordinates

ops = keras.ops

UNIT = 10**9  # to a pixel: the engine rounds places to nine digits, so that they are whole numbers here
FAR = 2**20  # pixels: further than any place lies outside; keeps divisions of whole numbers above zero


def affine(
    matrix: Matrix, shape: Shape, size: tuple[int, int], *, interpolation: Interpolation, fill: Fill, fill_value: float
) -> Step:
    """Images of `shape` seen through an inverse map at `size` (H, W), clipped to [0, 255]."""
    build = _general if matrix[1] or matrix[3] else _separable
    inner = build(matrix, shape, size, interpolation, fill)

    def step(images: Any) -> Any:
        # What lies outside a constant fill weighs nothing, and so is the fill value once that is taken off before.
        if fill == "constant" and fill_value:
            return clipped(inner(images - fill_value) + fill_value)
        return clipped(inner(images))

    return step


def _separable(matrix: Matrix, shape: Shape, size: tuple[int, int], interpolation: Interpolation, fill: Fill) -> Step:
    y, x = coordinates(matrix, size, shape[:2])
    rows = _taps(y[:, 0], shape[0], interpolation, fill)
    columns = _taps(x[0], shape[1], interpolation, fill)

    def step(images: Any) -> Any:
        return _weighted(_weighted(images, *rows, axis=1), *columns, axis=2)

    return step


def _taps(places: np.ndarray, length: int, interpolation: Interpolation, fill: Fill) -> tuple[np.ndarray, np.ndarray]:
    """Source indices int32 and weights float32 along one axis, `[k, P]`, without those that weigh nothing anywhere."""
    indices, weights, inside = axis_taps(places, length, interpolation, fill)
    weights = np.where(inside, weights, 0.0) if fill == "constant" else weights
    kept = np.flatnonzero(weights.any(axis=0)).tolist() or [0]
    return indices[:, kept].T, weights[:, kept].T.astype(np.float32)


def _weighted(images: Any, indices: np.ndarray, weights: np.ndarray, *, axis: int) -> Any:
    """The weighted sum of an axis' pixels."""
    if np.array_equal(indices, np.arange(images.shape[axis])[None]) and (weights == 1).all():
        return images
    terms = []
    for places, weight in zip(indices, weights, strict=True):
        gathered = ops.take(images, places, axis=axis)
        along = weight[:, None, None] if axis == 1 else weight[:, None]
        terms.append(gathered if (weight == 1).all() else gathered * along)
    return sum(terms[1:], start=terms[0])


def _general(matrix: Matrix, shape: Shape, size: tuple[int, int], interpolation: Interpolation, fill: Fill) -> Step:
    h, w, channels = shape

    def step(images: Any) -> Any:
        # Images last: a pixel of the whole batch is then gathered at once, several times as fast as one by one.
        pixels = ops.reshape(ops.transpose(ops.reshape(images, (-1, h * w * channels))), (h * w, -1))
        # A zero of the images' own: what is computed from it is computed in the model rather than written into it.
        zero = ops.zeros_like(ops.cast(ops.sum(images), "float64"))
        y, x = _places(matrix, size, (h, w), zero)
        terms = []
        for row, row_weight in _neighbours(y, h, interpolation, fill):
            for column, column_weight in _neighbours(x, w, interpolation, fill):
                indices = ops.reshape(row * w + column, (-1,))
                weight = ops.reshape(ops.cast(row_weight * column_weight, "float32"), (-1, 1, 1))
                terms.append(ops.reshape(ops.take(pixels, indices, axis=0), (size[0] * size[1], channels, -1)) * weight)
        total = ops.reshape(sum(terms[1:], start=terms[0]), (size[0] * size[1] * channels, -1))
        return ops.reshape(ops.transpose(total), (-1, *size, channels))

    return step


def _places(matrix: Matrix, size: tuple[int, int], source: tuple[int, int], zero: Any) -> tuple[Any, Any]:
    """Where output pixels lie, in billionths of a pixel: y and x, each `[H, W]` int64, not below zero."""
    xx, xy, x0, yx, yy, y0 = matrix
    y = zero + (np.arange(size[0]) - (size[0] - 1) / 2)[:, None]
    x = zero + (np.arange(size[1]) - (size[1] - 1) / 2)[None, :]
    return (
        _billionths(spread(x * yx, y * yy) + y0 + (source[0] - 1) / 2),
        _billionths(spread(x * xx, y * xy) + x0 + (source[1] - 1) / 2),
    )


def _billionths(places: Any) -> Any:
    return ops.cast(ops.round(places * float(UNIT)), "int64") + FAR * UNIT


def _neighbours(places: Any, length: int, interpolation: Interpolation, fill: Fill) -> list[tuple[Any, Any]]:
    """The source pixels along one axis, int32, and their weights, float64: one or two of each."""
    if interpolation == "nearest":
        low = ops.floor_divide(places + UNIT // 2, UNIT)
        found = [(low, ops.cast(ops.ones_like(low), "float64"))]
    else:
        low = ops.floor_divide(places, UNIT)
        upper = ops.cast(places - low * UNIT, "float64") / float(UNIT)
        found = [(low, 1.0 - upper), (low + 1, upper)]
    return [_brought_back(ops.cast(place, "int32") - FAR, weight, length, fill) for place, weight in found]


def _brought_back(place: Any, weight: Any, length: int, fill: Fill) -> tuple[Any, Any]:
    """As `harness.transforms.resample.folded` does it; outside a constant fill the weight is zero."""
    if fill == "wrap":
        place = ops.mod(place, length)
    elif fill == "reflect":
        place = ops.mod(place, 2 * length)
        place = ops.minimum(place, 2 * length - 1 - place)
    elif fill == "mirror" and length > 1:
        place = ops.mod(place, 2 * length - 2)
        place = ops.minimum(place, 2 * length - 2 - place)
    elif fill == "constant":
        weight = ops.where((place >= 0) & (place < length), weight, 0.0)
    return ops.clip(place, 0, length - 1), weight
