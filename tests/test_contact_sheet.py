"""The picture of the views: which images, which pixels, how it is laid out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from harness.contact_sheet import (
    GAP,
    LARGEST,
    PAPER,
    WIDTH,
    _folded,
    draw_contact_sheet,
    sample_places,
    write_contact_sheet,
)
from harness.errors import DataError
from harness.transforms.flips import HorizontalFlip
from harness.transforms.geometric import Shift
from harness.types import ArrayImages, Split
from harness.views import IDENTITY, View

HFLIP = View((HorizontalFlip(),))


def split(*, side: int, channels: int = 1, count: int = 12, classes: tuple[str, ...] = ("a", "b", "c")) -> Split:
    """Random images."""
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)
    return Split("test", ArrayImages(images), np.arange(count) % len(classes), classes, "d" * 64)


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [0, 4]), (3, [0, 2, 4]), (5, [0, 1, 2, 3, 4])])
def test_images_are_spread_over_the_classes(count: int, expected: list[int]) -> None:
    """Fewer images than classes: classes evenly apart; as many: each once."""
    labels = np.repeat(np.arange(5), 10)
    assert labels[sample_places(labels, count=count, seed=0)].tolist() == expected


def test_more_images_than_classes_take_turns() -> None:
    """Seven of three classes are 3 + 2 + 2, in the order of the classes; no image twice, no more than there are."""
    labels = np.array([0, 1, 1, 2] * 6)
    places = sample_places(labels, count=7, seed=0)
    assert np.bincount(labels[places]).tolist() == [3, 2, 2]
    assert (np.diff(labels[places]) >= 0).all()
    assert sorted(sample_places(labels, count=99, seed=0)) == list(range(24))


def test_the_choice_is_seeded() -> None:
    """One seed, one choice; another seed, another."""
    labels = np.zeros(1000, np.int64)
    first, again, other = (sample_places(labels, count=5, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def cells(sheet: Image.Image, side: int, *, rows: int, columns: int) -> np.ndarray:
    """The cells `[rows, columns, side, side, 3]` of a sheet of one band, found from its right and lower edge."""
    pixels = np.asarray(sheet)
    step = side + GAP
    bottom, right = sheet.height - 2 * GAP + GAP // 2, sheet.width - GAP
    return np.stack(
        [
            [
                pixels[bottom - (rows - row) * step : bottom - (rows - row) * step + side,
                       right - (columns - column) * step + GAP : right - (columns - column) * step + GAP + side]
                for column in range(columns)
            ]
            for row in range(rows)
        ]
    )  # fmt: skip


def test_small_images_are_enlarged_by_a_whole_number() -> None:
    """28 pixels become 112, each a square of four by four; the second column is the first one mirrored.

    The outermost pixels of a cell are its outline.
    """
    sheet = draw_contact_sheet(split(side=28), [IDENTITY, HFLIP], size=(28, 28), images=3)
    found = cells(sheet, 112, rows=3, columns=2)
    np.testing.assert_array_equal(found[:, 1, 1:-1, 1:-1], found[:, 0, 1:-1, 1:-1][:, :, ::-1])
    blocks = found[:, 0].reshape(3, 28, 4, 28, 4, 3)[:, 1:-1, :, 1:-1]
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    places = sample_places(split(side=28).labels, count=3, seed=0)
    np.testing.assert_array_equal(blocks[:, :, 0, :, 0, 0], split(side=28).images.read(places)[:, 1:-1, 1:-1, 0])


def test_large_images_are_reduced_and_many_views_go_into_bands() -> None:
    """24 views of 224 pixels: no sheet is wider than its limit, and three bands are about three times one."""
    views = [IDENTITY, *(View((Shift(dx=dx, dy=0),)) for dx in range(1, 24))]
    data = split(side=224, channels=3)
    one = draw_contact_sheet(data, views[:5], size=(224, 224), images=2)
    many = draw_contact_sheet(data, views, size=(224, 224), images=2)
    assert max(one.width, many.width) <= WIDTH
    assert one.height >= 2 * LARGEST
    assert many.height == 3 * (one.height - GAP) + GAP


def test_views_of_another_size_than_the_images() -> None:
    """Images that are larger than the model's input are shown as it sees them: their centre."""
    sheet = draw_contact_sheet(split(side=40), [IDENTITY], size=(28, 28), images=1)
    (place,) = sample_places(split(side=40).labels, count=1, seed=0)
    centre = split(side=40).images.read(np.array([place]))[0, 6:34, 6:34, 0]
    found = cells(sheet, 112, rows=1, columns=1)[0, 0, ::4, ::4, 0]
    np.testing.assert_array_equal(found[1:-1, 1:-1], centre[1:-1, 1:-1])


