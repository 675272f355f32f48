"""Corrupted copies of a split: names, digests, when pixels are made."""

from dataclasses import replace

import numpy as np
import pytest

from harness.corruptions.registry import CORRUPTIONS, make_corruption
from harness.datasets import corrupted
from harness.datasets.corrupted import CorruptedImages, corrupt
from harness.errors import ConfigError, DataError
from harness.types import ArrayImages, Split

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 12, 12, 3)).astype(np.uint8)


class Disk:
    """Images that count how often and how many were read."""

    in_memory = False
    shape = (12, 12, 3)

    def __init__(self) -> None:
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(IMAGES)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """As an image source."""
        self.reads.append(len(indices))
        return IMAGES[indices]


@pytest.fixture
def split() -> Split:
    """Fifty images of two classes in memory."""
    return Split("test", ArrayImages(IMAGES), np.arange(50) % 2, ("a", "b"), "0" * 64)


def test_copy_has_the_name_and_everything_else(split: Split) -> None:
    """The copy is called `test@gaussian_noise:3` and keeps labels, class names and files."""
    named = replace(split, files=tuple(f"a/{i}.png" for i in range(50)))
    copy = corrupt(named, "gaussian_noise", 3)
    assert copy.name == "test@gaussian_noise:3"
    assert copy.labels is named.labels and copy.class_names == named.class_names and copy.files == named.files
    assert len(copy) == 50 and copy.images.shape == (12, 12, 3)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_pixels_are_the_corruption_of_the_clean_ones(split: Split, kind: str) -> None:
    """Whatever is asked for in whatever order is the corruption at the example's place in the split."""
    chosen = np.array([41, 3, 3, 17])
    expected = make_corruption(kind, 2)(IMAGES[chosen], chosen, seed=5)
    assert np.array_equal(corrupt(split, kind, 2, seed=5).images.read(chosen), expected)
    streamed = CorruptedImages(Disk(), make_corruption(kind, 2), seed=5)
    assert np.array_equal(streamed.read(chosen), expected)


def test_images_on_disk_stay_there(split: Split) -> None:
    """A streamed source is read as often as it is asked, and only for what is asked."""
    disk = Disk()
    images = corrupt(replace(split, images=disk), "fog", 1).images
    assert not images.in_memory and disk.reads == []
    images.read(np.arange(4))
    images.read(np.arange(4))
    assert disk.reads == [4, 4]


def test_images_in_memory_are_made_once(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made before the first reading; then all of it, in blocks, once."""
    disk = Disk()
    disk.in_memory = True
    monkeypatch.setattr(corrupted, "BLOCK", 20)
    images = corrupt(replace(split, images=disk), "fog", 1).images
    assert images.in_memory and disk.reads == []
    first = images.read(np.array([49]))
    images.read(np.arange(50))
    assert disk.reads == [20, 20, 10]
    assert np.array_equal(first, make_corruption("fog", 1)(IMAGES[49:], np.array([49])))


def test_much_in_memory_is_not_kept(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit the copy is made anew at each reading, so that memory stays flat."""
    monkeypatch.setattr(corrupted, "KEPT_BYTES", IMAGES.size)
    images = corrupt(split, "fog", 1).images
    assert not images.in_memory
    assert np.array_equal(images.read(np.array([2])), make_corruption("fog", 1)(IMAGES[2:3], np.array([2])))


def test_digest_says_what_was_asked(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split, corruption, severity, seed and version each change the digest; asking again does not."""
    digests = [
        split.digest,
        corrupt(split, "fog", 1).digest,
        corrupt(split, "fog", 2).digest,
        corrupt(split, "snow", 1).digest,
        corrupt(split, "fog", 1, seed=1).digest,
        corrupt(replace(split, digest="1" * 64), "fog", 1).digest,
    ]
    assert corrupt(split, "fog", 1).digest == digests[1]
    monkeypatch.setattr(corrupted, "VERSION", 2)
    digests.append(corrupt(split, "fog", 1).digest)
    assert len(set(digests)) == 7
    assert all(len(digest) == 64 for digest in digests)


def test_digest_reads_no_image(split: Split) -> None:
    """A copy is made without a look at the pixels."""
    disk = Disk()
    corrupt(replace(split, images=disk), "snow", 5)
    assert disk.reads == []


def test_what_cannot_be_corrupted_is_refused(split: Split) -> None:
    """Unknown names, severities out of range and four channels are refused at once."""
    with pytest.raises(ConfigError, match="unknown corruption"):
        corrupt(split, "rain", 1)
    with pytest.raises(ConfigError, match="severity"):
        corrupt(split, "fog", 0)
    four = replace(split, images=ArrayImages(np.zeros((50, 8, 8, 4), np.uint8)))
    with pytest.raises(DataError, match="1 or 3 channels, got 4"):
        corrupt(four, "fog", 1)
