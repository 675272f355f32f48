"""CIFAR-10 and CIFAR-100 in their official binary version.

A record is the label bytes (CIFAR-10: the class; CIFAR-100: the coarse class, then the fine one), then 1,024 red,
1,024 green and 1,024 blue bytes, row by row. Described on the CIFAR page by Krizhevsky.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.datasets.arrays import array_split
from harness.datasets.official import download, find_official, read_official
from harness.datasets.raw import RawDataset, RawSplit
from harness.errors import DataError

PIXELS = 3 * 32 * 32
CIFAR10_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
CIFAR10_TEST = "test_batch.bin"
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_CLASSES = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()  # noqa: SIM905
)


def load_cifar10(*, path: str | Path | None = None) -> RawDataset:
    """CIFAR-10, 50,000 + 10,000 images of 32×32×3, from `path`, the Keras cache, or Keras' download.

    Raises:
        DataError: where the files are missing or damaged.
    """
    names = (*CIFAR10_TRAIN, CIFAR10_TEST)
    files = find_official("cifar10", path, folder="cifar-10-batches-bin", files=names)
    if files is None:
        train, test = download("cifar10", folder="cifar-10-batches-bin", files=names)
        return _dataset("cifar10", CIFAR10_CLASSES, train, test)
    class_names = _class_names(files[0].with_name("batches.meta.txt"), CIFAR10_CLASSES)
    return _dataset("cifar10", class_names, _read(files[:5], label_bytes=1), _read(files[5:], label_bytes=1))


def load_cifar100(*, path: str | Path | None = None) -> RawDataset:
    """CIFAR-100 with its fine labels, 50,000 + 10,000 of 32×32×3, from `path`, the Keras cache, or Keras' download.

    Raises:
        DataError: where the files are missing or damaged.
    """
    names = ("train.bin", "test.bin")
    files = find_official("cifar100", path, folder="cifar-100-binary", files=names)
    if files is None:
        train, test = download("cifar100", folder="cifar-100-binary", files=names)
        return _dataset("cifar100", CIFAR100_CLASSES, train, test)
    class_names = _class_names(files[0].with_name("fine_label_names.txt"), CIFAR100_CLASSES)
    return _dataset("cifar100", class_names, _read(files[:1], label_bytes=2), _read(files[1:], label_bytes=2))


def _dataset(name: str, class_names: tuple[str, ...], train: RawSplit, test: RawSplit) -> RawDataset:
    complete = (len(train), len(test)) == (50_000, 10_000)
    # A file cut off between two records looks whole; only the counts tell.
    note = f"the official set has 50,000 + 10,000 images, these files hold {len(train):,} + {len(test):,}"
    return RawDataset(
        name=name,
        class_names=class_names,
        train=train,
        validation=None,
        test=test,
        notes=() if complete else (note,),
    )


def _read(files: Sequence[Path], *, label_bytes: int) -> RawSplit:
    """All records of the files in order; the last label byte is the class."""
    record = label_bytes + PIXELS
    blocks = [read_official(file) for file in files]
    for file, block in zip(files, blocks, strict=True):
        if not block or len(block) % record:
            raise DataError(
                f"{file}: expected records of {record:,} bytes, got {len(block):,} bytes in all; "
                f"the file is truncated or damaged, get it anew"
            )
    records = [np.frombuffer(block, np.uint8).reshape(-1, record) for block in blocks]
    labels = np.concatenate([rows[:, label_bytes - 1] for rows in records])
    images = np.empty((len(labels), 32, 32, 3), np.uint8)
    start = 0
    for rows in records:
        planes = rows[:, label_bytes:].reshape(-1, 3, 32, 32)
        images[start : start + len(rows)] = planes.transpose(0, 2, 3, 1)
        start += len(rows)
    return array_split(images, labels)


def _class_names(file: Path, official: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the file beside the records, where there is one, else the official ones."""
    if not file.is_file():
        return official
    names = tuple(read_official(file).decode("utf-8", "replace").split())
    if len(names) != len(official):
        raise DataError(f"{file}: expected {len(official)} class names, got {len(names)}; correct or remove the file")
    return names
