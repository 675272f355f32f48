"""Random transforms that are deterministic: what an example draws depends on the seed, the copy and the example.

The draws of example i are numbers i k .. i k + k - 1 of one PCG64 stream per (kind, seed, copy), reached by jumping
there. So they do not depend on which other examples are asked for, nor on how many copies: the first copies of
sixteen are the copies of seven.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, TypeGuard

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.flips import HorizontalFlip, Rotate90, VerticalFlip
from harness.transforms.geometric import Resampled
from harness.transforms.resample import blocks, resample_each

Seed = Annotated[int, Range(0, 2**32 - 1)]  # one 32-bit word each, so that no two triples seed one stream


def uniform(indices: np.ndarray, k: int, *, salt: str, seed: int, copy: int) -> np.ndarray:
    """Uniform draws in [0, 1) for examples `indices [n]`: `[n, k]` float64, row by row a function of its index.

    `salt` keeps the draws of different kinds of transform apart. Runs of consecutive indices cost one call.
    """
    word = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:4], "little")
    start = np.random.PCG64(np.random.SeedSequence([word, seed, copy])).state
    stream = np.random.PCG64(0)
    raw = np.empty((len(indices), k), np.uint64)
    for first, last in _runs(indices):
        stream.state = start
        stream.advance(int(indices[first]) * k)
        raw[first:last] = stream.random_raw((last - first) * k).reshape(-1, k)
    # The bit stream is what NumPy promises to keep from version to version; its distributions are not.
    return (raw >> np.uint64(11)) * 2.0**-53


class RandomTransform(Transform, Protocol):
    """A transform that draws for each example.

    Attributes:
        seed, copy: which draw; a subclass has both among its fields.
    """

    seed: Seed
    copy: Seed

    def support(self) -> tuple[tuple[Transform, ...], ...] | None:
        """Everything that can be drawn, where that is finite and equally likely; None elsewhere.

        Each outcome is a chain of deterministic transforms, the empty chain the image itself. The mean over the
        outcomes is the limit of infinitely many copies, without a draw; it is the same for every seed and copy.
        """
        return None


def is_random(transform: Transform) -> TypeGuard[RandomTransform]:
    """True for a transform that draws."""
    return RandomTransform in type(transform).__mro__


@dataclass(frozen=True)
class RandomFlip(RandomTransform):
    """Each example is mirrored, or not, with even chances.

    Attributes:
        horizontal, vertical: the directions that are tossed for.
        seed, copy: which draw.
    """

    horizontal: bool = True
    vertical: bool = False
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "random_flip"

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, some of them mirrored."""
        tossed = uniform(indices, 2, salt=self.kind, seed=self.seed, copy=self.copy) < 0.5
        mirrored, upended = tossed[:, 0] & self.horizontal, tossed[:, 1] & self.vertical
        result = images.copy()
        result[mirrored] = result[mirrored][:, :, ::-1]
        result[upended] = result[upended][:, ::-1]
        return result

    def support(self) -> tuple[tuple[Transform, ...], ...]:
        """The image, and the mirror images that are tossed for; both at once are half a turn."""
        mirrored: list[tuple[Transform, ...]] = [(HorizontalFlip(),)] if self.horizontal else []
        upended: list[tuple[Transform, ...]] = [(VerticalFlip(),)] if self.vertical else []
        return ((), *mirrored, *upended, *([(Rotate90(2),)] if self.horizontal and self.vertical else []))

    def is_identity(self) -> bool:
        """True when there is nothing to toss for."""
        return not (self.horizontal or self.vertical)


