"""Folders of images, written by Pillow and read back."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets.image_files import FolderImages
from harness.datasets.image_folder import load_image_folder
from harness.datasets.raw import RawDataset, RawSplit
from harness.errors import ConfigError, DataError


def picture(seed: int, size: tuple[int, int] = (6, 5), channels: int = 3) -> np.ndarray:
    """Random pixels `[h, w, channels]` uint8, or `[h, w]` for one channel."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def write(file: Path, pixels: np.ndarray, **options: object) -> None:
    """Saves pixels as an image file, with the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **options)


def write_tree(root: Path, counts: dict[str, int]) -> None:
    """`counts` maps a class folder (relative to root) to its number of pictures."""
    for number, (folder, count) in enumerate(counts.items()):
        for index in range(count):
            write(root / folder / f"{index:02}.png", picture(1000 * number + index))


def everything(split: RawSplit | None) -> np.ndarray:
    """All images of a split."""
    assert split is not None
    return split.images.read(np.arange(len(split)))


def files(split: RawSplit | None) -> tuple[str, ...]:
    """The files of a split, or none where there is no split."""
    return () if split is None else split.files


def refused(error: type[Exception], said: str, root: Path, **options: object) -> None:
    """Checks that loading fails with one line that says so."""
    with pytest.raises(error, match=said) as info:
        load_image_folder(root, **options)  # type: ignore[arg-type]
    assert "\n" not in str(info.value)


def test_tree_of_splits_is_taken_as_it_is(tmp_path: Path) -> None:
    """train/, val/ and test/ are the splits; labels follow the sorted class folders, every example has its file."""
    write_tree(tmp_path, {"train/dog": 2, "train/cat": 1, "val/cat": 1, "val/dog": 1, "test/cat": 1, "test/dog": 2})
    raw = load_image_folder(tmp_path)
    assert raw.class_names == ("cat", "dog")
    assert files(raw.train) == ("train/cat/00.png", "train/dog/00.png", "train/dog/01.png")
    assert files(raw.validation) == ("val/cat/00.png", "val/dog/00.png")
    assert files(raw.test) == ("test/cat/00.png", "test/dog/00.png", "test/dog/01.png")
    assert raw.test.labels.tolist() == [0, 1, 1]
    for index, name in enumerate(raw.test.files):
        assert np.array_equal(everything(raw.test)[index], np.asarray(Image.open(tmp_path / name)))


def test_plain_tree_is_divided_by_class(tmp_path: Path) -> None:
    """Without splits a seeded fifth of each class is test, the rest train; a note says so."""
    write_tree(tmp_path, {"cat": 10, "dog": 5})
    raw, again, other = (load_image_folder(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert sorted(files(raw.train) + files(raw.test)) == sorted(
        str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")
    )
    assert np.bincount(raw.test.labels).tolist() == [2, 1]
    assert files(raw.test) == files(again.test) != files(other.test)
    assert raw.notes == ("test: 3 of the 15 images of the folder, stratified, seed 0",)


def test_plain_tree_with_validation_and_test_fractions(tmp_path: Path) -> None:
    """Both fractions are of the whole folder, and the three parts are disjoint."""
    write_tree(tmp_path, {"cat": 20, "dog": 20})
    raw = load_image_folder(tmp_path, test_split=0.5, validation_split=0.25)
    parts = [files(raw.train), files(raw.validation), files(raw.test)]
    assert [len(part) for part in parts] == [10, 10, 20]
    assert len(set().union(*parts)) == 40


def test_validation_split_of_a_train_folder(tmp_path: Path) -> None:
    """With train/ and test/ the fraction is taken out of train/, test/ is untouched."""
    write_tree(tmp_path, {"train/cat": 8, "train/dog": 4, "test/cat": 1, "test/dog": 1})
    raw = load_image_folder(tmp_path, validation_split=0.25)
    assert np.bincount(raw.validation.labels if raw.validation else []).tolist() == [2, 1]
    assert not set(files(raw.train)) & set(files(raw.validation))
    assert len(raw.test) == 2


def test_validation_folder_stands_for_a_missing_test_folder(tmp_path: Path) -> None:
    """train/ and validation/ alone: validation/ is reported on, and that is said."""
    write_tree(tmp_path, {"train/cat": 2, "train/dog": 2, "valid/cat": 1, "valid/dog": 1})
    raw = load_image_folder(tmp_path)
    assert files(raw.test) == ("valid/cat/00.png", "valid/dog/00.png")
    assert raw.validation is None
    assert raw.notes == ("test: the validation folder, as there is no test folder",)


def test_class_may_be_called_train(tmp_path: Path) -> None:
    """A folder "train" that holds images and no folders is a class like others."""
    write_tree(tmp_path, {"bus": 5, "train": 5})
    assert load_image_folder(tmp_path).class_names == ("bus", "train")


def test_classes_choose_and_order(tmp_path: Path) -> None:
    """`classes` gives the label order and leaves other folders out."""
    write_tree(tmp_path, {"test/cat": 1, "test/dog": 1, "test/eel": 1})
    raw = load_image_folder(tmp_path, classes=["eel", "cat"])
    assert raw.class_names == ("eel", "cat")
    assert files(raw.test) == ("test/eel/00.png", "test/cat/00.png")
    refused(DataError, "unknown class folder 'eeel': did you mean eel", tmp_path, classes=["cat", "eeel"])


def test_class_mode_binary_wants_two(tmp_path: Path) -> None:
    """Two classes are binary, three are not."""
    write_tree(tmp_path, {"test/cat": 1, "test/dog": 1, "test/eel": 1})
    assert len(load_image_folder(tmp_path, classes=["cat", "dog"], class_mode="binary").test) == 2
    refused(DataError, "class_mode=binary expects two classes, got 3", tmp_path, class_mode="binary")


def one_test_image(root: Path, name: str, content: bytes, **options: object) -> RawDataset:
    """A folder whose class `a` holds the file in question and class `b` a good one."""
    (root / "test" / "a").mkdir(parents=True, exist_ok=True)
    (root / "test" / "a" / name).write_bytes(content)
    write(root / "test" / "b" / "good.png", picture(1))
    return load_image_folder(root, **options)  # type: ignore[arg-type]


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale"])
def test_png_modes_become_what_pillow_says(tmp_path: Path, mode: str, color_mode: str) -> None:
    """One bit, grey, grey with alpha, palette, colour and colour with alpha become rgb or grayscale."""
    image = Image.fromarray(picture(3)).convert(mode)
    raw = one_test_image(tmp_path, "x.png", encoded(image), color_mode=color_mode)
    expected = np.asarray(image.convert({"rgb": "RGB", "grayscale": "L"}[color_mode])).reshape(6, 5, -1)
    assert np.array_equal(everything(raw.test)[0], expected)


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    """The colours under a transparent pixel stay."""
    pixels = np.dstack([picture(4), np.zeros((6, 5), np.uint8)])
    raw = one_test_image(tmp_path, "x.png", encoded(Image.fromarray(pixels)))
    assert np.array_equal(everything(raw.test)[0], pixels[..., :3])


def test_transparent_palette_raises_no_warning(tmp_path: Path) -> None:
    """A palette with transparency in bytes, about which Pillow warns, is read in silence with its colours."""
    image = Image.fromarray(picture(5)).quantize(8)
    raw = one_test_image(tmp_path, "x.png", encoded(image, transparency=bytes([0, 128, 255])))
    assert np.array_equal(everything(raw.test)[0], np.asarray(image.convert("RGB")))


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    """As in Keras, a camera's orientation mark does not turn the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = one_test_image(tmp_path, "x.jpg", encoded(Image.fromarray(picture(6)), "JPEG", exif=exif))
    assert everything(raw.test).shape == (2, 6, 5, 3)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file: length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG_OF_NO_WIDTH = (
    b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0))
    + png_chunk(b"IDAT", zlib.compress(b""))
    + png_chunk(b"IEND", b"")
)
GOOD = encoded(Image.fromarray(picture(0, (40, 40))))
BAD = {
    "empty.png": (b"", "empty file"),
    "text.png": (b"this is no picture\n", "not an image"),
    "cut.png": (GOOD[: len(GOOD) // 2], "truncated|broken"),
    "cut.jpg": (encoded(Image.fromarray(picture(0, (40, 40))), "JPEG")[:600], "[Tt]runcated"),
    "deep.png": (encoded(Image.fromarray(np.zeros((6, 5), np.uint16))), "pixel mode I;16"),
    "float.tif": (encoded(Image.fromarray(np.zeros((6, 5), np.float32)), "TIFF"), "pixel mode F"),
    "zero.png": (PNG_OF_NO_WIDTH, "of zero size"),
