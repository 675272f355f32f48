"""Rotation, shift, zoom and shear about the image's centre, at unchanged size.

Signs, as seen on the screen: positive degrees turn counter-clockwise, positive dx moves the content right, positive
dy moves it down, a factor above one magnifies, a positive shear moves the top to the right.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.transforms.base import Range, Transform
from harness.transforms.resample import Fill, Interpolation, Matrix, resample

Grey = Annotated[float, Range(0, 255)]


@dataclass(frozen=True, kw_only=True)
class Resampled(Transform):
    """What all geometric transforms share: how to interpolate, and what to put where the source ends.

    Attributes:
        interpolation: `nearest` or `bilinear`.
        fill: `constant`, `edge`, `reflect` or `wrap`; `harness.transforms.resample` has the table of equivalents.
        fill_value: the value of a constant fill, in [0, 255].
    """

    interpolation: Interpolation = "bilinear"
    fill: Fill = "edge"
    fill_value: Grey = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fill_value(self.fill, self.fill_value)

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 through the map of `matrix`."""
        matrix = self.matrix(images.shape[1], images.shape[2])
        return resample(images, matrix, interpolation=self.interpolation, fill=self.fill, fill_value=self.fill_value)

    def matrix(self, h: int, w: int) -> Matrix:
        """The inverse map for images of height h and width w."""
        raise NotImplementedError


def check_fill_value(fill: Fill, fill_value: float) -> None:
    """Refuse a fill value that nothing would read: it would give one view two spellings.

    Raises:
        ValueError: for a value other than zero with a fill other than `constant`.
    """
    if fill != "constant" and fill_value != 0:
        raise ValueError(f"fill_value={fill_value:g} has a meaning with fill=constant only, got fill={fill}")


@dataclass(frozen=True)
class Rotate(Resampled):
    """Turn by an angle, counter-clockwise."""

    degrees: Annotated[float, Range(-180, 180, open_low=True)]
    kind: ClassVar[str] = "rotate"

    def matrix(self, _h: int, _w: int) -> Matrix:
        """The inverse rotation; y points down, hence the signs."""
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return cos, -sin, 0.0, sin, cos, 0.0

    def is_identity(self) -> bool:
        """True for no angle."""
        return self.degrees == 0


@dataclass(frozen=True)
class Shift(Resampled):
    """Move the content right by dx and down by dy; whole pixels are copied exactly.

    Attributes:
        dx, dy: how far.
        unit: `pixels`, or `fraction` of the width (dx) and the height (dy).
    """

    dx: Annotated[float, Range()] = 0.0
    dy: Annotated[float, Range()] = 0.0
    unit: Literal["pixels", "fraction"] = "pixels"
    kind: ClassVar[str] = "shift"

    def matrix(self, h: int, w: int) -> Matrix:
        """The inverse translation in pixels."""
        across, down = (w, h) if self.unit == "fraction" else (1, 1)
        return 1.0, 0.0, -self.dx * across, 0.0, 1.0, -self.dy * down

    def is_identity(self) -> bool:
        """True for no move."""
        return self.dx == 0 and self.dy == 0


@dataclass(frozen=True)
class Zoom(Resampled):
    """Scale the content about the centre; a factor above one magnifies."""

    factor: Annotated[float, Range(0, open_low=True)]
    kind: ClassVar[str] = "zoom"

    def matrix(self, _h: int, _w: int) -> Matrix:
        """The inverse scaling."""
        return 1 / self.factor, 0.0, 0.0, 0.0, 1 / self.factor, 0.0

    def is_identity(self) -> bool:
        """True for factor one."""
        return self.factor == 1


@dataclass(frozen=True)
class Shear(Resampled):
    """Lean the content sideways: a row y below the centre moves left by y tan(degrees)."""

    degrees: Annotated[float, Range(-90, 90, open_low=True, open_high=True)]
    kind: ClassVar[str] = "shear"

    def matrix(self, _h: int, _w: int) -> Matrix:
        """The inverse shear along x."""
        return 1.0, math.tan(math.radians(self.degrees)), 0.0, 0.0, 1.0, 0.0

    def is_identity(self) -> bool:
        """True for no angle."""
        return self.degrees == 0
