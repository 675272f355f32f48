"""Raw splits: subsets that read through, and digests that see every byte."""

from dataclasses import replace

import numpy as np
import pytest

from harness.datasets import raw
from harness.datasets.arrays import array_split
from harness.datasets.raw import RawDataset, RawSplit, SubsetImages
from harness.errors import DataError
from harness.fingerprint import array_digest


@pytest.fixture
def split() -> RawSplit:
    """Twenty images of three classes in memory."""
    rng = np.random.default_rng(0)
    return array_split(rng.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8), rng.integers(0, 3, 20))


def test_subset_of_subset_reads_the_right_images(split: RawSplit) -> None:
    """Two subsets in a row are one view of the source, with the images and labels of the chosen examples."""
    twice = split.subset(np.array([3, 5, 9, 11])).subset(np.array([1, 3]))
    everything = split.images.read(np.arange(20))
    assert isinstance(twice.images, SubsetImages)
    assert twice.images.base is split.images
    assert np.array_equal(twice.images.read(np.array([1, 0])), everything[[11, 5]])
    assert twice.labels.tolist() == split.labels[[5, 11]].tolist()


def test_digest_is_the_plain_hash_whatever_the_block(split: RawSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest taken in blocks equals the hash of the whole arrays, for any block size."""
    expected = array_digest(split.images.read(np.arange(20)), split.labels)
    for block in (1, 7, 20, 1000):
        monkeypatch.setattr(raw, "BLOCK", block)
        assert split.digest() == expected


def test_digest_of_a_subset_is_that_of_its_arrays(split: RawSplit) -> None:
    """A subset hashes as if its images had been stored alone."""
    chosen = np.array([2, 4, 17])
    alone = array_split(split.images.read(chosen), split.labels[chosen])
    assert split.subset(chosen).digest() == alone.digest()


def test_digest_changes_with_one_pixel_one_label_and_the_order(split: RawSplit) -> None:
    """One pixel, one label, or two examples swapped give another digest each."""
    images, labels = split.images.read(np.arange(20)), split.labels
    pixel = images.copy()
    pixel[19, 3, 4, 2] ^= 1
    label = labels.copy()
    label[0] = (label[0] + 1) % 3
    swapped = np.array([1, 0, *range(2, 20)])
    variants = [array_split(pixel, labels), array_split(images, label), array_split(images[swapped], labels[swapped])]
    assert len({split.digest(), *(variant.digest() for variant in variants)}) == 4


def test_digest_of_files_reads_no_image() -> None:
    """A folder's digest comes from paths, file hashes, labels and loading; each of them changes it."""

    class Unreadable:
        shape = (4, 5, 3)
        in_memory = False

        def __len__(self) -> int:
            return 2

        def read(self, indices: np.ndarray) -> np.ndarray:
            raise AssertionError(f"decoded {indices}")

    base = RawSplit(Unreadable(), np.array([0, 1]), ("a/x", "b/y"), ("11", "22"), "{}")
    variants = [
        replace(base, files=("a/z", "b/y")),
        replace(base, file_digests=("11", "23")),
        replace(base, labels=np.array([1, 1])),
        replace(base, loading='{"shape":1}'),
    ]
    assert len({base.digest(), *(variant.digest() for variant in variants)}) == 5


def dataset(train: RawSplit | None, test: RawSplit) -> RawDataset:
    """A data set of three classes."""
    return RawDataset(name="toy", class_names=("a", "b", "c"), train=train, validation=None, test=test)


@pytest.mark.parametrize("wrong", [-1, 3, 250])
def test_labels_out_of_range_are_named(split: RawSplit, wrong: int) -> None:
    """The message says the range, how many are outside, and the first with its position."""
    labels = split.labels.copy()
    labels[[7, 9]] = wrong
    with pytest.raises(
        DataError, match=rf"labels in 0\.\.2 .* got 2 outside, the first is {wrong} at example 7"
    ) as info:
        dataset(replace(split, labels=labels), split)
    assert "\n" not in str(info.value)


def test_splits_must_agree_in_image_shape(split: RawSplit) -> None:
    """Train images of another shape than test's are refused with both shapes."""
    other = array_split(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1]))
    with pytest.raises(DataError, match=r"\(4, 5, 3\) as in test, got \(4, 4, 3\)"):
        dataset(other, split)


def test_empty_split_is_refused(split: RawSplit) -> None:
    """A split without images is named."""
    with pytest.raises(DataError, match="split train is empty"):
        dataset(split.subset(np.array([], np.int64)), split)
