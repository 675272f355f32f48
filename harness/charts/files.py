"""Charts as files: PNG and SVG of the pictures, and the library that draws them in a browser; the door to vl-convert."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert

from harness.charts.picture import CONFIG, Picture
from harness.errors import StoreError
from harness.files import make_folder, write_atomically

WIDTH = 640  # pixels of the drawing, without names and legends
SCALE = 2  # pixels of a PNG for each of the picture


def write_pictures(pictures: Sequence[Picture], folder: Path) -> None:
    """Writes `<name>.svg` and `<name>.png` of each, on white, with the finding as their title.

    Raises:
        StoreError: where the folder cannot be written.
    """
    make_folder(folder)
    for one in pictures:
        svg = as_svg(one)
        # The text is drawn by the same library that measured it.
        png = vl_convert.svg_to_png(svg, scale=SCALE)
        write_atomically(folder / f"{one.name}.svg", lambda stream, svg=svg: stream.write(svg.encode()))
        write_atomically(folder / f"{one.name}.png", lambda stream, png=png: stream.write(png))


def as_svg(one: Picture, *, width: int = WIDTH) -> str:
    """The picture with its title as SVG text."""
    spec = {**one.spec, "width": width, "title": _wrapped(one.title, width), "config": {**CONFIG, "background": "white"}}
    spec["padding"] = 12
    return str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))


def javascript(cache: Path) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, kept below `cache`: to bundle them takes seconds."""
    path = cache / "page" / f"vega-{vl_convert.__version__}.js"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = str(vl_convert.javascript_bundle())
    try:
        make_folder(path.parent)
        write_atomically(path, lambda stream: stream.write(text.encode()))
    except StoreError:
        # A cache that cannot be written costs time only.
        return text
    return text


def _wrapped(title: str, width: int) -> list[str]:
    """The title in lines of about the picture's width."""
    lines, most = [""], max(20, round(width / 7))
    for word in title.split():
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < most else [lines[-1], word]
    return lines


