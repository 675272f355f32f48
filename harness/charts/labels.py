"""Where names go beside points, so that no name covers another one, a point, or the border."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CHARACTER, LINE = 6.0, 13.0  # pixels, about, of a letter and a line at font size 11
LONGEST = 36  # characters of a name; the rest is left to the hover

Align = Literal["left", "center", "right"]
Baseline = Literal["top", "middle", "bottom"]
Box = tuple[float, float, float, float]

PLACES: tuple[tuple[int, int, Align, Baseline], ...] = (
    (0, -1, "center", "bottom"),
    (0, 1, "center", "top"),
    (1, -1, "left", "bottom"),
    (1, 1, "left", "top"),
    (-1, -1, "right", "bottom"),
    (-1, 1, "right", "top"),
    (1, 0, "left", "middle"),
    (-1, 0, "right", "middle"),
)


@dataclass(frozen=True)
class Label:
    """A name in its place: which of the points it belongs to, its text, and how it is set beside the point."""

    place: int
    text: str
    align: Align
    baseline: Baseline
    dx: int
    dy: int
    box: Box


def placed(
    named: Sequence[tuple[float, float, str]], *, dots: Sequence[tuple[float, float]], size: tuple[float, float]
) -> list[Label]:
    """Labels for points (x, y, name) in pixels, the first ones first; a name without room anywhere is left out.

    Args:
        named: the points to be named; y grows downwards.
        dots: every point that is drawn.
        size: width and height of the picture.
    """
    taken: list[Box] = []
    labels = []
    for place, (x, y, name) in enumerate(named):
        text = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        # In a crowd a name may cover points, never another name.
        tries = [_label(place, x, y, text, step, spot) for step in (9, 18, 30) for spot in PLACES]
        free = [one for one in tries if _inside(one.box, size) and not any(_meet(one.box, other) for other in taken)]
        clear = [one for one in free if not any(_holds(one.box, dot) for dot in dots)]
        best = next(iter([*clear, *free]), None)
        if best is not None:
            taken.append(best.box)
            labels.append(best)
    return labels


def _label(place: int, x: float, y: float, text: str, step: int, spot: tuple[int, int, Align, Baseline]) -> Label:
    across, down, align, baseline = spot
    dx, dy = step * across, step * down
    width = CHARACTER * len(text)
    left = x + dx - {"left": 0.0, "center": width / 2, "right": width}[align]
    top = y + dy - {"top": 0.0, "middle": LINE / 2, "bottom": LINE}[baseline]
    return Label(place, text, align, baseline, dx, dy, (left, top, left + width, top + LINE))


def _inside(box: Box, size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _holds(box: Box, dot: tuple[float, float]) -> bool:
    margin = 3.0
    return box[0] - margin < dot[0] < box[2] + margin and box[1] - margin < dot[1] < box[3] + margin
