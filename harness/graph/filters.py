"""Weighted sums over a small window, and what lossy files do: sharpening, the two blurs, JPEG.

Windows are sums of shifted images rather than convolutions, whose kernels add in an order that depends on the batch.
"""

from typing import Any

import numpy as np

from harness.backend import tf
from harness.graph.base import Builder, Shape, Step, clipped
from harness.transforms.base import Transform
from harness.transforms.compression import Jpeg
from harness.transforms.filters import PilBlur, Sharpness
from harness.transforms.photometric import GaussianBlur
from harness.transforms.resample import folded


def sharpness(transform: Sharpness, shape: Shape) -> Step:
    """Distance from the smoothed image times a factor, away from the border."""
    if min(shape[:2]) < 3:
        return lambda images: images

    def step(images: Any) -> Any:
        inner = images[:, 1:-1, 1:-1]
        # In double precision: a compiled graph multiplies with the reciprocal, and 13 times 128 would give 127.99999.
        smooth = tf.cast(tf.cast(_box(images, 3) + 4.0 * inner, tf.float64) / 13.0, tf.float32)
        return _framed(clipped(smooth + transform.factor * (inner - smooth)), images, width=1)

    return step


def pil_blur(_transform: PilBlur, shape: Shape) -> Step:
    """The mean of the 16 pixels on the border of the 5x5 window, away from the border of the image."""
    if min(shape[:2]) < 5:
        return lambda images: images

    def step(images: Any) -> Any:
        ring = _box(images, 5) - _box(images[:, 1:-1, 1:-1], 3)
        return _framed(clipped(ring / 16.0), images, width=2)

    return step


def gaussian_blur(transform: GaussianBlur, shape: Shape) -> Step:
    """Gaussian blur down the columns and then along the rows."""
    return lambda images: _blurred(_blurred(images, transform.sigma, shape[0], 1), transform.sigma, shape[1], 2)


def jpeg(transform: Jpeg, shape: Shape) -> Step:
    """Written and read again, an image at a time, by the JPEG library that TensorFlow brings."""
    mode = "rgb" if shape[2] == 3 else "grayscale"

    def reread(image: Any) -> Any:
        file = tf.io.encode_jpeg(image, format=mode, quality=transform.quality)
        # The exact decoder, as Pillow uses it; TensorFlow's default is a faster one.
        return tf.ensure_shape(tf.io.decode_jpeg(file, channels=shape[2], dct_method="INTEGER_ACCURATE"), shape)

    return lambda images: tf.cast(tf.map_fn(reread, tf.cast(tf.round(images), tf.uint8)), tf.float32)


def _box(images: Any, side: int) -> Any:
    """Sums over side x side pixels: `[n, h, w, channels]` to `[n, h - side + 1, w - side + 1, channels]`."""
    h, w = (length - side + 1 for length in images.shape[1:3])
    rows = sum((images[:, i : i + h] for i in range(1, side)), start=images[:, :h])
    return sum((rows[:, :, i : i + w] for i in range(1, side)), start=rows[:, :, :w])


def _framed(inner: Any, images: Any, *, width: int) -> Any:
    """The images with all but their outermost pixels, `width` of them, replaced."""
    h, w = images.shape[1:3]
    inside = np.zeros((1, h, w, 1), bool)
    inside[:, width:-width, width:-width] = True
    return tf.where(inside, tf.pad(inner, [(0, 0), (width, width), (width, width), (0, 0)]), images)


def _blurred(images: Any, sigma: float, length: int, axis: int) -> Any:
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    padded = tf.gather(images, folded(np.arange(-radius, length + radius), length, "reflect"), axis=axis)

    def add(total: Any, tap: tuple[Any, Any]) -> Any:
        start = [0, tap[0], 0, 0] if axis == 1 else [0, 0, tap[0], 0]
        return total + tap[1] * tf.slice(padded, start, tf.shape(images))

    # One after the other: a wide kernel unrolled would hold all its shifted images at once.
    taps = (np.arange(len(kernel), dtype=np.int32), (kernel / kernel.sum()).astype(np.float32))
    return clipped(tf.foldl(add, taps, initializer=tf.zeros_like(images), parallel_iterations=1))


BUILDERS: dict[type[Transform], Builder] = {
    Sharpness: sharpness,
    PilBlur: pil_blur,
    GaussianBlur: gaussian_blur,
    Jpeg: jpeg,
}
