"""idx and CIFAR's binary version, from bytes put together by hand as the formats say."""

import gzip
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.datasets.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES, load_cifar10, load_cifar100
from harness.datasets.idx import load_fashion_mnist, load_mnist, read_idx
from harness.errors import DataError


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path, *, packed: bool = False) -> dict[str, np.ndarray]:
    """The four official files with 6 + 2 images; returns what they hold."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": np.array([0, 1, 2, 9, 9, 5], np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": np.array([7, 3], np.uint8),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        content = idx_bytes(array)
        (folder / (name + ".gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return arrays


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_become_images_and_labels(tmp_path: Path, packed: bool) -> None:
    """Plain and gzipped idx files give the pixels that were written, in order, with a channel axis."""
    arrays = write_mnist(tmp_path, packed=packed)
    raw = load_mnist(path=tmp_path)
    assert raw.train is not None
    assert np.array_equal(raw.train.images.read(np.arange(6))[..., 0], arrays["train-images-idx3-ubyte"])
    assert raw.train.labels.tolist() == [0, 1, 2, 9, 9, 5]
    assert raw.test.labels.tolist() == [7, 3]
    assert raw.test.images.shape == (28, 28, 1)
    assert raw.validation is None


def test_keras_cache_is_where_we_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the files are found below $KERAS_HOME, and no Keras is imported."""
    write_mnist(tmp_path / "datasets" / "fashion-mnist", packed=True)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "keras", None)
    raw = load_fashion_mnist()
    assert raw.class_names[int(raw.test.labels[0])] == "Sneaker"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (idx_bytes(np.zeros((3, 28, 28), np.uint8))[:-1], "truncated or damaged"),
        (idx_bytes(np.zeros((3, 28, 28), np.uint8)) + b"x", "truncated or damaged"),
        (b"", "expected an idx file"),
        (b"<html>not here</html>", "expected an idx file"),
        (idx_bytes(np.zeros(3, np.uint8)), "expected an idx file of unsigned bytes in 3 dimensions"),
    ],
)
def test_damaged_idx_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    """A file that is cut, too long, empty or of other content is one line that names it."""
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(content)
    with pytest.raises(DataError, match=said) as info:
        read_idx(file, dimensions=3)
    assert str(file) in str(info.value)
    assert "\n" not in str(info.value)


def test_truncated_gzip_is_named(tmp_path: Path) -> None:
    """A gzip stream that ends too early is one line that names the file."""
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8)))[:-20])
    with pytest.raises(DataError, match=r"idx1-ubyte\.gz: cannot be read"):
        read_idx(file, dimensions=1)


def test_labels_and_images_must_pair_up(tmp_path: Path) -> None:
    """Files of different lengths are refused with both counts."""
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match=r"has 2 images but .* has 3 labels"):
        load_mnist(path=tmp_path)


def cifar_record(labels: tuple[int, ...], image: np.ndarray) -> bytes:
    """Label bytes, then the red, the green and the blue plane of `image [32, 32, 3]`."""
    return bytes(labels) + b"".join(image[:, :, channel].tobytes() for channel in range(3))


def write_cifar10(folder: Path) -> np.ndarray:
    """The six official files with two images each; returns the images."""
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    for batch in range(5):
        rows = (cifar_record((batch,), images[2 * batch]), cifar_record((9,), images[2 * batch + 1]))
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(b"".join(rows))
    (folder / "test_batch.bin").write_bytes(cifar_record((3,), images[10]) + cifar_record((4,), images[11]))
    return images


def test_cifar10_batches_in_order(tmp_path: Path) -> None:
    """The five batches follow one another, planes become channels, and odd counts are noted."""
    images = write_cifar10(tmp_path)
    raw = load_cifar10(path=tmp_path)
    assert raw.train is not None
    assert np.array_equal(raw.train.images.read(np.arange(10)), images[:10])
    assert raw.train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert np.array_equal(raw.test.images.read(np.arange(2)), images[10:])
    assert raw.class_names == CIFAR10_CLASSES
    assert raw.notes == ("the official set has 50,000 + 10,000 images, these files hold 10 + 2",)


def test_cifar10_names_from_the_file_beside(tmp_path: Path) -> None:
    """Names in batches.meta.txt win over ours; a wrong number of them is refused."""
    write_cifar10(tmp_path)
    names = tmp_path / "batches.meta.txt"
    names.write_text("\n".join("zyxwvutsrq") + "\n\n")
    assert load_cifar10(path=tmp_path).class_names == tuple("zyxwvutsrq")
    names.write_text("a\nb\n")
    with pytest.raises(DataError, match="expected 10 class names, got 2"):
        load_cifar10(path=tmp_path)


def test_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    """Of the two label bytes the second is the class; names are the official hundred."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (tmp_path / "train.bin").write_bytes(cifar_record((11, 19), image) + cifar_record((0, 99), image))
    (tmp_path / "test.bin").write_bytes(cifar_record((1, 0), image))
    raw = load_cifar100(path=tmp_path)
    assert raw.train is not None
    assert raw.train.labels.tolist() == [19, 99]
    assert np.array_equal(raw.test.images.read(np.array([0]))[0], image)
    assert [CIFAR100_CLASSES[label] for label in (0, 19, 99)] == ["apple", "cattle", "worm"]
    assert len(set(CIFAR100_CLASSES)) == 100


def test_cifar_batch_cut_within_a_record_is_named(tmp_path: Path) -> None:
    """A file whose length is no multiple of a record is one line that names it."""
    write_cifar10(tmp_path)
    file = tmp_path / "data_batch_4.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_4\.bin: expected records of 3,073 bytes, got 6,145"):
        load_cifar10(path=tmp_path)


def test_cifar_label_out_of_range_is_named(tmp_path: Path) -> None:
    """A label byte beyond the classes is refused with its place."""
    images = write_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(cifar_record((10,), images[0]))
    with pytest.raises(DataError, match=r"split test: expected labels in 0\.\.9 .* the first is 10 at example 0"):
        load_cifar10(path=tmp_path)


def test_missing_files_below_a_given_path_are_named(tmp_path: Path) -> None:
    """With a path nothing is downloaded: the missing files are named."""
    write_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"missing: test_batch\.bin$"):
        load_cifar10(path=tmp_path)


def fake_keras(load_data: object) -> SimpleNamespace:
    """A stand-in for Keras whose download is `load_data`."""
    return SimpleNamespace(datasets=SimpleNamespace(cifar10=SimpleNamespace(load_data=load_data)))


def test_keras_downloads_what_the_cache_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without files the arrays of `keras.datasets` are taken, labels `[N, 1]` made flat."""
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    pair = (images, np.array([[1], [2], [9]], np.uint8))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("harness.backend.keras", fake_keras(lambda: (pair, pair)))
    raw = load_cifar10()
    assert raw.test.labels.tolist() == [1, 2, 9]
    assert raw.test.labels.dtype == np.int64
    assert np.array_equal(raw.test.images.read(np.arange(3)), images)


def test_failed_download_says_which_files_go_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without files and without a network one line names the files and the folder."""

    def fail() -> None:
        raise Exception("URL fetch failure on somewhere: None -- name not known\nmore")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("harness.backend.keras", fake_keras(fail))
    with pytest.raises(DataError, match=r"URL fetch failure.*data_batch_1\.bin.*test_batch\.bin") as info:
        load_cifar10()
    assert str(tmp_path / "datasets" / "cifar-10-batches-bin") in str(info.value)
    assert "\n" not in str(info.value)
