"""MNIST and Fashion-MNIST in their official idx format.

An idx file is: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit integer, then the bytes. Described at the foot of the MNIST page by LeCun, Cortes and Burges.
"""

import math
from pathlib import Path

import numpy as np

from harness.datasets.arrays import array_split
from harness.datasets.official import download, find_official, read_official
from harness.datasets.raw import RawDataset, RawSplit
from harness.errors import DataError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DIGIT_CLASSES = tuple(str(digit) for digit in range(10))
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load_mnist(*, path: str | Path | None = None) -> RawDataset:
    """MNIST, 60,000 + 10,000 digits of 28×28×1, from `path`, the Keras cache, or Keras' download.

    Raises:
        DataError: where the files are missing or damaged.
    """
    return _load("mnist", path, folder="mnist", class_names=DIGIT_CLASSES)


def load_fashion_mnist(*, path: str | Path | None = None) -> RawDataset:
    """Fashion-MNIST, 60,000 + 10,000 articles of 28×28×1, from `path`, the Keras cache, or Keras' download.

    Raises:
        DataError: where the files are missing or damaged.
    """
    return _load("fashion_mnist", path, folder="fashion-mnist", class_names=FASHION_CLASSES)


def read_idx(file: Path, *, dimensions: int) -> np.ndarray:
    """The uint8 array with `dimensions` dimensions in an idx file, plain or gzipped (name ends in `.gz`).

    Raises:
        DataError: where the file is not such an idx file, or its length is not what its header says.
    """
    data = read_official(file)
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{file}: expected an idx file of unsigned bytes in {dimensions} dimensions, got other content")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", count=dimensions, offset=4))
    if len(data) - header != math.prod(shape):
        raise DataError(
            f"{file}: expected {math.prod(shape):,} bytes for {shape} after the header, got {len(data) - header:,}; "
            f"the file is truncated or damaged, get it anew"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _load(name: str, path: str | Path | None, *, folder: str, class_names: tuple[str, ...]) -> RawDataset:
    files = find_official(name, path, folder=folder, files=FILES)
    if files is None:
        train, test = download(name, folder=folder, files=FILES)
    else:
        train, test = _read_pair(files[0], files[1]), _read_pair(files[2], files[3])
    return RawDataset(name=name, class_names=class_names, train=train, validation=None, test=test)


def _read_pair(image_file: Path, label_file: Path) -> RawSplit:
    images, labels = read_idx(image_file, dimensions=3), read_idx(label_file, dimensions=1)
    if len(images) != len(labels):
        raise DataError(f"{image_file} has {len(images):,} images but {label_file} has {len(labels):,} labels")
    return array_split(images, labels)
