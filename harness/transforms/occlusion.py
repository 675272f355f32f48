"""A part of the image hidden."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.geometric import Grey

Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Cutout(Transform):
    """A square of one grey value, cut off where it sticks out of the image (DeVries & Taylor, 2017).

    The middle of the square is the pixel in column floor(x w) and row floor(y h) (the last one for 1); of an even
    number of pixels one more lies to its left, and above it.

    Attributes:
        size: pixels a side.
        x, y: where the middle lies, as shares of the width and the height.
        fill_value: what the square holds, in [0, 255].
    """

    size: Annotated[int, Range(1)]
    x: Share = 0.5
    y: Share = 0.5
    fill_value: Grey = 0.0
    kind: ClassVar[str] = "cutout"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 with a square in each."""
        h, w = images.shape[1:3]
        result = images.copy()
        result[:, self._window(self.y, h), self._window(self.x, w)] = self.fill_value
        return result

    def _window(self, share: float, length: int) -> slice:
        # Rounded because 0.29 of 100 is a hair below 29.
        start = min(int(round(share * length, 9)), length - 1) - self.size // 2
        return slice(max(start, 0), start + self.size)
