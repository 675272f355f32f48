"""CIFAR-10-C arrays and ImageNet-C trees, small ones made here in the official layout."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets.arrays import array_split
from harness.datasets.corruption_arrays import official_split
from harness.datasets.image_folder import load_image_folder
from harness.datasets.raw import RawSplit
from harness.errors import ConfigError, DataError
from harness.types import Split

COUNT = 20
LABELS = np.random.default_rng(1).integers(0, 3, COUNT)
CORRUPTED = np.random.default_rng(0).integers(0, 256, (5 * COUNT, 8, 8, 3)).astype(np.uint8)


def finish(raw: RawSplit) -> Split:
    """A test split of three classes."""
    return Split("test", raw.images, raw.labels, ("a", "b", "c"), "0" * 64, raw.files)


@pytest.fixture
def raw() -> RawSplit:
    """The clean test images."""
    return array_split(np.zeros((COUNT, 8, 8, 3), np.uint8), LABELS)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """A folder as CIFAR-10-C's."""
    np.save(tmp_path / "fog.npy", CORRUPTED)
    np.save(tmp_path / "labels.npy", np.tile(LABELS, 5).astype(np.uint8))
    return tmp_path


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_severities_follow_one_another(raw: RawSplit, arrays: Path, severity: int) -> None:
    """Severity s is the s-th block of the array, read from disk, under the name of made copies."""
    copy = official_split(finish(raw), arrays, "fog", severity)
    assert copy.name == f"test@fog:{severity}"
    assert not copy.images.in_memory
    chosen = np.array([7, 0, 19])
    assert np.array_equal(copy.images.read(chosen), CORRUPTED[(severity - 1) * COUNT + chosen])
    assert np.array_equal(copy.labels, LABELS)


def test_a_part_of_test_gets_the_same_examples(raw: RawSplit, arrays: Path) -> None:
    """A subset of the test images is matched by its places in the whole."""
    places = np.array([2, 3, 11, 18])
    copy = official_split(finish(raw.subset(places)), arrays, "fog", 2)
    assert np.array_equal(copy.images.read(np.arange(4)), CORRUPTED[COUNT + places])


def test_array_digest_is_of_file_severity_and_rows(raw: RawSplit, arrays: Path) -> None:
    """Another severity, other rows or another byte in the file give another digest; reading again does not."""
    first = official_split(finish(raw), arrays, "fog", 1).digest
    assert official_split(finish(raw), arrays, "fog", 1).digest == first
    others = [
        official_split(finish(raw), arrays, "fog", 2).digest,
        official_split(finish(raw.subset(np.arange(10))), arrays, "fog", 1).digest,
    ]
    changed = CORRUPTED.copy()
    changed[-1, 0, 0, 0] ^= 1
    np.save(arrays / "fog.npy", changed)
    assert len({first, *others, official_split(finish(raw), arrays, "fog", 1).digest}) == 4


def test_other_labels_are_refused(raw: RawSplit, arrays: Path) -> None:
    """Labels that differ mean another data set or another order."""
    labels = LABELS.copy()
    labels[4] = (labels[4] + 1) % 3
    with pytest.raises(DataError, match="1 of 20 differ, the first at example 4"):
        official_split(finish(replace(raw, labels=labels)), arrays, "fog", 1)


def test_a_split_without_known_places_is_refused(arrays: Path) -> None:
    """A part whose places in the whole are not known cannot be matched, and the message says so."""
    alone = array_split(np.zeros((10, 8, 8, 3), np.uint8), LABELS[:10])
    with pytest.raises(DataError, match="holds 20 images a severity, split test is of 10"):
        official_split(finish(alone), arrays, "fog", 1)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("fog", CORRUPTED[:, :4], "as in split test, got uint8"),
        ("fog", CORRUPTED[:-1], "5 severities"),
        ("fog", CORRUPTED.astype(np.float32), "got float32"),
        ("labels", np.tile(LABELS, 4), "expected 100 labels"),
    ],
)
def test_other_arrays_are_refused(raw: RawSplit, arrays: Path, name: str, array: np.ndarray, message: str) -> None:
    """Another image size, count or type, or too few labels, is one line."""
    np.save(arrays / f"{name}.npy", array)
    with pytest.raises(DataError, match=message):
        official_split(finish(raw), arrays, "fog", 1)


