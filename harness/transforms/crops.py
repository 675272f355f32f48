"""Windows of an image: the crops of large images, and the padded crop of small ones."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.geometric import Grey, check_fill_value
from harness.transforms.resample import Fill, resample

Position = Literal["center", "top_left", "top_right", "bottom_left", "bottom_right"]


@dataclass(frozen=True)
class Crop(Transform):
    """A window at the centre or in a corner; a view resizes what is left to the model's input size if they differ.

    So a corner of an image magnified by z is the window in that corner with fraction 1 / z: fastai's corner zooms are
    fractions of 1 / 1.35, a corner crop of 224 from 256 scaled by 1.04 is one of 224 / (1.04 256).

    Attributes:
        position: where the window lies; `center` leaves the odd pixel at the right and at the bottom.
        fraction: the window's share of each side, rounded to whole pixels: 0.875 of 256 is 224.
    """

    position: Position
    fraction: Annotated[float, Range(0, 1, open_low=True)]
    kind: ClassVar[str] = "crop"
    resizes: ClassVar[bool] = True

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """The window of each image, `[n, h2, w2, channels]`."""
        h, w = images.shape[1:3]
        rows, columns = (max(1, int(self.fraction * side + 0.5)) for side in (h, w))
        top, left = self._corner(h - rows, w - columns)
        return images[:, top : top + rows, left : left + columns]

    def _corner(self, spare_rows: int, spare_columns: int) -> tuple[int, int]:
        if self.position == "center":
            return spare_rows // 2, spare_columns // 2
        vertical, horizontal = self.position.split("_")
        return spare_rows * (vertical == "bottom"), spare_columns * (horizontal == "right")


@dataclass(frozen=True)
class PadCrop(Transform):
    """Pad every side, then crop the original size off the centre: the CIFAR form of a shift.

    Attributes:
        pad: pixels added at each side.
        dx, dy: how far the content moves right and down, within -pad..pad (the window moves the other way).
        fill, fill_value: what the padding holds; zeros by default.
    """

    pad: Annotated[int, Range(1)]
    dx: Annotated[int, Range()]
    dy: Annotated[int, Range()]
    fill: Fill = "constant"
    fill_value: Grey = 0.0
    kind: ClassVar[str] = "pad_crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fill_value(self.fill, self.fill_value)
        if max(abs(self.dx), abs(self.dy)) > self.pad:
            raise ValueError(f"dx and dy must lie within -{self.pad}..{self.pad} (pad), got {self.dx} and {self.dy}")

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, moved by whole pixels."""
        matrix = (1.0, 0.0, -float(self.dx), 0.0, 1.0, -float(self.dy))
        return resample(images, matrix, interpolation="nearest", fill=self.fill, fill_value=self.fill_value)

    def is_identity(self) -> bool:
        """True when the window is the image itself."""
        return self.dx == 0 and self.dy == 0
