"""Weighted sums over a small window: sharpening, and Pillow's blur.

As in Pillow, the outermost pixels, whose window would stick out of the image, stay as they are. Nothing is rounded
to whole grey levels, so results may differ from Pillow's by up to a level (`Sharpness` far from factor one: more,
because it multiplies what Pillow rounds in between).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.pixels import clipped


@dataclass(frozen=True)
class Sharpness(Transform):
    """Distance from the smoothed image times a factor: below 1 blurs, above 1 sharpens (`ImageEnhance.Sharpness`).

    result = smooth + factor (image - smooth), where smooth is the mean over 3x3 pixels with the middle counted five
    times: factor 0 is Pillow's `ImageFilter.SMOOTH`.
    """

    factor: Annotated[float, Range(0)]
    kind: ClassVar[str] = "sharpness"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, sharpened or smoothed, clipped."""
        result = images.copy()
        inner = images[:, 1:-1, 1:-1]
        if inner.size:
            smooth = (_box(images, 3) + np.float32(4) * inner) / np.float32(13)
            result[:, 1:-1, 1:-1] = clipped(smooth + np.float32(self.factor) * (inner - smooth))
        return result

    def is_identity(self) -> bool:
        """True for factor one."""
        return self.factor == 1


@dataclass(frozen=True)
class PilBlur(Transform):
    """The mean of the 16 pixels on the border of the 5x5 window: Pillow's `ImageFilter.BLUR`."""

    kind: ClassVar[str] = "pil_blur"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, blurred."""
        result = images.copy()
        if min(images.shape[1:3]) >= 5:
            ring = _box(images, 5) - _box(images[:, 1:-1, 1:-1], 3)
            result[:, 2:-2, 2:-2] = clipped(ring / np.float32(16))
        return result


def _box(images: np.ndarray, side: int) -> np.ndarray:
    """Sums over side x side pixels: `[n, h, w, channels]` to `[n, h - side + 1, w - side + 1, channels]`."""
    h, w = (length - side + 1 for length in images.shape[1:3])
    rows = sum((images[:, i : i + h] for i in range(1, side)), start=images[:, :h])
    total: np.ndarray = sum((rows[:, :, i : i + w] for i in range(1, side)), start=rows[:, :, :w])
    return total
