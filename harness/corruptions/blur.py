"""Blur: out of focus, through frosted glass, in motion, while zooming."""

import math

import numpy as np

from harness.corruptions.base import Draw, truncated


def defocus_blur(images: np.ndarray, _draw: Draw, *, radius: float, alias: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 under a disk of `radius` pixels, mirrored at the edges."""
    from scipy.ndimage import correlate  # scipy is slow to import

    kernel = disk(radius, alias)[None, :, :, None]
    blurred: np.ndarray = correlate(images.astype(np.float64), kernel, mode="mirror")
    return blurred


def disk(radius: float, alias: float) -> np.ndarray:
    """A kernel `[k, k]` that sums to one: pixels within `radius`, softened by a gaussian of `alias` pixels.

    The softening is cut off at one pixel, above radius 8 at two. The published code leaves it no room at radius 8 and
    10, so that its kernels sum to 1.01 there and brighten; these do not.
    """
    from scipy.ndimage import correlate1d

    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    weights = np.exp(-0.5 * (taps / alias) ** 2)
    reach = int(radius) + 2  # room for the softening, so that none of it is lost
    square = np.arange(-reach, reach + 1) ** 2
    kernel = (square[:, None] + square[None, :] <= radius**2).astype(np.float64)
    for axis in (0, 1):
        kernel = correlate1d(kernel, weights, axis=axis, mode="constant")
    softened: np.ndarray = kernel / kernel.sum()
    return softened


def glass_blur(images: np.ndarray, draw: Draw, *, sigma: float, reach: float, rounds: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8: gaussian blur, pixels moved at random by up to `reach`, blur again.

    The published code means to swap each pixel with a random neighbour, but takes the neighbour's colour for both,
    because its two arrays are views of one. The official images are made so, and so are these.
    """
    size = (images.shape[1], images.shape[2])
    blurred = truncated(_gaussian(images.astype(np.float64), sigma))
    pixels = blurred.reshape(len(images), size[0] * size[1], -1)
    inner = _inner(size, int(reach))
    moves = np.floor(draw(int(rounds) * 2 * len(inner)) * (2 * int(reach))).astype(np.int64) - int(reach)
    for across, down in moves.reshape(len(images), int(rounds), len(inner), 2).transpose(1, 3, 0, 2):
        sources = _sources(inner, inner + down * size[1] + across, size[0] * size[1])
        pixels = np.take_along_axis(pixels, sources[:, :, None], axis=1)
    return _gaussian(pixels.reshape(images.shape).astype(np.float64), sigma)


def motion_blur(images: np.ndarray, draw: Draw, *, radius: float, sigma: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 smeared in a direction within 45 degrees of the horizontal.

    Rounded to whole grey levels, as ImageMagick does, which made the official images.
    """
    degrees = 90 * draw(1)[:, 0] - 45
    rounded: np.ndarray = np.rint(smeared(images.astype(np.float64), degrees, radius=radius, sigma=sigma))
    return rounded


def smeared(images: np.ndarray, degrees: np.ndarray, *, radius: float, sigma: float) -> np.ndarray:
    """Images `[n, h, w, channels]` float64, each smeared to one side along its own direction `degrees [n]`.

    Pixel (y, x) is the mean of its 2 radius + 1 neighbours i = 0, 1, ... at (y + i sin, x + i cos), rounded to whole
    pixels, with weights exp(-i^2 / 2 sigma^2); edges continue. This is ImageMagick's `MotionBlurImage`.
    """
    steps = np.arange(2 * int(radius) + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    weights /= weights.sum()
    pad = len(steps)
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    h, w = images.shape[1:3]
    result = np.zeros_like(images)
    for image, source, angle in zip(result, padded, np.radians(degrees).tolist(), strict=True):
        rows = np.ceil(steps * math.sin(angle) - 0.5).astype(int) + pad
        columns = np.ceil(steps * math.cos(angle) - 0.5).astype(int) + pad
        for weight, y, x in zip(weights, rows, columns, strict=True):
            image += weight * source[y : y + h, x : x + w]
    return result


def zoom_blur(images: np.ndarray, _draw: Draw, *, stop: float, step: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 averaged with themselves at the zooms 1, 1 + step, ... up to `stop`."""
    pixels = images.astype(np.float64)
    factors = np.arange(1, stop, step)
    total = pixels.copy()
    for factor in factors:
        total += zoomed(pixels, float(factor))
    mean: np.ndarray = total / (len(factors) + 1)
    return mean


def zoomed(images: np.ndarray, factor: float) -> np.ndarray:
    """The middle of images `[n, h, w, channels]` float64 enlarged by `factor` (at least 1) to the same size, bilinear.

    As `scipy.ndimage.zoom` of the middle ceil(side / factor) pixels, whose first and last pixel keep their centres at
    the corners, trimmed to the side.
    """
    for axis in (1, 2):
        side = images.shape[axis]
        kept = math.ceil(side / factor)
        enlarged = round(kept * factor)
        trim = (enlarged - side) // 2
        places = (side - kept) // 2 + np.linspace(0, kept - 1, enlarged)[trim : trim + side]
        low = np.floor(places).astype(int)
        share = (places - low).reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        first, second = np.take(images, low, axis=axis), np.take(images, np.minimum(low + 1, side - 1), axis=axis)
        images = first + share * (second - first)
    return images


def _gaussian(images: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of each channel, cut off at four standard deviations; edges continue."""
    from scipy.ndimage import gaussian_filter

    blurred: np.ndarray = gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest", truncate=4.0)
    return blurred


def _inner(size: tuple[int, int], reach: int) -> np.ndarray:
    """Flat places of the pixels that move, in the order of the published loops: from the bottom right, leftwards."""
    rows, columns = (np.arange(side - reach, reach, -1) for side in size)
    return (rows[:, None] * size[1] + columns[None, :]).ravel()


def _sources(inner: np.ndarray, targets: np.ndarray, count: int) -> np.ndarray:
    """Where each of `count` pixels comes from `[n, count]` after the pixels `inner [m]` took those at `targets [n, m]`.

    They take them one after another in falling order, so a target that lies later in the image has moved already, and
    its own source is meant. Such chains are followed by doubling, all images at once.
    """
    sources = np.tile(np.arange(count), (len(targets), 1))
    sources[:, inner] = targets
    moved = np.zeros(count, bool)
    moved[inner] = True
    pending = moved[sources] & (sources > np.arange(count))
    while pending.any():
        following = np.take_along_axis(sources, sources, axis=1)
        still = np.take_along_axis(pending, sources, axis=1)
        sources, pending = np.where(pending, following, sources), pending & still
    return sources
