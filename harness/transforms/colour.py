"""Operations on colour: grey, and the turn of the hue."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.pixels import check_channels, clipped, luma
from harness.transforms.resample import blocks


@dataclass(frozen=True)
class Grayscale(Transform):
    """The luma in all three channels, not rounded: what `saturation` with factor 0 gives, under its usual name."""

    kind: ClassVar[str] = "grayscale"
    needs_rgb: ClassVar[bool] = True

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, 3]` float32 without colour.

        Raises:
            DataError: where the images have other than three channels.
        """
        check_channels(self, images)
        return clipped(np.repeat(luma(images), 3, axis=3))


@dataclass(frozen=True)
class Hue(Transform):
    """The hue of HSV turned, saturation and value kept: 120 makes red green, green blue and blue red.

    In floating point and without rounding: torchvision's `adjust_hue` with factor degrees / 360, albumentations'
    hue shift (OpenCV counts it in steps of two degrees). Grey stays grey.

    Attributes:
        degrees: the angle on the colour circle.
    """

    degrees: Annotated[float, Range(-180, 180, open_low=True)]
    kind: ClassVar[str] = "hue"
    needs_rgb: ClassVar[bool] = True

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, 3]` float32 with other hues.

        Raises:
            DataError: where the images have other than three channels.
        """
        check_channels(self, images)
        result = np.empty(images.shape, np.float32)
        for block in blocks(len(images), int(np.prod(images.shape[1:]))):
            hue, chroma, highest = _hue(images[block])
            hue += np.float32(self.degrees / 60)
            for channel, opposite in enumerate((3, 5, 1)):
                # A channel is lowest within a sextant of the hue opposite to it, and highest two sextants away.
                distance = np.abs(_folded(hue - np.float32(opposite)))
                result[block][..., channel] = highest - chroma * np.clip(np.float32(2) - distance, 0, 1)
        return clipped(result)

    def is_identity(self) -> bool:
        """True for no turn."""
        return self.degrees == 0


def _hue(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue in sixths of the circle (any for grey), chroma and highest value of RGB images, each `[n, h, w]` float32."""
    red, green, blue = np.ascontiguousarray(np.moveaxis(images, 3, 0))
    highest = np.maximum(np.maximum(red, green), blue)
    chroma = highest - np.minimum(np.minimum(red, green), blue)
    divisor = np.maximum(chroma, np.float32(1e-30))
    hue = np.float32(4) + (red - green) / divisor
    hue = np.where(highest == green, np.float32(2) + (blue - red) / divisor, hue)
    return np.where(highest == red, (green - blue) / divisor, hue), chroma, highest


def _folded(sextants: np.ndarray) -> np.ndarray:
    """The same place on the circle within -3..3."""
    folded: np.ndarray = sextants - np.float32(6) * np.rint(sextants * np.float32(1 / 6))
    return folded
