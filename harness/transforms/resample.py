"""The engine of the geometric transforms: every output pixel is a weighted sum of a few source pixels.

Coordinates are pixel centres measured from the image's centre, (n - 1) / 2, x to the right and y down. A transform
is given by its inverse map, from an output pixel to the place in the source that it shows:

    x_source = xx * x + xy * y + x0,    y_source = yx * x + yy * y + y0.

What lies outside the source:

    fill       row a b c d continues as   scipy.ndimage    numpy.pad   ImageDataGenerator
    constant   v v | a b c d | v v        grid-constant    constant    constant (1)
    edge       a a | a b c d | d d        nearest          edge        nearest
    reflect    b a | a b c d | d c        reflect          symmetric   reflect
    wrap       c d | a b c d | a b        grid-wrap        wrap        wrap (2)
    mirror     c b | a b c d | c b        mirror           reflect     none

(1) Keras takes the fill value alone as soon as a place lies beyond the outermost pixel centres; here the outermost
pixels blend with it over one pixel. (2) Keras makes the first and the last pixel coincide. PyTorch's padding calls
`mirror` reflect, as NumPy does.

`Taps` are the whole description, free of any backend. They run as a sparse matrix times images laid out pixels
first, which adds the same products in the same order for every example, so that no bit depends on the batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

Interpolation = Literal["nearest", "bilinear"]
Fill = Literal["constant", "edge", "reflect", "wrap", "mirror"]
Matrix = tuple[float, float, float, float, float, float]  # xx, xy, x0, yx, yy, y0

BLOCK = 2**17  # numbers in work at a time: they stay in the processor's cache, and memory stays flat in the batch


@dataclass(frozen=True, eq=False)
class Taps:
    """P output pixels as weighted sums of k source pixels each, plus a constant.

    Attributes:
        indices: `[P, k]` int32, places in the flattened source.
        weights: `[P, k]` float32; zero where the place lies outside a constant fill.
        constant: `[P]` float32, what the fill value adds.
    """

    indices: np.ndarray
    weights: np.ndarray
    constant: np.ndarray


@dataclass(frozen=True, eq=False)
class Operator:
    """Taps made ready to run: a CSR matrix `[P, Q]` and what is added, `[P]` float32 or None for nothing."""

    matrix: Any
    constant: np.ndarray | None


def resample(
    images: np.ndarray, matrix: Matrix, *, interpolation: Interpolation, fill: Fill, fill_value: float
) -> np.ndarray:
    """Images `[n, h, w, channels]` float32 seen through an inverse map, at the same size, in [0, 255]."""
    shape = images.shape[1:3]
    return apply(_affine_operator(shape, shape, matrix, interpolation, fill, float(fill_value)), images, shape)


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images `[n, h, w, channels]` float32 at `size` (H, W): bilinear, half-pixel centres, no antialiasing."""
    h, w = images.shape[1:3]
    matrix = (w / size[1], 0.0, 0.0, 0.0, h / size[0], 0.0)
    return apply(_affine_operator((h, w), size, matrix, "bilinear", "edge", 0.0), images, size)


def resample_each(
    images: np.ndarray,
    matrices: tuple[np.ndarray, ...],
    *,
    interpolation: Interpolation,
    fill: Fill,
    fill_value: float,
) -> np.ndarray:
    """As `resample`, with a map for each image: the six numbers of the matrix are arrays `[n, 1, 1]` float64."""
    n, h, w, channels = images.shape
    y, x = coordinates(matrices, (h, w), (h, w))
    found = taps(y, x, shape=(h, w), interpolation=interpolation, fill=fill, fill_value=fill_value)
    # The images' own matrices stand as blocks on the diagonal of one: image i reads pixels from i h w on.
    starts = np.repeat(np.arange(n, dtype=np.int32) * np.int32(h * w), h * w)[:, None]
    operator = operator_of(replace(found, indices=found.indices + starts), n * h * w)
    return _product(operator, images.reshape(n * h * w, channels)).reshape(images.shape)


