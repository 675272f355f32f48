"""Views: chains of transforms that end at the model's input size, and products of them."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import ConfigError, DataError
from harness.fingerprint import fingerprint
from harness.parameters import spec
from harness.transforms.base import Transform
from harness.transforms.random import is_random
from harness.transforms.resample import resize


@dataclass(frozen=True)
class View:
    """An ordered chain of transforms; no-ops are left out, so views that do the same are equal.

    After the chain, images that a crop has changed are resized (bilinear) to the input size; others that are larger
    are cropped to it about the centre, which is the model's ordinary evaluation preprocessing.
    """

    transforms: tuple[Transform, ...] = ()

    def __post_init__(self) -> None:
        kept = tuple(transform for transform in self.transforms if not transform.is_identity())
        object.__setattr__(self, "transforms", kept)
        draws = [(link.kind, getattr(link, "seed", None), link.copy) for link in kept if hasattr(link, "copy")]
        if len(set(draws)) < len(draws):
            raise ConfigError(f"view {self.name} draws the same random numbers twice: give its transforms two seeds")

    @property
    def name(self) -> str:
        """Short name for people: the labels joined by `+`, or `identity`."""
        return "+".join(transform.label() for transform in self.transforms) or "identity"

    @property
    def spec(self) -> list[dict[str, Any]]:
        """The chain as plain data, with one spelling for one view."""
        return [spec(transform) for transform in self.transforms]

    @property
    def key(self) -> str:
        """Fingerprint of the spec, 64 hex digits."""
        return fingerprint(self.spec)

    def __call__(self, images: np.ndarray, indices: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 to model inputs `[n, H, W, channels]` float32 in [0, 255], contiguous.

        `indices [n]` int64 are the examples' places in their split; `size` is (H, W).

        Raises:
            DataError: where the images are smaller than `size`, or a transform does not fit them.
        """
        result = images.astype(np.float32)
        for transform in self.transforms:
            result = _checked(transform(result, indices), transform, n=len(images))
        if any(getattr(transform, "resizes", False) for transform in self.transforms):
            result = result if result.shape[1:3] == size else resize(result, size)
        return np.ascontiguousarray(_centre(result, size))

    def outcomes(self) -> "tuple[View, ...] | None":
        """Every view that the random transforms of the chain can come to, each equally likely.

        The view itself where nothing is random; None where there are infinitely many outcomes.
        """
        choices: list[Sequence[tuple[Transform, ...]]] = []
        for transform in self.transforms:
            support = transform.support() if is_random(transform) else ((transform,),)
            if support is None:
                return None
            choices.append(support)
        return tuple(View(tuple(itertools.chain(*chosen))) for chosen in itertools.product(*choices))


IDENTITY = View(())


@dataclass(frozen=True)
class ForwardPass:
    """One split under one view: the unit of cost."""

    split: str
    view: View


def chain(*views: View) -> View:
    """One view that does what the given ones do, one after the other."""
    return View(tuple(transform for view in views for transform in view.transforms))


def unique(views: Iterable[View]) -> tuple[View, ...]:
    """The views without repetition, in the order in which they first came."""
    return tuple(dict.fromkeys(views))


def product(factors: Sequence[Sequence[View]]) -> tuple[View, ...]:
    """Every chain of one view from each factor, in order, where each factor also offers the identity.

    Identity comes first, the last factor varies fastest, and duplicates are one view.
    """
    with_identity = [unique([IDENTITY, *factor]) for factor in factors]
    return unique(chain(*choice) for choice in itertools.product(*with_identity))


def _centre(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    (h, w), (rows, columns) = images.shape[1:3], size
    if h < rows or w < columns:
        raise DataError(
            f"images of {h}x{w} are smaller than the model's input of {rows}x{columns}; "
            f"load the data set at {rows}x{columns} or larger"
        )
    top, left = (h - rows) // 2, (w - columns) // 2
    return images[:, top : top + rows, left : left + columns]


def _checked(images: np.ndarray, transform: Transform, *, n: int) -> np.ndarray:
    """Images as a transform returned them; transforms of other packages may break their promise."""
    if images.ndim != 4 or len(images) != n or images.dtype != np.float32:
        raise DataError(
            f"transform {transform.label()} must return [{n}, h, w, channels] float32, "
            f"got {list(images.shape)} {images.dtype}"
        )
    return images
