"""Arrays from an .npz file: what is taken, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from harness.datasets.npz import load_npz
from harness.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def save(folder: Path, **arrays: np.ndarray) -> Path:
    """An .npz file with a sound test split, changed or joined by `arrays`."""
    file = folder / "shapes.npz"
    np.savez(file, **({"x_test": IMAGES, "y_test": LABELS} | arrays))
    return file


def test_splits_by_default_keys(tmp_path: Path) -> None:
    """Test must be there, train and validation may be; the name is the file's."""
    raw = load_npz(save(tmp_path, x_train=IMAGES[:2], y_train=LABELS[:2]))
    assert (raw.name, raw.class_names) == ("shapes", ("0", "1", "2"))
    assert raw.train is not None
    assert (len(raw.train), raw.validation, len(raw.test)) == (2, None, 6)
    assert np.array_equal(raw.test.images.read(np.arange(6)), IMAGES)


def test_other_keys_and_class_names(tmp_path: Path) -> None:
    """Any array may serve any split by name."""
    file = save(tmp_path, pictures=IMAGES[..., 0], kinds=LABELS)
    raw = load_npz(file, x_test="pictures", y_test="kinds", class_names=["a", "b", "c"])
    assert raw.test.images.shape == (4, 5, 1)
    assert raw.class_names == ("a", "b", "c")


@pytest.mark.parametrize("labels", [LABELS[:, None], np.eye(3)[LABELS], np.eye(3, dtype=np.uint8)[LABELS]])
def test_label_forms_are_one(tmp_path: Path, labels: np.ndarray) -> None:
    """`[N, 1]` and one-hot labels give the same integers as `[N]`."""
    raw = load_npz(save(tmp_path, y_test=labels))
    assert raw.test.labels.tolist() == LABELS.tolist()


def test_one_hot_width_counts_unseen_classes(tmp_path: Path) -> None:
    """A class without an example still counts where the one-hot labels have a column for it."""
    assert len(load_npz(save(tmp_path, y_test=np.eye(5)[LABELS])).class_names) == 5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_unit_range_are_scaled(tmp_path: Path, dtype: type) -> None:
    """Pixels / 255 come back exactly, and a note says what was done."""
    raw = load_npz(save(tmp_path, x_test=(IMAGES / 255).astype(dtype)))
    assert np.array_equal(raw.test.images.read(np.arange(6)), IMAGES)
    assert "multiplied by 255" in raw.notes[0]


def test_floats_to_255_are_rounded(tmp_path: Path) -> None:
    """Floats in 0..255 are rounded to the nearest whole number, not cut."""
    raw = load_npz(save(tmp_path, x_test=np.clip(IMAGES - 0.4, 0, 255)))
    assert np.array_equal(raw.test.images.read(np.arange(6)), IMAGES)
    assert "rounded" in raw.notes[0]


def test_range_is_decided_over_all_splits(tmp_path: Path) -> None:
    """A dark test split of a 0..255 file is not taken for 0..1."""
    dark = np.full((1, 4, 5, 3), 1.0)
    raw = load_npz(save(tmp_path, x_train=IMAGES.astype(float), y_train=LABELS, x_test=dark, y_test=LABELS[:1]))
    assert (raw.test.images.read(np.array([0])) == 1).all()


def with_nan() -> np.ndarray:
    """Images with three pixels that are not finite, in images 4 and 5."""
    images = IMAGES / 255
    images[4, 0, 0, :2] = np.nan
    images[5, 1, 1, 0] = np.inf
    return images


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x_test": with_nan()}, "got 3 NaN or infinite ones in 2 images, the first in image 4"),
        ({"x_test": IMAGES[..., :2]}, r"x_test: expected 1 or 3 channels, got 2 \(shape \(6, 4, 5, 2\)\)"),
        ({"x_test": IMAGES.transpose(0, 3, 1, 2)}, "got 5 .*channels must come last"),
        ({"x_test": IMAGES.reshape(6, -1)}, "expected images"),
        ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "expected images"),
        ({"x_test": IMAGES.astype(np.int32) - 1}, r"expected values in 0\.\.255 .* got -1\.\.254"),
        ({"x_test": IMAGES * 300.0}, "give the raw pixels"),
        ({"x_test": IMAGES.astype(str)}, "integers or floats"),
        ({"y_test": LABELS[:5]}, "got 6 images and 5 labels"),
        ({"y_test": LABELS - 1}, "the first is -1 at example 0"),
        ({"y_test": LABELS.astype(float)}, "expected integer labels"),
        ({"y_test": np.eye(3)[LABELS] * 2}, "expected one-hot rows"),
        ({"y_test": np.array(["a"] * 6)}, "expected integer labels"),
        ({"x_train": IMAGES}, "got 6 images and no labels"),
        ({"y_test": np.array([{}] * 6, dtype=object)}, "cannot be read as an .npz file of plain arrays"),
    ],
)
def test_unfit_arrays_are_one_line(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    """Each unfit array is refused with what was expected and what came."""
    with pytest.raises(DataError, match=said) as info:
        load_npz(save(tmp_path, **arrays))
    assert "\n" not in str(info.value)


def test_labels_beyond_the_class_names_are_refused(tmp_path: Path) -> None:
    """With two names a label 2 is out of range."""
    with pytest.raises(DataError, match=r"labels in 0\.\.1 .* the first is 2 at example 2"):
        load_npz(save(tmp_path), class_names=["a", "b"])


def test_missing_array_lists_what_there_is(tmp_path: Path) -> None:
    """A key that is not in the file, or no test split, names the file's arrays."""
    with pytest.raises(DataError, match="no array 'pictures'; the file holds x_test, y_test"):
        load_npz(save(tmp_path), x_train="pictures")
    np.savez(tmp_path / "other.npz", x=IMAGES)
    with pytest.raises(DataError, match="no array 'x_test'; the file holds x"):
        load_npz(tmp_path / "other.npz")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04cut"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no .npz is one line."""
    file = tmp_path / "x.npz"
    file.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an") as info:
        load_npz(file)
    assert "\n" not in str(info.value)


def test_truncated_and_single_array_files_are_refused(tmp_path: Path) -> None:
    """A cut .npz, an .npy and a missing file are each one line."""
    file = save(tmp_path)
    file.write_bytes(file.read_bytes()[:400])
    np.save(tmp_path / "one.npy", IMAGES)
    for path in (file, tmp_path / "one.npy", tmp_path / "none.npz"):
        with pytest.raises(DataError) as info:
            load_npz(path)
        assert "\n" not in str(info.value)


def test_floats_just_above_one_are_refused(tmp_path: Path) -> None:
    """One overshoot of an interpolation must not turn 0..1 into 0..255, which would make all images black."""
    images = np.random.default_rng(0).random((8, 4, 4))
    images[3, 2, 1] = 1.01
    labels = np.arange(8) % 2
    np.savez(tmp_path / "over.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(DataError, match=r"floats reach 1\.01: neither 0\.\.1 nor 0\.\.255"):
        load_npz(tmp_path / "over.npz")
