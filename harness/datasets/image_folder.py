"""Folders of images: one folder per class, or a `train/`, `validation/`, `test/` tree of those."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from harness.datasets.folder_division import Division, Part, assign, usable
from harness.datasets.image_files import CHANNELS, COLOR_MODES, RESAMPLING, FolderImages, scan
from harness.datasets.image_tree import find_classes, find_split_folders, list_split, shown
from harness.datasets.raw import RawDataset, RawSplit
from harness.errors import ConfigError, DataError, unknown_name
from harness.fingerprint import canonical_json

CLASS_MODES = ("categorical", "binary", "sparse")
SPLIT_RULES = ("stratified", "keras")
ON_BAD_IMAGE = ("error", "skip")
LOADING_VERSION = 1  # goes up when the same file and options would give other pixels


def load_image_folder(
    path: str | Path,
    *,
    target_size: tuple[int, int] | None = None,
    color_mode: Literal["rgb", "grayscale"] = "rgb",
    class_mode: Literal["categorical", "binary", "sparse"] = "categorical",
    classes: Sequence[str] | None = None,
    validation_split: float = 0.0,
    split_rule: Literal["stratified", "keras"] = "stratified",
    test_split: float | None = None,
    seed: int = 0,
    interpolation: str = "bilinear",
    on_bad_image: Literal["error", "skip"] = "error",
) -> RawDataset:
    """Labelled image files, as Keras' older `flow_from_directory` reads them, streamed from disk.

    Which files are test:
      - the folder `test/`; without one `validation/` is, and a note says so;
      - a plain tree of class folders, rule `stratified`: a seeded part `test_split` (0.2) of each class;
      - a plain tree of class folders, rule `keras`: what `subset="validation"` of Keras' generator gives, because
        nothing else was held out from a model that was trained that way; `subset="training"` is train.
    Which are validation: the folder `validation/`, else the part `validation_split` of train (of the whole tree where
    test comes out of it too), else none, and validation is decided later as for any data set.
    Rule `keras` is the first `int(validation_split * n)` of each class's n sorted files, images or not.

    Args:
        path: the folder.
        target_size: `(h, w)` to resize to, aspect ratio not kept; None where all images have one size already.
        color_mode: `rgb` or `grayscale`, to which Pillow converts; alpha is dropped, EXIF orientation is not applied.
        class_mode: `binary` insists on exactly two classes. Labels are integers in any case.
        classes: the class folders to use, in label order; by default all, sorted.
        validation_split: in [0, 1).
        split_rule: `stratified` (seeded) or `keras`.
        test_split: in (0, 1); only for a plain tree with rule `stratified`.
        seed: of stratified divisions.
        interpolation: of the resize. The default is bilinear; Keras' was nearest.
        on_bad_image: `error` names the files that are empty, damaged or unsupported; `skip` leaves them out, and a
            note counts and names them.

    Raises:
        ConfigError: for options that are unknown or contradict one another.
        DataError: for a folder without classes, a class without images, bad images, or images of several sizes
            without `target_size`.
    """
    _check_options(target_size, color_mode, class_mode, split_rule, interpolation, on_bad_image)
    root = Path(path).expanduser()
    folders = find_split_folders(root)
    class_names = find_classes(root, folders, classes)
    if class_mode == "binary" and len(class_names) != 2:
        raise DataError(f"image folder {root}: class_mode=binary expects two classes, got {len(class_names)}")
    listings = {split: list_split(root, folder, class_names) for split, folder in folders.items()}
    parts = {
        split: Part(listing, tuple(scan(root, listing.files, color_mode=color_mode)), np.arange(len(listing.files)))
        for split, listing in listings.items()
    }
    notes = [*_remarks(parts), *_bad_images(root, parts, on_bad_image)]
    _check_classes_left(root, parts, class_names)
    division = Division(split_rule, validation_split, test_split, seed)
    parts, how = assign(root, parts, division, class_names)
    parts = {split: usable(part) for split, part in parts.items()}
    shape = (*_common_size(root, parts, target_size), CHANNELS[color_mode])
    raw = {split: _raw_split(root, part, shape, color_mode, interpolation) for split, part in parts.items()}
    return RawDataset(
        name=root.resolve().name,
        class_names=class_names,
        train=raw.get("train"),
        validation=raw.get("validation"),
        test=raw["test"],
        notes=(*notes, *how),
    )


def _check_options(
    target_size: tuple[int, int] | None,
    color_mode: str,
    class_mode: str,
    split_rule: str,
    interpolation: str,
    on_bad_image: str,
) -> None:
    for what, value, known in (
        ("color_mode", color_mode, tuple(COLOR_MODES)),
        ("class_mode", class_mode, CLASS_MODES),
        ("split_rule", split_rule, SPLIT_RULES),
        ("interpolation", interpolation, tuple(RESAMPLING)),
        ("on_bad_image", on_bad_image, ON_BAD_IMAGE),
    ):
        if value not in known:
            raise ConfigError(unknown_name(what, value, known))
    if target_size is not None and (len(target_size) != 2 or min(target_size) < 1):
        raise ConfigError(f"target_size is (height, width), both at least 1, got {tuple(target_size)}")


def _remarks(parts: dict[str, Part]) -> list[str]:
    """Sentences about files that are left out and classes that a split lacks."""
    others = [name for part in parts.values() for name in part.listing.others]
    notes = []
    if others:
        notes.append(f"files in class folders without an image extension, left out: {len(others)} ({shown(others)})")
    for split, part in parts.items():
        if part.listing.absent:
            notes.append(
                f"classes without a folder in {split}: {len(part.listing.absent)} ({shown(part.listing.absent)})"
            )
    return notes


def _bad_images(root: Path, parts: dict[str, Part], on_bad_image: str) -> list[str]:
    """The sentence about skipped images, or none.

    Raises:
        DataError: naming the bad images, with `on_bad_image=error`.
    """
    bad = [
        f"{name} ({found.problem})"
        for part in parts.values()
        for name, found in zip(part.listing.files, part.scanned, strict=True)
        if found.problem
    ]
    if not bad:
        return []
    total = sum(len(part.listing.files) for part in parts.values())
    if on_bad_image == "error":
        raise DataError(
            f"image folder {root}: {len(bad)} of {total:,} images cannot be used: {shown(bad)}; "
            f"repair or remove them, or give dataset.on_bad_image=skip"
        )
    return [f"{len(bad)} of {total:,} images cannot be used and are skipped: {shown(bad)}"]


def _common_size(root: Path, parts: dict[str, Part], target_size: tuple[int, int] | None) -> tuple[int, int]:
    if target_size is not None:
        return int(target_size[0]), int(target_size[1])
    first: dict[tuple[int, int], str] = {}
    for part in parts.values():
        for index in part.indices:
            first.setdefault(part.scanned[index].size, part.listing.files[index])
    if len(first) > 1:
        (one, one_file), (two, two_file) = list(first.items())[:2]
        raise DataError(
            f"image folder {root}: images differ in size, {one_file} is {one[0]}×{one[1]} and "
            f"{two_file} is {two[0]}×{two[1]}; give dataset.target_size=[height,width]"
        )
    return next(iter(first), (0, 0))


def _raw_split(root: Path, part: Part, shape: tuple[int, int, int], color_mode: str, interpolation: str) -> RawSplit:
    files = tuple(part.listing.files[i] for i in part.indices)
    loading = {"version": LOADING_VERSION, "shape": shape, "color_mode": color_mode, "interpolation": interpolation}
    return RawSplit(
        images=FolderImages(root, files, shape, color_mode, interpolation),
        labels=part.listing.labels[part.indices],
        files=files,
        file_digests=tuple(part.scanned[i].sha256 for i in part.indices),
        loading=canonical_json(loading),
    )


def _check_classes_left(root: Path, parts: dict[str, Part], class_names: tuple[str, ...]) -> None:
    """No class may have lost all its images to skipping."""
    for split, part in parts.items():
        lost = np.setdiff1d(part.listing.labels, part.listing.labels[usable(part).indices])
        if len(lost):
            raise DataError(
                f"image folder {root}: class {class_names[lost[0]]!r} has no usable image in {split}; "
                f"add images, or name the classes to use as dataset.classes"
            )
