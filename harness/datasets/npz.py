"""Data sets from arrays in an `.npz` file."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.datasets.arrays import array_split
from harness.datasets.raw import RawDataset, RawSplit
from harness.errors import DataError

SPLITS = ("train", "validation", "test")
DEFAULT_KEYS = {f"{letter}_{split}": f"{letter}_{split}" for split in SPLITS for letter in "xy"}


def load_npz(
    path: str | Path,
    *,
    x_train: str = "x_train",
    y_train: str = "y_train",
    x_validation: str = "x_validation",
    y_validation: str = "y_validation",
    x_test: str = "x_test",
    y_test: str = "y_test",
    class_names: Sequence[str] | None = None,
) -> RawDataset:
    """Splits from an `.npz` file of plain arrays; nothing in it is unpickled.

    Images are `[N, h, w]` or `[N, h, w, channels]` with 1 or 3 channels: integers in 0..255, or floats in [0, 1] or
    [0, 255], which are rounded to uint8. Floats count as [0, 1] where no image of any split goes above 1; the note
    says which. Labels are integers `[N]` or `[N, 1]`, or one-hot `[N, C]`.

    Args:
        path: the file.
        x_train: name of the array of train images; like the other three of train and validation, the array may be
            absent under the default name.
        y_train: name of the array of train labels.
        x_validation: name of the array of validation images.
        y_validation: name of the array of validation labels.
        x_test: name of the array of test images, which must be there.
        y_test: name of the array of test labels, which must be there.
        class_names: C names; by default the numbers 0..C-1 as text.

    Raises:
        DataError: where the file or an array is missing, damaged or of another shape, type or range.
    """
    file = Path(path).expanduser()
    keys = dict(zip(DEFAULT_KEYS, (x_train, y_train, x_validation, y_validation, x_test, y_test), strict=True))
    arrays = _read(file, keys)
    images = {split: _checked(arrays[f"x_{split}"], f"{file}: {keys[f'x_{split}']}") for split in SPLITS}
    labels = {split: _integers(arrays[f"y_{split}"], f"{file}: {keys[f'y_{split}']}") for split in SPLITS}
    for split in SPLITS:
        _same_length(file, split, images[split], labels[split])
    factor, notes = _scale([array for array in images.values() if array is not None])
    names = tuple(class_names) if class_names is not None else _numbered(arrays, labels)
    test = _split(images["test"], labels["test"], factor)
    if test is None:
        raise DataError(f"{file}: expected arrays {x_test!r} and {y_test!r} for the test split")
    return RawDataset(
        name=file.stem,
        class_names=names,
        train=_split(images["train"], labels["train"], factor),
        validation=_split(images["validation"], labels["validation"], factor),
        test=test,
        notes=notes,
    )


def _read(file: Path, keys: dict[str, str]) -> dict[str, np.ndarray | None]:
    """The arrays by role; None for one that is absent under its default name."""
    try:
        with file.open("rb") as stream:
            held = np.load(stream, allow_pickle=False)
            if not isinstance(held, np.lib.npyio.NpzFile):
                raise DataError(f"{file}: expected an .npz file of several arrays, got a single array")
            missing = [key for role, key in keys.items() if key not in held and (key != role or role.endswith("_test"))]
            if missing:
                raise DataError(f"{file}: no array {missing[0]!r}; the file holds {', '.join(held.files) or 'nothing'}")
            return {role: held.get(key) for role, key in keys.items()}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: cannot be read as an .npz file of plain arrays ({error})") from error


def _checked(images: np.ndarray | None, where: str) -> np.ndarray | None:
    """The images as they are, when shape, type and range are right."""
    if images is None:
        return None
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise DataError(f"{where}: expected images [N, h, w] or [N, h, w, channels], got shape {images.shape}")
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        hint = "; channels must come last" if images.shape[1] in (1, 3) else ""
        raise DataError(f"{where}: expected 1 or 3 channels, got {images.shape[3]} (shape {images.shape}){hint}")
    if images.dtype.kind not in "uif":
        raise DataError(f"{where}: expected images as integers or floats, got {images.dtype}")
    _check_finite(images, where)
    low, high = images.min(), images.max()
    if low < 0 or high > 255:
        raise DataError(f"{where}: expected values in 0..255 (or 0..1), got {low:g}..{high:g}; give the raw pixels")
    return images


def _check_finite(images: np.ndarray, where: str) -> None:
    if images.dtype.kind != "f":
        return
    wrong = ~np.isfinite(images)
    if wrong.any():
        rows = np.flatnonzero(wrong.reshape(len(images), -1).any(axis=1))
        raise DataError(
            f"{where}: expected finite pixels, got {int(wrong.sum())} NaN or infinite ones in {len(rows)} images, "
            f"the first in image {rows[0]}; repair or remove them"
        )


def _integers(labels: np.ndarray | None, where: str) -> np.ndarray | None:
    """Labels `[N]` int64 from integers `[N]`, `[N, 1]` or one-hot `[N, C]`."""
    if labels is None:
        return None
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not ((labels == 0) | (labels == 1)).all() or not (labels.sum(axis=1) == 1).all():
            raise DataError(f"{where}: expected one-hot rows (a single 1, the rest 0), got other values")
        numbers: np.ndarray = np.argmax(labels, axis=1).astype(np.int64)
        return numbers
    if labels.dtype.kind not in "ui" or labels.ndim not in (1, 2):
        raise DataError(
            f"{where}: expected integer labels [N] or [N, 1], or one-hot [N, C], got {labels.dtype} {labels.shape}"
        )
    return labels.reshape(-1).astype(np.int64)


def _same_length(file: Path, split: str, images: np.ndarray | None, labels: np.ndarray | None) -> None:
    counts = [None if array is None else len(array) for array in (images, labels)]
    if counts[0] != counts[1]:
        said = ["no" if count is None else f"{count:,}" for count in counts]
        raise DataError(f"{file}: expected one label per image in {split}, got {said[0]} images and {said[1]} labels")


def _scale(images: list[np.ndarray]) -> tuple[int, tuple[str, ...]]:
    """What floats are multiplied by, and the sentence that says so."""
    floats = [array for array in images if array.dtype.kind == "f"]
    if not floats:
        return 1, ()
    top = max(float(array.max()) for array in floats)
    if 1 < top < 2:
        raise DataError(f"floats reach {top:g}: neither 0..1 nor 0..255; clip them to 0..1 or give the raw pixels")
    if top <= 1:
        return 255, ("pixels are floats in 0..1: multiplied by 255 and rounded to whole numbers",)
    return 1, ("pixels are floats in 0..255: rounded to whole numbers",)


def _split(images: np.ndarray | None, labels: np.ndarray | None, factor: int) -> RawSplit | None:
    if images is None or labels is None:
        return None
    if images.dtype.kind == "f":
        # Image by image, so that no second float copy of the whole set is made.
        pixels = np.empty(images.shape, np.uint8)
        for position, image in enumerate(images):
            pixels[position] = np.rint(image.astype(np.float64) * factor)
        return array_split(pixels, labels)
    return array_split(images.astype(np.uint8, copy=False), labels)


def _numbered(arrays: dict[str, Any], labels: dict[str, np.ndarray | None]) -> tuple[str, ...]:
    """`0`..`C-1`, C from the width of one-hot labels or the largest label of any split."""
    widths = [array.shape[1] for role, array in arrays.items() if role[0] == "y" and np.ndim(array) == 2]
    largest = [int(values.max()) + 1 for values in labels.values() if values is not None and len(values)]
    return tuple(str(number) for number in range(max([*widths, *largest, 1])))