def test_long_names_are_folded_and_keep_their_end() -> None:
    """No line is wider than its column; what does not fit is left out in the middle, for the end tells copies apart."""
    font = ImageFont.load_default(12)
    name = "random_affine(rotation_range=10,width_shift_range=0.1,height_shift_range=0.1,copy=17)"
    lines = _folded(name, font, 112, lines=3)
    assert len(lines) == 3
    assert max(font.getlength(line) for line in lines) <= 112
    assert lines[0].startswith("random_affine") and lines[2].startswith("…") and lines[2].endswith("copy=17)")
    assert _folded("random_flip(copy=3)", font, 90, lines=3) == ["random_flip", "(copy=3)"]


def test_odd_class_names() -> None:
    """Empty, very long and foreign names do not stop it, nor widen the sheet without end."""
    names = ("", "a class with a very long name that goes on " * 5, "猫 ünïcode\n")
    sheet = draw_contact_sheet(split(side=28, classes=names), [IDENTITY], size=(28, 28), images=3)
    assert sheet.width < 300
    assert sheet.getpixel((sheet.width - 1, 0)) == PAPER


def test_written_whole(tmp_path: Path) -> None:
    """A PNG in a folder that is made; where a view does not fit, the error says so and nothing is written."""
    path = tmp_path / "plots" / "views.png"
    with pytest.raises(DataError, match="smaller than the model's input"):
        write_contact_sheet(path, split(side=8), [IDENTITY], size=(9, 9), images=2)
    assert list(path.parent.iterdir()) == []
    write_contact_sheet(path, split(side=8), [IDENTITY], size=(8, 8), images=2)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    assert [file.name for file in path.parent.iterdir()] == ["views.png"]


def test_show(harness: Any, tiny: tuple[str, ...]) -> None:
    """`show` writes the picture, says where it is and of what, and needs no model: nothing else is made."""
    answer = harness("show", *tiny, "tta=[hflip,d4]", "seed=77", "--output", "pictures/v.png", "--images", "2")
    assert (answer.code, "pictures/v.png: 2 images of" in answer.out, "8 views" in answer.out) == (0, True, True)
    with Image.open("pictures/v.png") as picture:
        assert picture.height > 2 * 112
    assert not Path("results").exists()
    assert not Path("mlflow.db").exists()


@pytest.mark.parametrize("arguments", [("--output", "views.jpg"), ("--output", "."), ("--images", "0")])
def test_show_refuses(harness: Any, tiny: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    """A file that is no PNG and no images are one line."""
    answer = harness("show", *tiny, *arguments)
    assert (answer.code, arguments[0] in answer.error) == (2, True)


def test_views_left_out_are_named(harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more views than fit, those that are not shown are listed."""
    from harness.commands import show

    monkeypatch.setattr(show, "MOST_VIEWS", 3)
    answer = harness("show", *tiny, "tta=d4")
    assert "3 views, identity first" in answer.out
    (line,) = [line for line in answer.out.splitlines() if line.startswith("left out: ")]
    assert len(line.removeprefix("left out: ").split(", ")) == 8 - 3
