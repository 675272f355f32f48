"""What a loader returns: the splits as the source states them, before validation is decided."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import DataError
from harness.types import ImageSource, example_ids

BLOCK = 1024  # images hashed at a time: keeps memory flat in N


@dataclass(frozen=True, eq=False)
class SubsetImages:
    """The images `indices [n]` of another source, read through it, so that a subset of a folder stays on disk."""

    base: ImageSource
    indices: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(h, w, channels)`."""
        return self.base.shape

    @property
    def in_memory(self) -> bool:
        """As the source that is read."""
        return self.base.in_memory

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 of this subset's examples `indices [n]`."""
        return self.base.read(self.indices[indices])


@dataclass(frozen=True, eq=False)
class RawSplit:
    """Labelled images in the source's order.

    Attributes:
        images: N images.
        labels: `[N]` int64.
        files: one path per example, relative to the data set's folder, where examples are files; else empty.
        file_digests: SHA-256 of each file's bytes, where examples are files; else empty.
        loading: how files become pixels (size, colour, interpolation) as canonical JSON; part of the digest.
        ids: `[N]` strings, unique within the data set; given by `RawDataset.identified`.
    """

    images: ImageSource
    labels: np.ndarray
    files: tuple[str, ...] = ()
    file_digests: tuple[str, ...] = ()
    loading: str = ""
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.str_))

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray) -> "RawSplit":
        """The examples `indices [n]`, in that order, without copying a pixel."""
        base = self.images
        images = (
            SubsetImages(base.base, base.indices[indices])
            if isinstance(base, SubsetImages)
            else SubsetImages(base, np.asarray(indices))
        )
        return RawSplit(
            images=images,
            labels=self.labels[indices],
            files=tuple(self.files[i] for i in indices) if self.files else (),
            file_digests=tuple(self.file_digests[i] for i in indices) if self.file_digests else (),
            loading=self.loading,
            ids=self.ids[indices] if len(self.ids) else self.ids,
        )

    def identified(self, source: str) -> "RawSplit":
        """The same with ids: its files, or the source split's name and the place in it."""
        return replace(self, ids=np.array(self.files, np.str_) if self.files else example_ids(source, len(self)))

    def content_digests(self) -> list[bytes]:
        """A digest of each example's content: its file's, or that of its pixels."""
        if self.file_digests:
            return [bytes.fromhex(text) for text in self.file_digests]
        found = []
        for start in range(0, len(self), BLOCK):
            images = np.ascontiguousarray(self.images.read(np.arange(start, min(start + BLOCK, len(self)))))
            found += [hashlib.blake2b(image.data, digest_size=16).digest() for image in images]
        return found

    def digest(self) -> str:
        """SHA-256 (64 hex digits) over what the split holds, in order.

        In memory: the same hash as `array_digest(images, labels)`, taken in blocks. Files: each one's path, bytes
        and label, and how they are loaded; no image is decoded for it.
        """
        sha = hashlib.sha256()
        for part in self._file_parts() if self.file_digests else self._array_parts():
            sha.update(part)
        return sha.hexdigest()

    def _array_parts(self) -> Iterator[bytes | memoryview]:
        count = len(self)
        yield f"{(count, *self.images.shape)}{np.dtype(np.uint8).str}".encode()
        for start in range(0, count, BLOCK):
            block = self.images.read(np.arange(start, min(start + BLOCK, count)))
            yield np.ascontiguousarray(block).data
        yield f"{self.labels.shape}{self.labels.dtype.str}".encode()
        yield np.ascontiguousarray(self.labels).data

    def _file_parts(self) -> Iterator[bytes]:
        yield self.loading.encode()
        for name, file_digest, label in zip(self.files, self.file_digests, self.labels, strict=True):
            yield f"\0{name}\0{file_digest}\0{int(label)}".encode("utf-8", "surrogateescape")


@dataclass(frozen=True, eq=False)
class RawDataset:
    """A data set as its source states it.

    Attributes:
        name: for people and logs.
        class_names: C names, in label order.
        train: the source's own, or None.
        validation: the source's own, or None.
        test: the source's own, or the part that the loader held out (then a note says so).
        notes: sentences for the log.

    Raises:
        DataError: for an empty split, labels outside 0..C-1, or splits whose images differ in shape.
    """

    name: str
    class_names: tuple[str, ...]
    train: RawSplit | None
    validation: RawSplit | None
    test: RawSplit
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split_name, split in (("train", self.train), ("validation", self.validation), ("test", self.test)):
            if split is not None:
                self._check(split_name, split)

    def identified(self) -> "RawDataset":
        """The same with an id for every example."""
        return replace(
            self,
            train=self.train and self.train.identified("train"),
            validation=self.validation and self.validation.identified("validation"),
            test=self.test.identified("test"),
        )

    def _check(self, split_name: str, split: RawSplit) -> None:
        where = f"data set {self.name}, split {split_name}"
        if len(split) == 0:
            raise DataError(f"{where} is empty: expected at least one labelled image")
        if len(split.images) != len(split.labels):
            raise DataError(f"{where}: expected one label per image, got {len(split.images)} images and {len(split)}")
        if split.images.shape != self.test.images.shape:
            raise DataError(f"{where}: expected images {self.test.images.shape} as in test, got {split.images.shape}")
        classes = len(self.class_names)
        wrong = np.flatnonzero((split.labels < 0) | (split.labels >= classes))
        if len(wrong):
            raise DataError(
                f"{where}: expected labels in 0..{classes - 1} ({classes} classes), got {len(wrong)} outside, "
                f"the first is {int(split.labels[wrong[0]])} at example {wrong[0]}; "
                f"correct the labels or the class names"
            )
