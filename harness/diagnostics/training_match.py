"""Which views show a model what its training augmentation never did: the commonest reason why a view harms.

Geometry is compared by amount: what a training produced is a range for each quantity below. Changes of colour and tone
are compared by kind alone, and neither the order of a chain nor what lies beyond the border is compared.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.models.specs import augmentation_options
from harness.parameters import number, spec
from harness.transforms.base import Transform
from harness.views import IDENTITY, View

Ranges = Mapping[str, tuple[float, float]]
"""Quantity to the least and the largest amount that training produced; quantities it never touched are absent."""

_QUANTITIES = {
    "mirrored": "mirror images",
    "upended": "upside-down images",
    "degrees": "turns of {} to {} degrees",
    "across": "moves to the right of {} to {} of the width",
    "down": "moves down of {} to {} of the height",
    "shear_x": "shears of rows by {} to {} degrees",
    "shear_y": "shears of columns by {} to {} degrees",
    "zoom": "zooms of {} to {}",
}
_UNCHANGED = {"zoom": 1.0}  # the amount that changes nothing, where it is not zero
_RANDAUGMENT_COLOURS = frozenset(
    {"add", "brightness", "saturation", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize"}
)
_NAMED = 3  # labels in a sentence
_SLACK = 1e-6  # 4 pixels of 32 are 0.125 of the width, however they were divided


def unseen(
    views: Sequence[View], *, augmentation: str | None, options: Mapping[str, Any] | None = None, size: tuple[int, int]
) -> tuple[str, ...]:
    """One sentence for each kind of transform (and reason) that training never produced; none where it did all.

    A view is judged transform by transform. Crops are judged as on images of the model's input size: as a zoom and a
    shift; half a turn is two flips, too; a shear is one whatever its anchor.

    Args:
        views: identity may be among them.
        augmentation: the kind that the model was trained with; None where that is unknown, as for a foreign checkpoint.
        options: its parameters; those not given have their defaults.
        size: (H, W) of the model's input in pixels.

    Raises:
        ConfigError: for an unknown augmentation or parameter of one.
    """
    others = [view for view in dict.fromkeys(views) if view != IDENTITY]
    if not others:
        return ()
    if augmentation is None:
        return ("the model's training augmentation is unknown, so it may never have seen such views in training",)
    complete = augmentation_options(augmentation, options or {})
    if augmentation == "none":
        what = f"seen none of the {len(others)} views" if len(others) > 1 else f"not seen {others[0].name}"
        return (f"the model was trained without augmentation: it has {what} in training",)
    ranges = _RANGES[augmentation](complete)
    colours = _RANDAUGMENT_COLOURS if augmentation == "randaugment" else frozenset[str]()
    found: dict[tuple[str, str], list[str]] = {}
    for link in dict.fromkeys(link for view in others for link in view.transforms):
        if (reason := _reason(link, ranges, colours=colours, size=size)) is not None:
            found.setdefault((link.kind, reason), []).append(link.label())
    return tuple(
        f"views with {_listed(labels)}: training ({augmentation}) {reason}" for (_, reason), labels in found.items()
    )


def _reason(link: Transform, ranges: Ranges, *, colours: frozenset[str], size: tuple[int, int]) -> str | None:
    """Why a transform is none that training produced; None where it is one."""
    if link.kind in colours:
        return None
    amounts = list(_amounts(spec(link), size))
    if not amounts:
        return "never did that"
    if ("degrees", 180.0) in amounts and {"mirrored", "upended"} <= ranges.keys():
        return None
    if any(quantity not in ranges and amount != _UNCHANGED.get(quantity, 0.0) for quantity, amount in amounts):
        return "never did that"
    for quantity, amount in amounts:
        low, high = ranges.get(quantity, (amount, amount))
        if not low - _SLACK <= amount <= high + _SLACK:
            return f"made {_QUANTITIES[quantity].format(number(round(low, 3)), number(round(high, 3)))} only"
    return None


def _amounts(link: Mapping[str, Any], size: tuple[int, int]) -> Iterator[tuple[str, float]]:
    """What a transform changes, and by how much: both ends of what a random one may draw.

    Nothing where it is no geometry, or none that an augmentation of ours could produce.
    """
    h, w = size
    match link:
        case {"kind": "horizontal_flip"}:
            yield "mirrored", 1.0
        case {"kind": "vertical_flip"}:
            yield "upended", 1.0
        case {"kind": "random_flip", "horizontal": horizontal, "vertical": vertical}:
            yield from _flips(horizontal, vertical)
        case {"kind": "rotate90", "turns": turns}:
            yield "degrees", {1: 90.0, 2: 180.0, 3: -90.0}[turns]
        case {"kind": "rotate", "degrees": degrees}:
            yield "degrees", degrees
        case {"kind": "shift", "unit": "fraction", "dx": dx, "dy": dy}:
            yield from (("across", dx), ("down", dy))
        case {"kind": "shift" | "pad_crop", "dx": dx, "dy": dy}:
            yield from (("across", dx / w), ("down", dy / h))
        case {"kind": "random_crop", "pad": pad}:
            yield from (*_both("across", pad / w), *_both("down", pad / h))
        case {"kind": "shear", "degrees": degrees, "axis": axis}:
            yield f"shear_{axis}", degrees
        case {"kind": "zoom", "factor": factor}:
            yield "zoom", factor
        case {"kind": "crop", "position": position, "fraction": fraction}:
            yield from _window(position, fraction)
        case {"kind": "random_affine"}:
            yield from _affine(link, size)


def _flips(horizontal: bool, vertical: bool) -> Iterator[tuple[str, float]]:
    yield from ((name, 1.0) for name, wanted in (("mirrored", horizontal), ("upended", vertical)) if wanted)


def _both(quantity: str, most: float) -> Iterator[tuple[str, float]]:
    yield from ((quantity, -most), (quantity, most)) if most else ()


def _window(position: str, fraction: float) -> Iterator[tuple[str, float]]:
    """A window enlarged to the whole: a zoom, and for a corner a move of the content away from it."""
    yield "zoom", 1 / fraction
    if position != "center":
        vertical, horizontal = position.split("_")
        move = (1 - fraction) / (2 * fraction)
        yield "across", move if horizontal == "left" else -move
        yield "down", move if vertical == "top" else -move


def _affine(link: Mapping[str, Any], size: tuple[int, int]) -> Iterator[tuple[str, float]]:
    h, w = size
    width, height = link["width_shift_range"], link["height_shift_range"]
    yield from _both("degrees", link["rotation_range"])
    yield from _both("across", width if width < 1 else width / w)
    yield from _both("down", height if height < 1 else height / h)
    yield from _both("shear_x", link["shear_range"])
    if link["zoom_range"]:
        yield from (("zoom", 1 / (1 + link["zoom_range"])), ("zoom", 1 / (1 - link["zoom_range"])))
    yield from _flips(link["horizontal_flip"], link["vertical_flip"])


def _flip(options: Mapping[str, Any]) -> Ranges:
    return {name: (0.0, 1.0) for name, _ in _flips(options["horizontal"], options["vertical"])}


def _shift_flip(options: Mapping[str, Any]) -> Ranges:
    shift = (-options["shift"], options["shift"])
    return {"across": shift, "down": shift, **_flip({**options, "vertical": False})}


def _tutorial(options: Mapping[str, Any]) -> Ranges:
    """Keras' zoom is of the inverse map; it makes each shear with either sign."""
    found = {
        "degrees": options["rotation_range"],
        "across": options["width_shift_range"],
        "down": options["height_shift_range"],
        "shear_x": options["shear_range"],
    }
    ranges = {quantity: (-most, most) for quantity, most in found.items() if most}
    if zoom := options["zoom_range"]:
        ranges["zoom"] = (1 / (1 + zoom), 1 / (1 - zoom))
    flips = {"horizontal": options["horizontal_flip"], "vertical": options["vertical_flip"]}
    return {**ranges, **_flip(flips)}


def _randaugment(options: Mapping[str, Any]) -> Ranges:
    """Keras' layer turns and moves in one direction only: its factor is a range from zero, not about zero."""
    factor = options["factor"]
    lean = math.degrees(math.atan(factor))
    one_way = {"degrees": (0.0, 360 * factor), "across": (0.0, factor), "down": (0.0, factor)}
    return {**one_way, "shear_x": (-lean, lean), "shear_y": (-lean, lean)}


_RANGES = {"flip": _flip, "shift_flip": _shift_flip, "tutorial": _tutorial, "randaugment": _randaugment}


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - _NAMED
    return ", ".join(labels[:_NAMED]) + (f" and {more} more" if more > 0 else "")
