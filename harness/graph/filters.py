"""Weighted sums over a small window, and what lossy files do: sharpening, the two blurs, JPEG.

Windows are sums of shifted images rather than convolutions, whose kernels add in an order that depends on the batch.
"""

from typing import Any

import numpy as np

from harness.backend import keras, tf
from harness.graph.base import Builder, Shape, Step, clipped, is_symbolic, no_keras_form
from harness.transforms.base import Transform
from harness.transforms.compression import Jpeg
from harness.transforms.filters import PilBlur, Sharpness
from harness.transforms.photometric import GaussianBlur
from harness.transforms.resample import folded

ops = keras.ops

UNROLLED = 65  # taps of a blur that a Keras model spells out one by one


def sharpness(transform: Sharpness, shape: Shape) -> Step:
    """Distance from the smoothed image times a factor, away from the border."""
    if min(shape[:2]) < 3:
        return lambda images: images

    def step(images: Any) -> Any:
        inner = images[:, 1:-1, 1:-1]
        # In double precision: a compiled graph multiplies with the reciprocal, and 13 times 128 would give 127.99999.
        smooth = ops.cast(ops.cast(_box(images, 3) + 4.0 * inner, "float64") / 13.0, "float32")
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
    """Written and read again, an image at a time, by the JPEG library that TensorFlow brings; Keras has none."""
    mode = "rgb" if shape[2] == 3 else "grayscale"

    def reread(image: Any) -> Any:
        file = tf.io.encode_jpeg(image, format=mode, quality=transform.quality)
        # The exact decoder, as Pillow uses it; TensorFlow's default is a faster one.
        return tf.ensure_shape(tf.io.decode_jpeg(file, channels=shape[2], dct_method="INTEGER_ACCURATE"), shape)

    def step(images: Any) -> Any:
        if is_symbolic(images):
            raise no_keras_form("the view jpeg, for which Keras has no operation")
        return tf.cast(tf.map_fn(reread, tf.cast(tf.round(images), tf.uint8)), tf.float32)

    return step


def _box(images: Any, side: int) -> Any:
    """Sums over side x side pixels: `[n, h, w, channels]` to `[n, h - side + 1, w - side + 1, channels]`."""
    h, w = (length - side + 1 for length in images.shape[1:3])
    rows = sum((images[:, i : i + h] for i in range(1, side)), start=images[:, :h])
    return sum((rows[:, :, i : i + w] for i in range(1, side)), start=rows[:, :, :w])


def _framed(inner: Any, images: Any, *, width: int) -> Any:
    """The images with all but their outermost pixels, `width` of them, replaced."""
    middle = images[:, width:-width]
    middle = ops.concatenate([middle[:, :, :width], inner, middle[:, :, -width:]], axis=2)
    return ops.concatenate([images[:, :width], middle, images[:, -width:]], axis=1)


def _blurred(images: Any, sigma: float, length: int, axis: int) -> Any:
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (kernel / kernel.sum()).astype(np.float32)
    padded = ops.take(images, folded(np.arange(-radius, length + radius), length, "reflect"), axis=axis)
    return clipped(
        _unrolled(padded, weights, length, axis) if is_symbolic(images) else _looped(images, padded, weights, axis)
    )


def _unrolled(padded: Any, weights: np.ndarray, length: int, axis: int) -> Any:
    if len(weights) > UNROLLED:
        raise no_keras_form(f"a gaussian_blur so wide ({len(weights)} weights along each axis, {UNROLLED} at most)")
    total: Any = 0.0
    for place, weight in enumerate(weights.tolist()):
        part = slice(place, place + length)
        total = total + weight * (padded[:, part] if axis == 1 else padded[:, :, part])
    return total


def _looped(images: Any, padded: Any, weights: np.ndarray, axis: int) -> Any:
    """One after the other: a wide kernel unrolled would hold all its shifted images at once."""

    def add(total: Any, tap: tuple[Any, Any]) -> Any:
        start = [0, tap[0], 0, 0] if axis == 1 else [0, 0, tap[0], 0]
        return total + tap[1] * tf.slice(padded, start, tf.shape(images))

    places = np.arange(len(weights), dtype=np.int32)
    return tf.foldl(add, (places, weights), initializer=tf.zeros_like(images), parallel_iterations=1)


BUILDERS: dict[type[Transform], Builder] = {
    Sharpness: sharpness,
    PilBlur: pil_blur,
    GaussianBlur: gaussian_blur,
    Jpeg: jpeg,
}
