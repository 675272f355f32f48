"""A contact sheet: sample images as rows, what each view makes of them as columns.

Small images are enlarged by a whole number, each pixel a square; large ones are reduced. Views that do not fit side by
side go into further bands below. Nothing here knows a model: a view needs the size of its input only.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.files import make_folder, write_bytes
from harness.types import Split
from harness.views import View

CELL = 112  # pixels that small images are enlarged to, about
LARGEST = 168  # pixels that large ones are reduced to
WIDTH = 1600  # of the sheet, at most
GAP = 6
NAME_LINES = 3
FONT_SIZE = 12
LABEL_WIDTH = 120
INK, EDGE, PAPER = (30, 30, 30), (200, 200, 200), (255, 255, 255)


def sample_places(labels: np.ndarray, *, count: int, seed: int) -> np.ndarray:
    """Places `[n]` int64 of `count` examples, spread evenly over the classes of `labels [N]`; fewer where N is.

    With fewer images than classes the classes lie evenly apart; with more, each class gets another in turn.
    """
    stream = np.random.default_rng(seed)
    classes = np.unique(labels)
    turns = {label: list(stream.permutation(np.flatnonzero(labels == label))) for label in classes}
    if count < len(classes):
        classes = classes[np.linspace(0, len(classes) - 1, count).round().astype(np.int64)]
    places: list[int] = []
    while len(places) < min(count, len(labels)):
        places += [int(turns[label].pop()) for label in classes if turns[label]][: count - len(places)]
    order = np.argsort(labels[places], kind="stable")
    return np.asarray(places, np.int64)[order]


def draw_contact_sheet(
    split: Split, views: Sequence[View], *, size: tuple[int, int], images: int, seed: int = 0
) -> Image.Image:
    """The sheet of `images` examples of a split under each of `views`, with names.

    Args:
        split: where the examples come from.
        views: the columns, in order.
        size: (H, W) of the model's input.
        images: rows.
        seed: of the choice of examples.

    Raises:
        DataError: where a view does not fit the images.
    """
    places = sample_places(split.labels, count=images, seed=seed)
    raw = split.images.read(places)
    columns = [[_cell(pixels) for pixels in view(raw, places, size=size)] for view in views]
    names = [split.class_names[label] for label in split.labels[places]]
    return _Sheet(columns, [view.name for view in views], names).draw()


def write_contact_sheet(
    path: Path, split: Split, views: Sequence[View], *, size: tuple[int, int], images: int, seed: int = 0
) -> None:
    """Writes the sheet as PNG, whole or not at all.

    Raises:
        StoreError: where it cannot be written. DataError: as `draw_contact_sheet`.
    """
    make_folder(path.parent)
    stream = io.BytesIO()
    draw_contact_sheet(split, views, size=size, images=images, seed=seed).save(stream, "PNG")
    write_bytes(path, stream.getvalue())


def _cell(pixels: np.ndarray) -> Image.Image:
    """A model input `[H, W, channels]` in [0, 255] as a picture of a size to look at."""
    bytes_ = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    picture = Image.fromarray(bytes_[..., 0] if bytes_.shape[-1] == 1 else bytes_).convert("RGB")
    longest = max(picture.size)
    if longest <= CELL:
        factor = max(1, round(CELL / longest))
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture


class _Sheet:
    """Cells of one size in bands, with the views' names above each band and the class names at the left."""

    def __init__(self, columns: Sequence[Sequence[Image.Image]], views: Sequence[str], classes: Sequence[str]) -> None:
        self.columns, self.classes = columns, classes
        self.width, self.height = columns[0][0].size
        self.font = ImageFont.load_default(FONT_SIZE)
        self.line = FONT_SIZE + 3
        self.label = min(LABEL_WIDTH, max(int(self.font.getlength(name)) for name in classes) + 1)
        self.names = [_folded(name, self.font, self.width, lines=NAME_LINES) for name in views]
        self.across = max(1, (WIDTH - self.label - GAP) // (self.width + GAP))

    def draw(self) -> Image.Image:
        bands = [range(len(self.columns))[start : start + self.across]
                 for start in range(0, len(self.columns), self.across)]  # fmt: skip
        heights = [self._band_height(band) for band in bands]
        across = min(self.across, len(self.columns))
        width = GAP + self.label + GAP + across * (self.width + GAP)
        sheet = Image.new("RGB", (width, GAP + sum(heights)), PAPER)
        top = GAP
        for band, height in zip(bands, heights, strict=True):
            self._draw_band(sheet, band, top=top)
            top += height
        return sheet

    def _name_height(self, band: Sequence[int]) -> int:
        return self.line * max(len(self.names[column]) for column in band)

    def _band_height(self, band: Sequence[int]) -> int:
        return self._name_height(band) + GAP + len(self.classes) * (self.height + GAP) + GAP

    def _draw_band(self, sheet: Image.Image, band: Sequence[int], *, top: int) -> None:
        pen, names = ImageDraw.Draw(sheet), self._name_height(band)
        first_row = top + names + GAP // 2
        for row, name in enumerate(self.classes):
            lines = _folded(name, self.font, self.label, lines=NAME_LINES)
            middle = first_row + row * (self.height + GAP) + (self.height - len(lines) * self.line) // 2
            self._write(pen, lines, left=GAP, top=middle)
        for place, column in enumerate(band):
            left = GAP + self.label + GAP + place * (self.width + GAP)
            lines = self.names[column]
            self._write(pen, lines, left=left, top=top + names - len(lines) * self.line)
            for row, cell in enumerate(self.columns[column]):
                corner = left, first_row + row * (self.height + GAP)
                sheet.paste(cell, corner)
                pen.rectangle((*corner, corner[0] + self.width - 1, corner[1] + self.height - 1), outline=EDGE)

    def _write(self, pen: ImageDraw.ImageDraw, lines: Sequence[str], *, left: int, top: int) -> None:
        for number, line in enumerate(lines):
            pen.text((left, top + number * self.line), line, fill=INK, font=self.font)


def _folded(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, *, lines: int) -> list[str]:
    """The text in at most so many lines of so many pixels; of what does not fit the last line holds the end.

    Broken before `(` or after `+`, `_`, `,` or a blank where there is one in the second half of a line, else anywhere.
    """
    found: list[str] = []
    while text and len(found) < lines:
        fits = len(text)
        while fits > 1 and font.getlength(text[:fits]) > width:
            fits -= 1
        if fits < len(text):
            places = [place for place in range(fits, fits // 2, -1) if text[place - 1] in "+_, " or text[place] == "("]
            fits = places[0] if places else fits
        found.append(text[:fits].strip())
        text = text[fits:].lstrip()
    if text:  # its end tells copies apart, its beginning the kind
        ending = f"{found[-1]}{text}"
        while ending and font.getlength(f"…{ending}") > width:
            ending = ending[1:]
        found[-1] = f"…{ending}"
    return found
