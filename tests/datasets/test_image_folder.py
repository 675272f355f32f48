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
}


@pytest.mark.parametrize("name", BAD)
def test_bad_image_is_named_with_its_reason(tmp_path: Path, name: str) -> None:
    """Empty, foreign, cut, deep and zero-size images are each named, and the way out is given."""
    content, why = BAD[name]
    with pytest.raises(DataError, match=f"1 of 2 images cannot be used: test/a/{name} .*({why}).*=skip") as info:
        one_test_image(tmp_path, name, content)
    assert "\n" not in str(info.value)


def test_skip_leaves_bad_images_out_and_lists_them(tmp_path: Path) -> None:
    """With on_bad_image=skip the good ones stay in order; the note counts all and names five."""
    write_tree(tmp_path, {"test/a": 2, "test/b": 2})
    for number in range(7):
        (tmp_path / "test" / "a" / f"01-{number}.png").write_bytes(b"x")
    raw = load_image_folder(tmp_path, on_bad_image="skip")
    assert files(raw.test) == ("test/a/00.png", "test/a/01.png", "test/b/00.png", "test/b/01.png")
    assert raw.notes[0].startswith("7 of 11 images cannot be used and are skipped: test/a/01-0.png (not an image")
    assert raw.notes[0].endswith("and 2 more")


def test_keras_slice_counts_files_before_bad_ones_are_skipped(tmp_path: Path) -> None:
    """A bad file keeps its place in the keras slice, so that the others stay on the side where Keras has them."""
    write_tree(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "a" / "00.png").write_bytes(b"x")
    raw = load_image_folder(tmp_path, split_rule="keras", validation_split=0.5, on_bad_image="skip")
    assert files(raw.test) == ("a/01.png", "b/00.png", "b/01.png")
    assert files(raw.train) == ("a/02.png", "a/03.png", "b/02.png", "b/03.png")


def test_class_of_bad_images_only_is_refused(tmp_path: Path) -> None:
    """Skipping may not empty a class in silence."""
    with pytest.raises(DataError, match="class 'a' has no usable image in test"):
        one_test_image(tmp_path, "x.png", b"x", on_bad_image="skip")


def test_empty_class_folder_is_named(tmp_path: Path) -> None:
    """A class folder without images is an error that names it and what it holds instead."""
    write_tree(tmp_path, {"test/cat": 1, "test/dog": 1})
    (tmp_path / "test" / "eel").mkdir()
    refused(DataError, r"class folder without an image: .*test/eel;", tmp_path)
    (tmp_path / "test" / "eel" / "e.webp").write_bytes(b"x")
    refused(DataError, r"test/eel \(only test/eel/e\.webp\)", tmp_path)


def test_hidden_files_are_ignored_and_others_counted(tmp_path: Path) -> None:
    """.DS_Store, Thumbs.db, ._x.png and hidden folders are passed over; a text file is counted and named."""
    write_tree(tmp_path, {"test/cat": 1, "test/dog": 1})
    for name in (".DS_Store", "Thumbs.db", "._00.png", "read.me"):
        (tmp_path / "test" / "cat" / name).write_bytes(b"x")
    (tmp_path / "test" / ".ipynb_checkpoints").mkdir()
    raw = load_image_folder(tmp_path)
    assert raw.class_names == ("cat", "dog")
    assert raw.notes == ("files in class folders without an image extension, left out: 1 (test/cat/read.me)",)


def test_class_that_train_lacks_is_refused_and_one_that_test_lacks_is_noted(tmp_path: Path) -> None:
    """Labels come from train's folders: test may lack one (said), but not add one."""
    write_tree(tmp_path, {"train/a": 2, "train/b": 2, "train/c": 2, "test/a": 1, "test/c": 1})
    raw = load_image_folder(tmp_path)
    assert raw.test.labels.tolist() == [0, 2]
    assert raw.notes == ("classes without a folder in test: 1 (b)",)
    write_tree(tmp_path, {"test/d": 1})
    refused(DataError, r"expected the classes of train \(3\), got 'd' too", tmp_path)


def test_sizes_must_agree_or_be_given(tmp_path: Path) -> None:
    """Without target_size the images share one size; else two files are named with theirs."""
    write_tree(tmp_path, {"test/cat": 1, "test/dog": 1})
    assert load_image_folder(tmp_path).test.images.shape == (6, 5, 3)
    write(tmp_path / "test" / "dog" / "big.png", picture(9, (8, 7)))
    refused(DataError, r"test/cat/00.png is 6×5 and test/dog/big.png is 8×7; give dataset.target_size", tmp_path)
    assert load_image_folder(tmp_path, target_size=(4, 3)).test.images.shape == (4, 3, 3)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "lanczos"])
