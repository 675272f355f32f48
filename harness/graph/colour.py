"""Contrast, and operations on colour, with the formulas of `harness.transforms.photometric` and `.colour`."""

from typing import Any

from harness.backend import keras
from harness.graph.base import Builder, Shape, Step, clipped
from harness.transforms.base import Transform
from harness.transforms.colour import Grayscale, Hue
from harness.transforms.photometric import Contrast, Saturation
from harness.transforms.pixels import LUMA

ops = keras.ops

STEPS = 2.0**30  # to a grey level: whole numbers have one sum in any order, and 30 million pixels fit into 64 bits


def contrast(transform: Contrast, shape: Shape) -> Step:
    """Distance from the mean grey, or from each channel's own mean, times a factor."""
    to_grey = shape[2] == 3 and not transform.per_channel
    axes = (1, 2) if transform.per_channel else (1, 2, 3)

    def step(images: Any) -> Any:
        mean = _mean(_luma(images) if to_grey else images, axes)
        return clipped(mean + transform.factor * (images - mean))

    return step


def saturation(transform: Saturation, _shape: Shape) -> Step:
    """Distance of each pixel from its own luma times a factor."""

    def step(images: Any) -> Any:
        grey = _luma(images)
        return clipped(grey + transform.factor * (images - grey))

    return step


def grayscale(_transform: Grayscale, _shape: Shape) -> Step:
    """The luma in all three channels."""
    return lambda images: clipped(ops.repeat(_luma(images), 3, axis=3))


def hue(transform: Hue, _shape: Shape) -> Step:
    """The hue turned, saturation and value kept."""

    def step(images: Any) -> Any:
        place, chroma, highest = _hue(images)
        place = place + transform.degrees / 60
        distances = [ops.abs(_folded(place - opposite)) for opposite in (3.0, 5.0, 1.0)]
        return clipped(ops.stack([highest - chroma * ops.clip(2.0 - d, 0.0, 1.0) for d in distances], axis=3))

    return step


def _mean(images: Any, axes: tuple[int, ...]) -> Any:
    steps = ops.cast(ops.round(ops.cast(images, "float64") * STEPS), "int64")
    total = ops.cast(ops.sum(steps, axis=axes, keepdims=True), "float64")
    count = 1
    for axis in axes:
        count *= images.shape[axis]
    return ops.cast(total / (STEPS * count), "float32")


def _luma(images: Any) -> Any:
    red, green, blue = (images[..., channel : channel + 1] for channel in range(3))
    return red * float(LUMA[0]) + green * float(LUMA[1]) + blue * float(LUMA[2])


def _hue(images: Any) -> tuple[Any, Any, Any]:
    """Hue in sixths of the circle (any for grey), chroma and highest value, each `[n, h, w]`."""
    red, green, blue = (images[..., channel] for channel in range(3))
    highest = ops.maximum(ops.maximum(red, green), blue)
    chroma = highest - ops.minimum(ops.minimum(red, green), blue)
    divisor = ops.maximum(chroma, 1e-30)
    is_green, is_red = ops.equal(highest, green), ops.equal(highest, red)
    place = ops.where(is_green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor)
    return ops.where(is_red, (green - blue) / divisor, place), chroma, highest


def _folded(sextants: Any) -> Any:
    """The same place on the circle within -3..3."""
    return sextants - 6.0 * ops.round(sextants * (1 / 6))


BUILDERS: dict[type[Transform], Builder] = {
    Contrast: contrast,
    Saturation: saturation,
    Grayscale: grayscale,
    Hue: hue,
}
