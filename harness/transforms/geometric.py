"""Rotation, shift, zoom and shear about the image's centre, at unchanged size.

Signs, as seen on the screen: positive degrees turn counter-clockwise, positive dx moves the content right, positive
dy moves it down, a factor above one magnifies, a positive shear moves the top to the right, or the left side down.
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.resample import Fill, Interpolation, Matrix, resample

Grey = Annotated[float, Range(0, 255)]


@dataclass(frozen=True, kw_only=True)
class Resampled(Transform):
    """What all geometric transforms share: how to interpolate, and what to put where the source ends.

    Attributes:
        interpolation: `nearest` or `bilinear`.
        fill: `constant`, `edge`, `reflect`, `wrap` or `mirror`, as the table in `harness.transforms.resample` has them.
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
    """Scale the content about the centre; a factor above one magnifies.

    What `Scale` (and `multiscale`) of ttach and pytorch-toolbelt does, brought back to the size of the image: cropped
    about the centre for a factor above one, filled up for one below. A corner of a magnified image is a `crop`.
    """

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
    """Lean the content: a row y below the anchor moves left by y tan(degrees), or a column x to its right up.

    Attributes:
        degrees: the angle; the shear level v of AutoAugment and its heirs is its tangent.
        axis: `x` moves rows sideways, `y` moves columns up and down.
        anchor: what stays where it is: the image's centre, or its top left corner, as AutoAugment has it in Pillow.
    """

    degrees: Annotated[float, Range(-90, 90, open_low=True, open_high=True)]
    axis: Literal["x", "y"] = "x"
    anchor: Literal["center", "top_left"] = "center"
    kind: ClassVar[str] = "shear"

    def matrix(self, h: int, w: int) -> Matrix:
        """The inverse shear; a corner lies half a side from the centre."""
        lean, half = math.tan(math.radians(self.degrees)), 0.5 * (self.anchor == "top_left")
        if self.axis == "x":
            return 1.0, lean, lean * half * h, 0.0, 1.0, 0.0
        return 1.0, 0.0, 0.0, lean, 1.0, lean * half * w

    def is_identity(self) -> bool:
        """True for no angle."""
        return self.degrees == 0
