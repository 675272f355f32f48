"""How a folder of images is laid out: splits, classes, files.

Only names are looked at here; no file is opened.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError, unknown_name

EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")  # as Keras' directory iterator has them
VALIDATION_FOLDERS = ("validation", "val", "valid")
SPLIT_FOLDERS = {"train": "train", "test": "test", **dict.fromkeys(VALIDATION_FOLDERS, "validation")}
SHOWN = 5  # names in a message, before "and n more"


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of one split folder.

    Attributes:
        files: paths relative to the data set's folder, class by class, sorted by folder and then name, as Keras does.
        labels: `[N]` int64.
        others: visible files in class folders that are no images by their names.
        absent: classes that have no folder here.
    """

    files: tuple[str, ...]
    labels: np.ndarray
    others: tuple[str, ...]
    absent: tuple[str, ...]


def find_split_folders(root: Path) -> dict[str, Path]:
    """The folders of `train`, `validation` (or `val`, `valid`) and `test`; a plain tree of classes is all `train`.

    A folder counts as a split when it has such a name and holds folders itself, so that a class may be called
    "train"; where one does, the other folders with such names are splits too.

    Raises:
        DataError: where `root` is no folder, or validation is there twice.
    """
    if not root.is_dir():
        raise DataError(f"image folder {root}: expected a folder, found {'a file' if root.exists() else 'nothing'}")
    named = [name for name in visible_folders(root) if name in SPLIT_FOLDERS]
    if not any(visible_folders(root / name) for name in named):
        return {"train": root}
    found: dict[str, Path] = {}
    for name in named:
        split = SPLIT_FOLDERS[name]
        if split in found:
            raise DataError(f"image folder {root}: expected one validation folder, got {found[split].name} and {name}")
        found[split] = root / name
    return found


def find_classes(root: Path, splits: dict[str, Path], classes: Sequence[str] | None) -> tuple[str, ...]:
    """The class names in label order: `classes` where given, else the folders of train (else of the first split).

    Raises:
        DataError: where there are fewer than two, a listed class has no folder, or another split has a class more.
    """
    reference = splits.get("train") or next(iter(splits.values()))
    present = visible_folders(reference)
    names = tuple(classes) if classes is not None else tuple(present)
    if len(set(names)) != len(names):
        raise DataError(f"image folder {root}: expected each class once, got {', '.join(names)}")
    if len(names) < 2:
        raise DataError(f"image folder {reference}: expected a folder per class, at least two, got {len(names)}")
    for name in names:
        if name not in present:
            raise DataError(f"image folder {reference}: {unknown_name('class folder', name, present)}")
    for folder in splits.values() if classes is None else ():
        more = sorted(set(visible_folders(folder)) - set(names))
        if more:
            raise DataError(
                f"image folder {folder}: expected the classes of {reference.name} ({len(names)}), got {more[0]!r} too; "
                f"name the classes to use as dataset.classes"
            )
    return names


def list_split(root: Path, folder: Path, classes: Sequence[str]) -> Listing:
    """The image files of a split, by class; a class may lack its folder, but a folder may not lack images.

    Raises:
        DataError: naming the class folders without an image.
    """
    files: list[str] = []
    labels: list[int] = []
    others: list[str] = []
    empty: list[str] = []
    for label, name in enumerate(classes):
        images, rest = _list_class(root, folder / name)
        files += images
        labels += [label] * len(images)
        others += rest
        if not images and (folder / name).is_dir():
            empty.append(f"{folder / name}{f' (only {shown(rest)})' if rest else ''}")
    if empty:
        raise DataError(
            f"class folder without an image: {shown(empty)}; expected files ending in {', '.join(EXTENSIONS)}; "
            f"add images, or name the classes to use as dataset.classes"
        )
    absent = tuple(name for name in classes if not (folder / name).is_dir())
    return Listing(tuple(files), np.array(labels, np.int64), tuple(others), absent)


def visible_folders(folder: Path) -> list[str]:
    """Names of the folders in `folder`, sorted, without hidden ones (such as `.ipynb_checkpoints`)."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name))


def shown(names: Sequence[str]) -> str:
    """The first names and the count of the others, on one line."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _list_class(root: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Images and other visible files below a class folder, relative to root."""
    images: list[str] = []
    others: list[str] = []
    for parent, _, names in sorted(os.walk(folder), key=lambda step: step[0]):
        inside = Path(parent).relative_to(folder)
        for name in sorted(names):
            if any(_hidden(part) for part in (*inside.parts, name)):
                continue
            path = (Path(parent) / name).relative_to(root).as_posix()
            (images if name.lower().endswith(EXTENSIONS) else others).append(path)
    return images, others


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")