def apply(operator: Operator, images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One operator on each image: `[n, h, w, channels]` float32 to `[n, *size, channels]`, clipped to [0, 255]."""
    n, h, w, channels = images.shape
    result = np.empty((n, *size, channels), np.float32)
    for block in blocks(n, h * w * channels):
        pixels_first = _swapped(images[block].reshape(-1, h * w, channels))
        product = _product(operator, pixels_first.reshape(h * w, -1))
        result[block] = _swapped(product.reshape(size[0] * size[1], -1, channels)).reshape(-1, *size, channels)
    return result


def blocks(n: int, values: int) -> Iterator[slice]:
    """Slices that cover n examples of `values` numbers each, about `BLOCK` numbers or eight examples a slice."""
    step = max(8, BLOCK // values)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def coordinates(
    matrix: tuple[Any, ...], target: tuple[int, int], source: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of `target` (H, W) lie in `source` (h, w): y and x, each `[..., H, W]` float64.

    The six numbers of the matrix may be arrays `[n, 1, 1]`, one map for each of n images.
    """
    xx, xy, x0, yx, yy, y0 = matrix
    y = (np.arange(target[0]) - (target[0] - 1) / 2)[:, None]
    x = (np.arange(target[1]) - (target[1] - 1) / 2)[None, :]
    # Rounded so that the last bits of a sine cannot tip a place over a pixel's border; 1e-9 is far below float32.
    return (
        np.round(yx * x + yy * y + y0 + (source[0] - 1) / 2, 9),
        np.round(xx * x + xy * y + x0 + (source[1] - 1) / 2, 9),
    )


def taps(
    y: np.ndarray,
    x: np.ndarray,
    *,
    shape: tuple[int, int],
    interpolation: Interpolation,
    fill: Fill,
    fill_value: float,
) -> Taps:
    """The source pixels and weights that make the value at each place `y, x` of an image of `shape` (h, w)."""
    rows, row_weights, row_inside = axis_taps(y.ravel(), shape[0], interpolation, fill)
    columns, column_weights, column_inside = axis_taps(x.ravel(), shape[1], interpolation, fill)
    indices = (rows[:, :, None] * np.int32(shape[1]) + columns[:, None, :]).reshape(y.size, -1)
    weights = (row_weights[:, :, None] * column_weights[:, None, :]).reshape(y.size, -1)
    if fill != "constant":
        return Taps(indices, weights.astype(np.float32), np.zeros(y.size, np.float32))
    inside = (row_inside[:, :, None] & column_inside[:, None, :]).reshape(y.size, -1)
    outside = np.where(inside, 0.0, weights).sum(axis=1)
    return Taps(indices, np.where(inside, weights, 0.0).astype(np.float32), (fill_value * outside).astype(np.float32))


def operator_of(found: Taps, sources: int) -> Operator:
    """Taps as a sparse matrix over `sources` flattened source pixels, without the products that add nothing."""
    from scipy.sparse import csr_matrix  # a third of a second to import, and most commands resample nothing

    p, k = found.indices.shape
    pointers = np.arange(0, p * k + 1, k, dtype=np.int32)
    matrix = csr_matrix((found.weights.ravel(), found.indices.ravel(), pointers), shape=(p, sources))
    matrix.eliminate_zeros()
    return Operator(matrix, found.constant if found.constant.any() else None)


def _swapped(pixels: np.ndarray) -> np.ndarray:
    """`[a, b, channels]` float32 to `[b, a, channels]`, contiguous."""
    a, b, channels = pixels.shape
    if channels == 1:
        return np.ascontiguousarray(pixels.transpose(1, 0, 2))
    # A pixel moves as one item rather than channel by channel, which takes half the time.
    items = np.ascontiguousarray(pixels).view(np.dtype((np.void, 4 * channels)))[..., 0]
    return np.ascontiguousarray(items.T).view(np.float32).reshape(b, a, channels)


def _product(operator: Operator, pixels: np.ndarray) -> np.ndarray:
    result: np.ndarray = operator.matrix @ pixels
    if operator.constant is not None:
        result += operator.constant[:, None]
    return np.clip(result, 0, 255, out=result)  # weights in float32 may sum to a hair above one


@lru_cache(maxsize=64)
def _affine_operator(
    source: tuple[int, int],
    target: tuple[int, int],
    matrix: Matrix,
    interpolation: Interpolation,
    fill: Fill,
    fill_value: float,
) -> Operator:
    y, x = coordinates(matrix, target, source)
    found = taps(y, x, shape=source, interpolation=interpolation, fill=fill, fill_value=fill_value)
    return operator_of(found, source[0] * source[1])


def axis_taps(
    places: np.ndarray, length: int, interpolation: Interpolation, fill: Fill
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along one axis: source indices int32, weights float64 and whether inside, each `[P, 1 or 2]`."""
    if interpolation == "nearest":
        low = np.floor(places + 0.5)
        neighbours, weights = low[:, None], np.ones((len(places), 1))
    else:
        low = np.floor(places)
        upper = places - low
        neighbours, weights = np.stack([low, low + 1], axis=1), np.stack([1 - upper, upper], axis=1)
    return folded(neighbours, length, fill), weights, (neighbours >= 0) & (neighbours < length)


def folded(places: np.ndarray, length: int, fill: Fill) -> np.ndarray:
    """Whole-numbered places brought back into 0..length-1 as the fill says, int32 (a constant fill clamps)."""
    if fill == "wrap":
        places = places % length
    elif fill == "reflect":
        places = places % (2 * length)
        places = np.minimum(places, 2 * length - 1 - places)
    elif fill == "mirror" and length > 1:
        places = places % (2 * length - 2)
        places = np.minimum(places, 2 * length - 2 - places)
    inside: np.ndarray = np.clip(places, 0, length - 1)
    return inside.astype(np.int32)
