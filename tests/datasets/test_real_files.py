"""The real public data sets, where they lie in Keras' cache."""

import hashlib

import numpy as np
import pytest

from harness.datasets.cifar import CIFAR10_CLASSES, load_cifar10
from harness.datasets.embedded import load_fashion_mini
from harness.datasets.idx import load_fashion_mnist, load_mnist
from harness.datasets.official import keras_cache


def need(folder: str, file: str) -> None:
    """Skips the test where the file is absent."""
    if not any((keras_cache(folder) / name).is_file() for name in (file, file + ".gz")):
        pytest.skip(f"{file} is not in the Keras cache below {folder}")


def test_real_fashion_mnist() -> None:
    """All 70,000 images, each class a tenth; the embedded part is the first images of each class."""
    need("fashion-mnist", "t10k-images-idx3-ubyte")
    raw, mini = load_fashion_mnist(), load_fashion_mini()
    assert raw.train is not None
    assert np.bincount(raw.train.labels).tolist() == [6000] * 10
    assert np.bincount(raw.test.labels).tolist() == [1000] * 10
    first = np.sort(np.concatenate([np.flatnonzero(raw.test.labels == label)[:100] for label in range(10)]))
    assert raw.test.labels[first].tolist() == mini.test.labels.tolist()
    assert np.array_equal(raw.test.images.read(first), mini.test.images.read(np.arange(1000)))


def test_real_mnist() -> None:
    """All 70,000 digits; the first five of train are the well-known 5, 0, 4, 1, 9."""
    need("mnist", "t10k-images-idx3-ubyte")
    raw = load_mnist()
    assert raw.train is not None
    assert (len(raw.train), len(raw.test)) == (60000, 10000)
    assert raw.train.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_real_cifar10() -> None:
    """All 60,000 images; read back plane by plane they are the bytes of the official file."""
    need("cifar-10-batches-bin", "test_batch.bin")
    raw = load_cifar10()
    assert raw.train is not None
    assert (len(raw.train), len(raw.test), raw.notes) == (50000, 10000, ())
    assert raw.class_names == CIFAR10_CLASSES
    planes = raw.test.images.read(np.arange(10000)).transpose(0, 3, 1, 2).reshape(10000, -1)
    records = np.concatenate([raw.test.labels.astype(np.uint8)[:, None], planes], axis=1)
    file = keras_cache("cifar-10-batches-bin") / "test_batch.bin"
    assert hashlib.md5(records.tobytes()).hexdigest() == hashlib.md5(file.read_bytes()).hexdigest()
