"""The values that travel between the rooms: frozen, checked where they are made, without I/O.

Letters: N examples, V views, C classes (channels where an image is meant), H height, W width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from harness.errors import DataError


class ImageSource(Protocol):
    """Images of a split in a fixed order, read in batches so that memory stays flat in N."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(h, w, channels)` of every image, at load size."""

    @property
    def in_memory(self) -> bool:
        """True when reading costs nothing, so that a pass may read the images again."""

    def __len__(self) -> int:
        """N."""

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 of the examples `indices [n]`."""


@dataclass(frozen=True)
class ArrayImages:
    """Images held in memory: `array [N, h, w, channels]` uint8."""

    array: np.ndarray
    in_memory: bool = True

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8 or self.array.ndim != 4:
            raise DataError(f"expected images [N, h, w, channels] uint8, got {self.array.dtype} {self.array.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(h, w, channels)`."""
        _, h, w, channels = self.array.shape
        return h, w, channels

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 of the examples `indices [n]`."""
        images: np.ndarray = self.array[indices]
        return images


@dataclass(frozen=True, eq=False)
class Split:
    """A fixed, ordered set of labelled images.

    Attributes:
        name: `train`, `validation` or `test`.
        images: the images, N of them.
        labels: `[N]` int64 in [0, C).
        class_names: C names, in label order.
        digest: SHA-256 over the images' bytes and the labels, 64 hex digits.
        files: one path per example (relative to the data set's folder) where examples are files, else empty.
        ids: `[N]` strings, one example's name within the data set whatever the split it is in; without any, the
            split's name and the example's place.
    """

    name: str
    images: ImageSource
    labels: np.ndarray
    class_names: tuple[str, ...]
    digest: str
    files: tuple[str, ...] = ()
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.str_))

    def __post_init__(self) -> None:
        if len(self.ids) == 0:
            object.__setattr__(self, "ids", example_ids(self.name, len(self.labels)))
        if len(self.ids) != len(self.labels):
            raise DataError(f"split {self.name}: {len(self.ids)} ids but {len(self.labels)} labels")
        if len(self.images) != len(self.labels):
            raise DataError(f"split {self.name}: {len(self.images)} images but {len(self.labels)} labels")
        if len(self.labels) == 0:
            raise DataError(f"split {self.name} is empty: it needs at least one labelled image")
        if self.files and len(self.files) != len(self.labels):
            raise DataError(f"split {self.name}: {len(self.files)} files but {len(self.labels)} labels")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.num_classes:
            raise DataError(
                f"split {self.name}: labels must lie in 0..{self.num_classes - 1}, got {low}..{high}; "
                f"give as many class names as there are classes"
            )

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.labels)

    def spread(self, limit: int) -> np.ndarray:
        """Places `[n]` int64 of up to `limit` examples, evenly apart from the first to the last."""
        return np.unique(np.linspace(0, len(self) - 1, min(limit, len(self))).astype(np.int64))


def example_ids(source: str, count: int) -> np.ndarray:
    """Names `[count]` of the examples of a source that names none: `test/17`."""
    return np.char.add(f"{source}/", np.arange(count).astype(np.str_))


@dataclass(frozen=True)
class Dataset:
    """A data set's splits, and what was decided about them in sentences for the log.

    `train` is None where the source has none; `validation` and `test` are always there and disjoint. `slices` are
    corrupted copies of test, named e.g. `test@fog:3`.
    """

    name: str
    train: Split | None
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()
    slices: tuple[Split, ...] = ()

    @property
    def num_classes(self) -> int:
        """C."""
        return self.test.num_classes

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The names of the splits that are predicted."""
        return "validation", "test", *(split.name for split in self.slices)

    def split(self, name: str) -> Split:
        """The split called `name`.

        Raises:
            DataError: where the data set has no such split.
        """
        known = {"train": self.train, "validation": self.validation, "test": self.test}
        found = (known | {split.name: split for split in self.slices}).get(name)
        if found is None:
            raise DataError(f"data set {self.name} has no split {name!r}")
        return found


@dataclass(frozen=True)
class TrainedModel:
    """A model that is ready to predict.

    Attributes:
        name: for people.
        digest: SHA-256 over the weights and the architecture: what came out of training.
        input_shape: `(H, W, channels)`.
        num_classes: C.
        predict: images `[n, H, W, channels]` float32 in [0, 255] to logits `[n, C]` float32.
        notes: what is worth keeping beside its logits: device, threads, rounding.
    """

    name: str
    digest: str
    input_shape: tuple[int, int, int]
    num_classes: int
    predict: Callable[[np.ndarray], np.ndarray]
    notes: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the point estimate on the examples themselves.
        lower, upper: the interval's ends.
        level: coverage aimed at, e.g. 0.95.
        method: how the interval was made, e.g. `paired bootstrap, percentile`.
    """

    value: float
    lower: float
    upper: float
    level: float = 0.95
    method: str = "paired bootstrap, percentile"

    @property
    def ends(self) -> tuple[float, float, float]:
        """The value and the interval: value, lower, upper."""
        return self.value, self.lower, self.upper

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            raise ValueError(f"an interval needs lower <= upper, got {self.lower} > {self.upper}")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class probabilities of one policy on one split, kept as logarithms so that nothing underflows.

    Attributes:
        log_probs: `[N, C]` float64; each row's exponentials sum to one.
        labels: `[N]` int64 in [0, C).

    Raises:
        ValueError: for wrong shapes, NaN, or rows that do not sum to one within 1e-6.
    """

    log_probs: np.ndarray
    labels: np.ndarray
    probs: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        if self.log_probs.ndim != 2 or self.labels.shape != self.log_probs.shape[:1]:
            raise ValueError(
                f"expected log_probs [N, C] and labels [N], got {self.log_probs.shape} and {self.labels.shape}"
            )
        if np.isnan(self.log_probs).any() or (self.log_probs > 1e-6).any():
            raise ValueError("log-probabilities must be numbers at or below zero")
        probs = np.exp(self.log_probs)
        off = float(np.abs(probs.sum(axis=1) - 1).max())
        if off > 1e-6:
            raise ValueError(f"each row of probabilities must sum to one, got a row off by {off:.2g}")
        object.__setattr__(self, "probs", probs)
