"""Digital faults: contrast, elastic transform, pixelation and JPEG."""

import io

import numpy as np
from PIL import Image

from harness.corruptions.base import Draw


def contrast(images: np.ndarray, _draw: Draw, *, factor: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 with each channel's distance from its mean over the image times `factor`."""
    total = images.sum(axis=(1, 2), keepdims=True, dtype=np.int64)  # whole numbers have the same sum in every batch
    mean: np.ndarray = total / (images.shape[1] * images.shape[2])
    result: np.ndarray = mean + factor * (images - mean)
    return result


def elastic_transform(images: np.ndarray, draw: Draw, *, strength: float, sigma: float, corner: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 bent: an affine map, then smooth local displacements, both bilinear.

    All three parameters are fractions of the shorter side. The affine map moves three corners of the middle square by
    up to `corner` in each direction; edges are mirrored. Displacements are uniform in [-1, 1], smoothed by a gaussian
    of `sigma` (cut off at three), times `strength`.
    """
    from scipy.ndimage import gaussian_filter  # scipy is slow to import

    n, h, w, _ = images.shape
    side = min(h, w)
    draws = 2 * draw(6 + 2 * h * w) - 1
    maps = _inverse_maps((h, w), corner * side * draws[:, :6].reshape(n, 3, 2))
    smooth = (0, 0, sigma * side, sigma * side)
    shifts = gaussian_filter(draws[:, 6:].reshape(n, 2, h, w), smooth, mode="reflect", truncate=3.0)
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    result = np.empty(images.shape)
    for image, bent, found, (down, across) in zip(images, result, maps, strength * side * shifts, strict=True):
        (x0, y0), (xx, yx), (xy, yy) = found
        affine = _sampled(image.astype(np.float64), y0 + yx * x + yy * y, x0 + xx * x + xy * y, mode="mirror")
        bent[:] = _sampled(affine, y + down, x + across, mode="reflect")
    return result


def pixelate(images: np.ndarray, _draw: Draw, *, scale: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 shrunk by `scale` and enlarged again, both with Pillow's box filter."""
    h, w = images.shape[1:3]
    small = (max(1, int(w * scale)), max(1, int(h * scale)))
    box = Image.Resampling.BOX
    return np.stack([_array(_picture(image).resize(small, box).resize((w, h), box)) for image in images])


def jpeg_compression(images: np.ndarray, _draw: Draw, *, quality: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 through Pillow's JPEG at `quality`, with its default subsampling."""
    return np.stack([_array(_through_jpeg(_picture(image), int(quality))) for image in images])


def _inverse_maps(size: tuple[int, int], moves: np.ndarray) -> np.ndarray:
    """Maps `[n, 3, 2]` from (1, x, y) to the place (x, y) in the source, for corners moved by `moves [n, 3, 2]`."""
    arm = max(1, min(size) // 3)
    corners = np.array([size[1] // 2, size[0] // 2]) + arm * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = np.concatenate([np.ones((len(moves), 3, 1)), corners + moves], axis=2)
    found: np.ndarray = np.linalg.solve(moved, np.broadcast_to(corners.astype(np.float64), moves.shape))
    return found


def _sampled(image: np.ndarray, y: np.ndarray, x: np.ndarray, *, mode: str) -> np.ndarray:
    """An image `[h, w, channels]` float64 at the places `y, x [h, w]`, bilinear; `mode` says what lies outside."""
    from scipy.ndimage import map_coordinates

    planes = [map_coordinates(image[:, :, channel], (y, x), order=1, mode=mode) for channel in range(image.shape[2])]
    return np.stack(planes, axis=2)


def _through_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def _picture(image: np.ndarray) -> Image.Image:
    """An image `[h, w, 1 or 3]` uint8 as Pillow's, mode L or RGB."""
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _array(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
