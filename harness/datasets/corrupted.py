"""Corrupted copies of a split, made when their images are read."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.corruptions.base import Corruption
from harness.corruptions.registry import VERSION, make_corruption
from harness.errors import DataError
from harness.fingerprint import fingerprint
from harness.types import ImageSource, Split

BLOCK = 1024  # images read at a time while the whole is made
KEPT_BYTES = 10**9  # up to this size corrupted images in memory are kept, so that a pass over them costs nothing


@dataclass(frozen=True, eq=False)
class CorruptedImages:
    """The images of another source, corrupted; each is a function of the corruption, the seed and its place there.

    Where the other source is in memory and holds less than 1 GB, all images are made at the first reading and kept.

    Attributes:
        base: the clean images.
        corruption: what is done to them.
        seed: of the random parts.
    """

    base: ImageSource
    corruption: Corruption
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(h, w, channels)`."""
        return self.base.shape

    @property
    def in_memory(self) -> bool:
        """True when the images are kept once they are made."""
        return self.base.in_memory and len(self) * math.prod(self.shape) < KEPT_BYTES

    def __len__(self) -> int:
        return len(self.base)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 of the examples `indices [n]`."""
        return self._kept[indices] if self.in_memory else self._made(indices)

    @cached_property
    def _kept(self) -> np.ndarray:
        images = np.empty((len(self), *self.shape), np.uint8)
        for start in range(0, len(self), BLOCK):
            block = np.arange(start, min(start + BLOCK, len(self)))
            images[block] = self._made(block)
        return images

    def _made(self, indices: np.ndarray) -> np.ndarray:
        return self.corruption(self.base.read(indices), indices, seed=self.seed)


def corrupt(split: Split, corruption: str, severity: int, *, seed: int = 0) -> Split:
    """A split's corrupted copy: same labels, class names and files, called e.g. `test@gaussian_noise:3`.

    Its digest is over the split's digest and what was asked for, not over pixels, so that it costs nothing.

    Args:
        split: the clean images.
        corruption: a name in `harness.corruptions.registry.CORRUPTIONS`.
        severity: 1 to 5.
        seed: of the random parts, in 0..2^32 - 1.

    Raises:
        ConfigError: for an unknown corruption or severity.
        DataError: for images with other than one or three channels.
    """
    chosen = make_corruption(corruption, severity)
    h, w, channels = split.images.shape
    if channels not in (1, 3):
        raise DataError(f"split {split.name}: a corruption expects images of 1 or 3 channels, got {channels}")
    asked = {
        "corruption": corruption,
        "severity": severity,
        "parameters": chosen.parameters((h, w)),
        "seed": seed,
        "version": VERSION,
    }
    return replace(
        split,
        name=corrupted_name(split.name, corruption, severity),
        images=CorruptedImages(split.images, chosen, seed),
        digest=fingerprint({"parent": split.digest, **asked}),
    )


def corrupted_name(split: str, corruption: str, severity: int) -> str:
    """The name of a corrupted copy, e.g. `test@gaussian_noise:3`."""
    return f"{split}@{corruption}:{severity}"
