"""Exact rearrangements of pixels: mirror images and quarter turns."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform


@dataclass(frozen=True)
class HorizontalFlip(Transform):
    """Mirror image, left and right swapped."""

    kind: ClassVar[str] = "horizontal_flip"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images with the order of columns reversed."""
        return images.take(np.arange(images.shape[2])[::-1], axis=2)  # twice as fast as copying a reversed view


@dataclass(frozen=True)
class VerticalFlip(Transform):
    """Mirror image, top and bottom swapped."""

    kind: ClassVar[str] = "vertical_flip"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images with the order of rows reversed."""
        return images[:, ::-1]


@dataclass(frozen=True)
class Rotate90(Transform):
    """Quarter turns counter-clockwise, as `numpy.rot90` has them; an odd number swaps height and width."""

    turns: Annotated[int, Range(0, 3)]
    kind: ClassVar[str] = "rotate90"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images turned by `turns` times 90 degrees."""
        return np.rot90(images, self.turns, axes=(1, 2))

    def is_identity(self) -> bool:
        """True for no turn."""
        return self.turns == 0
