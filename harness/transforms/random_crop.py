"""Random windows of an image: whole-pixel shifts of small images, and the resized crops of large ones."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.crops import PadCrop
from harness.transforms.geometric import Grey, check_fill_value
from harness.transforms.random import RandomTransform, Seed, uniform
from harness.transforms.resample import Fill, blocks, folded, resample_each

TRIES = 10  # windows that RandomResizedCrop draws for an example before it takes the largest one that fits


@dataclass(frozen=True)
class RandomCrop(RandomTransform):
    """Each example is padded and cropped to its size at a random place: moved by whole pixels.

    dx and dy are uniform over -pad..pad and independent: torchvision's `RandomCrop(size, padding=pad)`, the usual
    training augmentation of CIFAR (He et al. 2016).

    Attributes:
        pad: pixels added at each side.
        fill, fill_value: what the padding holds; zeros by default.
        seed, copy: which draw.
    """

    pad: Annotated[int, Range(1)]
    fill: Fill = "constant"
    fill_value: Grey = 0.0
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "random_crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fill_value(self.fill, self.fill_value)

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, each moved by its own number of whole pixels."""
        dx, dy = self.draw(indices)
        h, w = images.shape[1:3]
        rows, columns = np.arange(h) - dy[:, None], np.arange(w) - dx[:, None]
        y, x = folded(rows, h, self.fill)[:, :, None], folded(columns, w, self.fill)[:, None, :]
        result: np.ndarray = images[np.arange(len(images))[:, None, None], y, x]
        if self.fill == "constant":
            inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
            result[~inside] = self.fill_value
        return result

    def draw(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far each example moves right and down: dx and dy, each `[n]` int64 in -pad..pad."""
        draws = uniform(indices, 2, salt=self.kind, seed=self.seed, copy=self.copy)
        dx, dy = (draws * (2 * self.pad + 1)).astype(np.int64).T - self.pad
        return dx, dy

    def support(self) -> tuple[tuple[Transform, ...], ...]:
        """All (2 pad + 1)^2 shifts, row by row; the one that moves nothing is the empty chain."""
        steps = range(-self.pad, self.pad + 1)
        return tuple(
            (PadCrop(self.pad, dx, dy, self.fill, self.fill_value),) if dx or dy else () for dy in steps for dx in steps
        )


@dataclass(frozen=True)
class RandomResizedCrop(RandomTransform):
    """Each example shows a random window of itself, enlarged to the whole: torchvision's `RandomResizedCrop`.

    The window's share of the area is uniform, its width over height log-uniform, its place uniform over whole pixels.
    A window that does not fit is drawn again, and after ten tries the largest one with an allowed shape stands in the
    centre (Szegedy et al. 2015). Bilinear, without antialiasing; the result has the image's own size, and the view
    resizes it if the model's input is smaller.

    Attributes:
        scale_low, scale_high: the window's share of the image's area.
        ratio_low, ratio_high: the window's width over its height.
        seed, copy: which draw.
    """

    scale_low: Annotated[float, Range(0, 1, open_low=True)] = 0.08
    scale_high: Annotated[float, Range(0, 1, open_low=True)] = 1.0
    ratio_low: Annotated[float, Range(0, open_low=True)] = 3 / 4
    ratio_high: Annotated[float, Range(0, open_low=True)] = 4 / 3
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "random_resized_crop"
    resizes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low, high in (
            ("scale", self.scale_low, self.scale_high),
            ("ratio", self.ratio_low, self.ratio_high),
        ):
            if low > high:
                raise ValueError(f"{name}_low must be at most {name}_high, got {low:g} and {high:g}")

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, each seen through its own window."""
        images = np.ascontiguousarray(images)
        h, w = images.shape[1:3]
        result = np.empty_like(images)
        for block in blocks(len(images), 8 * h * w):
            left, top, columns, rows = self.draw(indices[block], (h, w))[:, :, None, None]
            nothing = np.zeros_like(left)
            maps = (columns / w, nothing, left + (columns - w) / 2, nothing, rows / h, top + (rows - h) / 2)
            result[block] = resample_each(images[block], maps, interpolation="bilinear", fill="edge", fill_value=0.0)
        return result

    def draw(self, indices: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Each example's window: left, top, columns and rows in whole pixels, `[4, n]` float64; `shape` is (h, w)."""
        draws = uniform(indices, 2 * TRIES + 2, salt=self.kind, seed=self.seed, copy=self.copy)
        return np.array([self._window(row, shape) for row in draws.tolist()], np.float64).reshape(-1, 4).T

    def _window(self, draws: list[float], shape: tuple[int, int]) -> tuple[int, int, int, int]:
        h, w = shape
        low, high = math.log(self.ratio_low), math.log(self.ratio_high)
        for share, form in zip(draws[2::2], draws[3::2], strict=True):
            area = h * w * (self.scale_low + share * (self.scale_high - self.scale_low))
            ratio = math.exp(low + form * (high - low))
            columns, rows = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < columns <= w and 0 < rows <= h:
                return int(draws[0] * (w - columns + 1)), int(draws[1] * (h - rows + 1)), columns, rows
        columns, rows = max(1, min(w, round(h * self.ratio_high))), max(1, min(h, round(w / self.ratio_low)))
        return (w - columns) // 2, (h - rows) // 2, columns, rows
