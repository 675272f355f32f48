"""Image files as uint8 arrays, read from disk when they are asked for.

What a file becomes is what Keras' `load_img` makes of it: alpha is dropped (the colours below it stay), EXIF
orientation is not applied, the aspect ratio is not kept, and of several frames the first is taken.
"""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from harness.errors import DataError

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
COLOR_MODES = {"rgb": "RGB", "grayscale": "L"}
CHANNELS = {"rgb": 3, "grayscale": 1}
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "PPM", "TIFF", "GIF", "WEBP")  # by content, whatever the name says
EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})
THREADS = min(8, (os.cpu_count() or 1) + 1)  # Pillow decodes outside the interpreter's lock
QUEUE = 4096  # items handed to the threads at a time: a million waiting calls would fill memory

T = TypeVar("T")
R = TypeVar("R")


def decode(data: bytes, color_mode: str) -> Image.Image:
    """The picture in a file's bytes, fully decoded, in `rgb` or `grayscale`.

    Raises:
        ValueError: for pixels of more than 8 bits, which Pillow would clip instead of scale.
        OSError and others of Pillow: for bytes that are no whole picture.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.mode not in EIGHT_BIT_MODES:
        raise ValueError(f"unsupported pixel mode {image.mode}, expected 8 bits per channel")
    image.load()
    # Only palette transparency in bytes is concerned: Pillow warns about it, and it changes no colour.
    image.info.pop("transparency", None)
    return image.convert(COLOR_MODES[color_mode])


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Images in files below `root`, decoded and resized each time they are read.

    Attributes:
        root: the data set's folder.
        files: one path per example, relative to root.
        shape: `(h, w, channels)` that every image is brought to.
        color_mode: `rgb` or `grayscale`.
        interpolation: a name in `RESAMPLING`; used where a file has another size.
    """

    root: Path
    files: tuple[str, ...]
    shape: tuple[int, int, int]
    color_mode: str
    interpolation: str

    @property
    def in_memory(self) -> bool:
        """False: each read decodes."""
        return False

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 of the examples `indices [n]`.

        Raises:
            DataError: for a file that went away or changed for the worse since it was scanned.
        """
        batch = np.empty((len(indices), *self.shape), np.uint8)

        def fill(position: int) -> None:
            batch[position] = self._load(self.files[int(indices[position])])

        in_threads(fill, range(len(indices)))
        return batch

    def _load(self, name: str) -> np.ndarray:
        height, width, _ = self.shape
        try:
            image = decode((self.root / name).read_bytes(), self.color_mode)
        except Exception as error:  # Pillow raises nearly anything for a damaged file
            raise DataError(f"{self.root / name}: cannot be read any more ({reason(error)})") from error
        if image.size != (width, height):
            image = image.resize((width, height), RESAMPLING[self.interpolation])
        return np.asarray(image).reshape(self.shape)


@dataclass(frozen=True)
class ScannedFile:
    """What one look at a file found: SHA-256 of its bytes, `(h, w)`, and what is wrong with it (empty when nothing)."""

    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    problem: str = ""


def scan(root: Path, names: Sequence[str], *, color_mode: str) -> list[ScannedFile]:
    """Reads and decodes each file once, in threads, holding one image per thread."""

    def look(name: str) -> ScannedFile:
        try:
            data = (root / name).read_bytes()
            if not data:
                return ScannedFile(problem="empty file")
            width, height = decode(data, color_mode).size
        except Exception as error:  # Pillow raises nearly anything for a damaged file
            return ScannedFile(problem=reason(error))
        return ScannedFile(sha256=hashlib.sha256(data).hexdigest(), size=(height, width))

    return in_threads(look, names)


def reason(error: Exception) -> str:
    """Why a file cannot be used, in a few words on one line."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, of zero size, or of an unsupported format"
    return (str(error).splitlines() or [type(error).__name__])[0]


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` of each item, in the order of the items."""
    results: list[R] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(items), QUEUE):
            results.extend(pool.map(work, items[start : start + QUEUE]))
    return results
