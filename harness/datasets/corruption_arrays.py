"""The official corrupted test sets, CIFAR-10-C and ImageNet-C, where a user has them.

CIFAR-10-C (CIFAR-100-C is laid out alike) is a folder of one array for each corruption, `<corruption>.npy`
`[50000, 32, 32, 3]` uint8: the 10,000 test images in their order at severity 1, then all of them at severity 2, and so
on to 5; and `labels.npy`. ImageNet-C is a tree `<corruption>/<severity>/<class>/<file>` with the names of the clean
validation images.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from harness.corruptions.registry import SEVERITIES, make_corruption
from harness.datasets.corrupted import corrupted_name
from harness.datasets.image_files import FolderImages, in_threads
from harness.datasets.image_tree import shown
from harness.datasets.raw import SubsetImages
from harness.errors import DataError
from harness.files import file_digest
from harness.fingerprint import array_digest, fingerprint
from harness.types import ArrayImages, Split


def official_split(split: Split, folder: str | Path, corruption: str, severity: int) -> Split:
    """The official corrupted copies of a test split's examples, called e.g. `test@gaussian_noise:3`.

    Arrays stay on disk and are mapped; files are decoded as the split's own are.

    Args:
        split: the clean test split, or a part of it.
        folder: of CIFAR-10-C or ImageNet-C.
        corruption: a name in `harness.corruptions.registry.CORRUPTIONS`.
        severity: 1 to 5.

    Raises:
        ConfigError: for an unknown corruption or severity.
        DataError: where the folder holds no such corruption, or not of the split's examples.
    """
    make_corruption(corruption, severity)  # refuses unknown names before anything is looked for
    root = Path(folder).expanduser()
    file, tree = root / f"{corruption}.npy", root / corruption / str(severity)
    if file.is_file():
        copy = _from_array(split, file, severity)
    elif tree.is_dir():
        copy = _from_tree(split, tree)
    else:
        raise DataError(
            f"{root}: expected {file.name} (as in CIFAR-10-C) or a folder {corruption}/{severity} (as in ImageNet-C), "
            f"found neither; point to the folder that the official archive unpacks to"
        )
    return replace(copy, name=corrupted_name(split.name, corruption, severity))


def _from_array(split: Split, file: Path, severity: int) -> Split:
    images = _mapped(file)
    labels = _mapped(file.with_name("labels.npy"))
    count = len(images) // len(SEVERITIES)
    if images.dtype != np.uint8 or images.shape[1:] != split.images.shape or len(images) != count * len(SEVERITIES):
        raise DataError(
            f"{file}: expected {len(SEVERITIES)} severities of images {split.images.shape} uint8 as in split "
            f"{split.name}, got {images.dtype} {images.shape}; give the corrupted copy of this very data set"
        )
    if labels.shape != (len(images),):
        raise DataError(f"{file.with_name('labels.npy')}: expected {len(images):,} labels, got shape {labels.shape}")
    places = _places(split, count, file)
    rows = places + (severity - 1) * count
    wrong = np.flatnonzero(labels[rows] != split.labels)
    if len(wrong):
        raise DataError(
            f"{file}: expected the labels of split {split.name} in labels.npy, {len(wrong):,} of {len(split):,} "
            f"differ, the first at example {wrong[0]}; give the corrupted copy of this very data set, in official order"
        )
    asked = {"file": file_digest(file), "severity": severity, "rows": array_digest(rows, split.labels)}
    return replace(split, images=SubsetImages(ArrayImages(images, in_memory=False), rows), digest=fingerprint(asked))


def _mapped(file: Path) -> np.ndarray:
    """An array file mapped into memory."""
    try:
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{file}: cannot be read as an array ({reason}); get the file anew") from error


def _places(split: Split, count: int, file: Path) -> np.ndarray:
    """Where the split's examples stand among the `count` official ones."""
    images = split.images
    if isinstance(images, SubsetImages) and len(images.base) == count:
        return np.asarray(images.indices)
    if len(images) == count:
        return np.arange(count)
    whole = len(images.base) if isinstance(images, SubsetImages) else len(images)
    raise DataError(
        f"{file}: holds {count:,} images a severity, split {split.name} is of {whole:,}, so it cannot be told which "
        f"belong together; give the official test images, or a part that was taken from them here"
    )


def _from_tree(split: Split, tree: Path) -> Split:
    source = split.images.base if isinstance(split.images, SubsetImages) else split.images
    if not split.files or not isinstance(source, FolderImages):
        raise DataError(
            f"{tree}: its files are matched by name, and split {split.name} is not made of image files; "
            f"give a dataset of kind image_folder"
        )
    files = tuple("/".join(PurePosixPath(name).parts[-2:]) for name in split.files)  # class and file name
    missing = [name for name in files if not (tree / name).is_file()]
    if missing:
        raise DataError(
            f"{tree}: expected the files of split {split.name}, {len(missing):,} of {len(files):,} are missing: "
            f"{shown(missing)}; give the corrupted copy of this very data set"
        )
    if len(set(files)) < len(files):
        raise DataError(f"{tree}: split {split.name} has files of one class with the same name, so names do not tell")
    asked = {
        "files": files,
        "sha256": in_threads(lambda name: file_digest(tree / name), files),
        "labels": array_digest(split.labels),
        "loading": [source.shape, source.color_mode, source.interpolation],
    }
    return replace(split, images=replace(source, root=tree, files=files), digest=fingerprint(asked), files=files)
