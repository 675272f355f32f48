"""Operations on grey levels one by one, and on their histograms.

Those that are defined on the 256 levels of uint8 (posterize, equalize, autocontrast) round to the nearest level first
and give whole levels; the others compute in floating point. A histogram belongs to one channel of one image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.pixels import clipped, grey_levels
from harness.transforms.resample import blocks


@dataclass(frozen=True)
class Add(Transform):
    """The same number added to every value, in grey levels (ttach's `Add`, whose images are unscaled)."""

    value: Annotated[float, Range(-255, 255)]
    kind: ClassVar[str] = "add"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 plus `value`, clipped."""
        return clipped(images + np.float32(self.value))

    def is_identity(self) -> bool:
        """True for nothing added."""
        return self.value == 0


@dataclass(frozen=True)
class Invert(Transform):
    """The negative: 255 - value (Pillow's `ImageOps.invert`)."""

    kind: ClassVar[str] = "invert"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, negated."""
        return np.float32(255) - images


@dataclass(frozen=True)
class Solarize(Transform):
    """The negative of all values at or above a threshold, others as they are (Pillow's `ImageOps.solarize`).

    Attributes:
        threshold: in grey levels; 0 inverts everything, 256 nothing. Where it is a share of 1, take 255 times it.
    """

    threshold: Annotated[float, Range(0, 256)] = 128.0
    kind: ClassVar[str] = "solarize"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, their light parts negated."""
        return np.where(images < np.float32(self.threshold), images, np.float32(255) - images)

    def is_identity(self) -> bool:
        """True for a threshold above white."""
        return self.threshold > 255


@dataclass(frozen=True)
class Posterize(Transform):
    """Only the highest bits of each value are kept, the others set to zero (Pillow's `ImageOps.posterize`).

    Attributes:
        bits: how many are kept; values are rounded to whole grey levels first.
    """

    bits: Annotated[int, Range(1, 8)]
    kind: ClassVar[str] = "posterize"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 in 2^bits levels."""
        kept = np.uint8(256 - 2 ** (8 - self.bits))
        return (grey_levels(images) & kept).astype(np.float32)

    def is_identity(self) -> bool:
        """True where all bits are kept."""
        return self.bits == 8


@dataclass(frozen=True)
class Equalize(Transform):
    """Levels spread so that each channel's histogram becomes flat (Pillow's `ImageOps.equalize`, exactly).

    With step = (pixels - pixels at the highest level) // 255, level v becomes (step // 2 + pixels below v) // step;
    a step of zero leaves the channel alone. Values are rounded to whole grey levels first.
    """

    kind: ClassVar[str] = "equalize"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, equalized channel by channel."""
        return _through_tables(images, _equalizing)


@dataclass(frozen=True)
class Autocontrast(Transform):
    """Each channel stretched so that its darkest level is 0 and its lightest 255 (Pillow's `ImageOps.autocontrast`).

    Level v becomes 255 (v - darkest) / (lightest - darkest), truncated; a channel of one level stays. Values are
    rounded to whole grey levels first.

    Attributes:
        cutoff: the percentage of pixels at either end that the darkest and the lightest level do not count.
    """

    cutoff: Annotated[float, Range(0, 50)] = 0.0
    kind: ClassVar[str] = "autocontrast"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, stretched channel by channel."""
        return _through_tables(images, lambda counts: _stretching(counts, self.cutoff))


def _through_tables(images: np.ndarray, tables: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Images through a table of 256 levels for each image and channel, made from the counts of the levels.

    `tables` takes counts `[rows, 256]` int64, a row for each image and channel, and gives the new levels likewise.
    """
    n, h, w, channels = images.shape
    result = np.empty(images.shape, np.float32)
    for block in blocks(n, h * w * channels):
        rows = np.arange(len(images[block]) * channels).reshape(-1, 1, 1, channels)
        places = 256 * rows + grey_levels(images[block])
        counts = np.bincount(places.ravel(), minlength=256 * rows.size).reshape(-1, 256)
        result[block] = tables(counts).astype(np.float32).take(places)
    return result


def _equalizing(counts: np.ndarray) -> np.ndarray:
    below_or_at = counts.cumsum(axis=1)
    highest = 255 - (counts[:, ::-1] > 0).argmax(axis=1)
    step = ((below_or_at[:, -1] - counts[np.arange(len(counts)), highest]) // 255)[:, None]
    spread = (step // 2 + below_or_at - counts) // np.maximum(step, 1)
    return np.where(step == 0, np.arange(256), np.minimum(spread, 255))


def _stretching(counts: np.ndarray, cutoff: float) -> np.ndarray:
    cut = int(counts[0].sum() * cutoff // 100)  # every row counts the pixels of one channel
    darkest = (counts.cumsum(axis=1) > cut).argmax(axis=1)[:, None]
    lightest = 255 - (counts[:, ::-1].cumsum(axis=1) > cut).argmax(axis=1)[:, None]
    # The multiplication and the addition in Pillow's order, because what is truncated may lie a hair below a level.
    scale = 255.0 / np.maximum(lightest - darkest, 1)
    stretched = np.trunc(np.arange(256) * scale + -darkest * scale)
    return np.where(lightest <= darkest, np.arange(256), np.clip(stretched, 0, 255))