def test_resize_is_pillows(tmp_path: Path, interpolation: str) -> None:
    """target_size is (height, width), by the interpolation named."""
    write_tree(tmp_path, {"test/cat": 1, "test/dog": 1})
    raw = load_image_folder(tmp_path, target_size=(9, 4), interpolation=interpolation)
    image = Image.open(tmp_path / raw.test.files[1])
    expected = np.asarray(image.resize((4, 9), Image.Resampling[interpolation.upper()]))
    assert np.array_equal(everything(raw.test)[1], expected)


def test_read_holds_only_what_is_asked_and_in_that_order(tmp_path: Path) -> None:
    """Reading decodes the files asked for and no others, so that memory is flat in N."""
    write_tree(tmp_path, {"test/cat": 3, "test/dog": 3})
    test = load_image_folder(tmp_path).test
    whole = everything(test)
    for name in test.files[:4]:
        (tmp_path / name).unlink()
    assert not test.images.in_memory
    assert np.array_equal(test.images.read(np.array([5, 4, 5])), whole[[5, 4, 5]])
    assert test.images.read(np.array([], np.int64)).shape == (0, 6, 5, 3)
    with pytest.raises(DataError, match=r"test/cat/00\.png: cannot be read any more"):
        test.images.read(np.array([0]))


def test_subsets_of_a_folder_stay_on_disk(tmp_path: Path) -> None:
    """The train part of a plain tree reads through to its own files."""
    write_tree(tmp_path, {"cat": 5, "dog": 5})
    raw = load_image_folder(tmp_path)
    assert raw.train is not None
    assert isinstance(raw.train.images, FolderImages)
    part = raw.train.subset(np.array([1, 6]))
    assert not part.images.in_memory
    assert np.array_equal(everything(part)[1], np.asarray(Image.open(tmp_path / part.files[1])))


def test_digest_sees_one_pixel_and_the_loading(tmp_path: Path) -> None:
    """One pixel of one file, the size or the colour mode give another digest; reading again gives the same."""
    write_tree(tmp_path, {"test/cat": 2, "test/dog": 2})
    first, again = load_image_folder(tmp_path).test.digest(), load_image_folder(tmp_path).test.digest()
    others = [
        load_image_folder(tmp_path, target_size=(3, 3)).test.digest(),
        load_image_folder(tmp_path, color_mode="grayscale").test.digest(),
    ]
    pixels = picture(1)
    pixels[0, 0, 0] ^= 1
    write(tmp_path / "test" / "cat" / "01.png", pixels)
    others.append(load_image_folder(tmp_path).test.digest())
    assert first == again
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"color_mode": "rgba"}, "unknown color_mode 'rgba'"),
        ({"class_mode": "input"}, "unknown class_mode"),
        ({"interpolation": "bilinea"}, "did you mean bilinear"),
        ({"split_rule": "random"}, "unknown split_rule"),
        ({"on_bad_image": "ignore"}, "unknown on_bad_image"),
        ({"target_size": (0, 3)}, "target_size is"),
        ({"test_split": 0.6, "validation_split": 0.4}, "leave no train images"),
        ({"split_rule": "keras"}, "divides .* by dataset.validation_split"),
        ({"split_rule": "keras", "validation_split": 0.2, "test_split": 0.2}, "without test_split"),
        ({"split_rule": "keras", "validation_split": 1.5}, "must lie in"),
        ({"test_split": 1.0}, "leave no train images"),
        ({"test_split": 0.0}, "between 0 and 1"),
        ({"validation_split": -0.1}, "between 0 and 1"),
    ],
)
def test_unfit_options_are_one_line(tmp_path: Path, options: dict[str, object], said: str) -> None:
    """Unknown names and contradictions are mistakes in the configuration."""
    write_tree(tmp_path, {"cat": 5, "dog": 5})
    refused(ConfigError, said, tmp_path, **options)


def test_fractions_against_folders_are_refused(tmp_path: Path) -> None:
    """A fraction for a split that has its folder already contradicts the folder."""
    write_tree(tmp_path, {f"{split}/{name}": 1 for split in ("train", "val", "test") for name in "ab"})
    refused(ConfigError, "has a folder for test already", tmp_path, test_split=0.2)
    refused(ConfigError, "has a folder for validation already", tmp_path, validation_split=0.2)


def test_places_that_are_no_class_tree(tmp_path: Path) -> None:
    """Nothing there, a file, one class only, and images without class folders are each one line."""
    refused(DataError, "expected a folder, found nothing", tmp_path / "none")
    write(tmp_path / "flat" / "x.png", picture(0))
    refused(DataError, "expected a folder, found a file", tmp_path / "flat" / "x.png")
    refused(DataError, "expected a folder per class, at least two, got 0", tmp_path / "flat")