@dataclass(frozen=True)
class RandomAffine(Resampled, RandomTransform):
    """Each example draws its own rotation, shift, shear, zoom and flips, as Keras' `ImageDataGenerator` has them.

    Draws are uniform and symmetric, with the signs and the order of `ImageDataGenerator.apply_transform`: the
    inverse map is rotation, shift, shear, zoom, and flips come after it. All eight numbers are always drawn, so
    that a parameter that is changed leaves the draws of the others as they were. Two defects of Keras are not
    repeated: it moves columns by `height_shift_range` and rows by `width_shift_range`, and it turns images that are
    not square about a place off their centre.

    Attributes:
        rotation_range: largest angle in degrees.
        width_shift_range, height_shift_range: largest shift; below 1 a fraction of the side, from 1 on pixels.
        shear_range: largest shear angle in degrees.
        zoom_range: factors lie within 1 - zoom_range .. 1 + zoom_range, separately for width and height.
        horizontal_flip, vertical_flip: whether to mirror with even chances.
        seed, copy: which draw.
    """

    rotation_range: Annotated[float, Range(0, 180)] = 0.0
    width_shift_range: Annotated[float, Range(0)] = 0.0
    height_shift_range: Annotated[float, Range(0)] = 0.0
    shear_range: Annotated[float, Range(0, 90, open_high=True)] = 0.0
    zoom_range: Annotated[float, Range(0, 1, open_high=True)] = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "random_affine"

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, each through its own map, clipped to [0, 255]."""
        images = np.ascontiguousarray(images)
        result = np.empty_like(images)
        for block in blocks(len(images), 8 * images.shape[1] * images.shape[2]):
            result[block] = resample_each(
                images[block],
                _matrices(self.draw(indices[block], images.shape[1:3])),
                interpolation=self.interpolation,
                fill=self.fill,
                fill_value=self.fill_value,
            )
        return result

    def is_identity(self) -> bool:
        """True when there is nothing to draw."""
        ranges = (self.rotation_range, self.width_shift_range, self.height_shift_range, self.shear_range)
        return not (any(ranges) or self.zoom_range or self.horizontal_flip or self.vertical_flip)

    def draw(self, indices: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray]:
        """What each example drew, each `[n]`, under the names that `ImageDataGenerator.apply_transform` reads.

        `theta` and `shear` in degrees, `tx` (along x) and `ty` in pixels, `zx` (along x) and `zy` as factors of the
        inverse map, `flip_horizontal` and `flip_vertical` as booleans. `shape` is (h, w).
        """
        draws = uniform(indices, 8, salt=self.kind, seed=self.seed, copy=self.copy)
        theta, across, down, shear, zoom_x, zoom_y = (2 * draws[:, :6] - 1).T
        height = self.height_shift_range * (shape[0] if self.height_shift_range < 1 else 1)
        width = self.width_shift_range * (shape[1] if self.width_shift_range < 1 else 1)
        return {
            "theta": self.rotation_range * theta,
            "tx": width * across,
            "ty": height * down,
            "shear": self.shear_range * shear,
            "zx": 1 + self.zoom_range * zoom_x,
            "zy": 1 + self.zoom_range * zoom_y,
            "flip_horizontal": self.horizontal_flip & (draws[:, 6] < 0.5),
            "flip_vertical": self.vertical_flip & (draws[:, 7] < 0.5),
        }


def _matrices(drawn: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Inverse maps (xx, xy, x0, yx, yy, y0), each `[n, 1, 1]`: rotation, shift, shear, zoom, then flips."""
    d = {name: values[:, None, None] for name, values in drawn.items()}
    cos, sin = cos_sin(d["theta"])
    squeeze, lean = cos_sin(d["shear"])
    x_scale = d["zx"] * np.where(d["flip_horizontal"], -1, 1)
    y_scale = d["zy"] * np.where(d["flip_vertical"], -1, 1)
    return (
        cos * x_scale,
        (-lean * cos - squeeze * sin) * y_scale,
        cos * d["tx"] - sin * d["ty"],
        sin * x_scale,
        (squeeze * cos - lean * sin) * y_scale,
        sin * d["tx"] + cos * d["ty"],
    )


def cos_sin(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine, one number at a time: the vectorised ones may end in other bits in another batch."""
    angles = np.radians(degrees).ravel().tolist()
    return (
        np.array([math.cos(angle) for angle in angles]).reshape(degrees.shape),
        np.array([math.sin(angle) for angle in angles]).reshape(degrees.shape),
    )


def _runs(indices: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and one-past-last positions of the stretches where each index follows the one before."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    edges = [0, *breaks.tolist(), len(indices)]
    return ((first, last) for first, last in itertools.pairwise(edges) if first < last)