def test_damaged_and_missing_files_are_refused(raw: RawSplit, arrays: Path) -> None:
    """A file cut off, no labels, no such corruption: one line each."""
    with pytest.raises(DataError, match=r"expected snow\.npy .* or a folder snow/1"):
        official_split(finish(raw), arrays, "snow", 1)
    (arrays / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"labels\.npy: cannot be read"):
        official_split(finish(raw), arrays, "fog", 1)
    (arrays / "fog.npy").write_bytes((arrays / "fog.npy").read_bytes()[:500])
    with pytest.raises(DataError, match=r"fog\.npy: cannot be read"):
        official_split(finish(raw), arrays, "fog", 1)


def test_unknown_corruption_is_refused(raw: RawSplit, arrays: Path) -> None:
    """The name is checked before the folder."""
    with pytest.raises(ConfigError, match="unknown corruption"):
        official_split(finish(raw), arrays, "labels", 1)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[RawSplit, Path]:
    """A clean test folder of two classes with three images each, and its corrupted tree at severity 2."""
    for index in range(6):
        place = Path("ab"[index % 2]) / f"{index}.png"
        for root, value in ((tmp_path / "clean/test", index), (tmp_path / "c/fog/2", 100 + index)):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 6, 3), value, np.uint8)).save(root / place)
    (tmp_path / "clean/train").mkdir()
    for name in "ab":
        (tmp_path / "clean/train" / name).mkdir()
        Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(tmp_path / "clean/train" / name / "t.png")
    return load_image_folder(tmp_path / "clean").test, tmp_path / "c"


def test_trees_are_matched_by_name(trees: tuple[RawSplit, Path]) -> None:
    """Each example's corrupted file has its class folder and name, for a part of test as well."""
    raw, root = trees
    for part in (raw, raw.subset(np.array([5, 1]))):
        clean, copy = finish(part), official_split(finish(part), root, "fog", 2)
        everything = np.arange(len(part))
        assert np.array_equal(copy.images.read(everything), clean.images.read(everything) + 100)
        assert copy.name == "test@fog:2" and np.array_equal(copy.labels, clean.labels)
        assert all(name.endswith(own) for name, own in zip(clean.files, copy.files, strict=True))


def test_tree_digest_is_of_the_files(trees: tuple[RawSplit, Path]) -> None:
    """One changed file or another selection changes the digest."""
    raw, root = trees
    first, part = (official_split(finish(item), root, "fog", 2).digest for item in (raw, raw.subset(np.arange(3))))
    Image.fromarray(np.full((6, 6, 3), 9, np.uint8)).save(root / "fog/2/a/0.png")
    assert len({first, part, official_split(finish(raw), root, "fog", 2).digest}) == 3


def test_missing_files_are_named(trees: tuple[RawSplit, Path]) -> None:
    """The message counts and names what is missing."""
    raw, root = trees
    (root / "fog/2/b/3.png").unlink()
    with pytest.raises(DataError, match=r"1 of 6 are missing: b/3\.png"):
        official_split(finish(raw), root, "fog", 2)
    with pytest.raises(DataError, match="found neither"):
        official_split(finish(raw), root, "fog", 3)


def test_a_tree_needs_files(raw: RawSplit, trees: tuple[RawSplit, Path]) -> None:
    """A split in memory has no names to match."""
    with pytest.raises(DataError, match="matched by name, and split test is not made of image files"):
        official_split(finish(raw), trees[1], "fog", 2)
