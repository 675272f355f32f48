"""PNG and SVG of the pictures, and the library that draws them in a browser: the door to vl-convert."""

import contextlib
import importlib.metadata
import textwrap
from collections.abc import Sequence
from pathlib import Path

import vl_convert

from harness.charts.picture import CONFIG, Picture
from harness.errors import StoreError
from harness.files import make_folder, write_bytes

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
        write_bytes(folder / f"{one.name}.svg", svg.encode())
        write_bytes(folder / f"{one.name}.png", vl_convert.svg_to_png(svg, scale=SCALE))


def as_svg(one: Picture, *, width: int = WIDTH) -> str:
    """The picture with its title as SVG text."""
    spec = {
        **one.spec,
        "width": width,
        "title": _wrapped(one.title, width),
        "config": {**CONFIG, "background": "white"},
    }
    spec["padding"] = 12
    return str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))


def javascript(cache: Path) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, kept below `cache`: to bundle them takes seconds."""
    path = cache / "page" / f"vega-{importlib.metadata.version('vl-convert-python')}.js"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    # A cache that cannot be written costs time only.
    with contextlib.suppress(StoreError):
        make_folder(path.parent)
        write_bytes(path, text.encode())
    return text


def _wrapped(title: str, width: int) -> list[str]:
    """The title in lines of about the picture's width."""
    return textwrap.wrap(title, max(20, round(width / 7)), break_long_words=False)
