"""What a transform is, what its parameters may be, and how it is written down.

Letters: n examples of a batch, h and w the images' height and width.
"""

import dataclasses
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Protocol, get_args, get_origin, get_type_hints

import numpy as np


@dataclass(frozen=True)
class Range:
    """The finite numbers between two ends, each of which belongs to the range unless it is open."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low < value if self.open_low else self.low <= value
        below = value < self.high if self.open_high else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{left}{number(self.low)}, {number(self.high)}{right}"


class Transform(Protocol):
    """One image operation: a frozen dataclass whose fields are its parameters.

    A subclass declares `kind` and its fields, and is found by its kind. A field's range stands in its annotation,
    `Annotated[float, Range(0, 1)]`, and is checked when the transform is made. The pixels of an example depend on
    the example alone, never on the batch it came in, its place there, or the process.

    Attributes:
        kind: the name in configurations, snake_case.
        resizes: True where the result may be smaller and is to be resized, rather than cropped, to the input size.
        needs_rgb: True where the operation means something for three colour channels only.

    Raises:
        ValueError: at construction, for a parameter out of its range.
    """

    kind: ClassVar[str]
    resizes: ClassVar[bool] = False
    needs_rgb: ClassVar[bool] = False
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        for name, hint in hints(type(self)).items():
            if not permits(hint, getattr(self, name)):
                raise ValueError(refusal(name, hint, given=getattr(self, name)))

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 in [0, 255] to `[n, h2, w2, channels]` of the same kind.

        `indices [n]` int64 are the examples' places in their split: what random transforms are keyed by.
        The input is never changed; the result may be a view of it.
        """
        ...

    def is_identity(self) -> bool:
        """True when the parameters make this a no-op, so that views leave it out."""
        return False

    def label(self) -> str:
        """Short name for people: required parameters, then others that differ from their default."""
        parts = []
        for field in parameters(type(self)):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING:
                parts.append(number(value))
            elif value != field.default:
                parts.append(f"{field.name}={number(value)}")
        return f"{self.kind}({','.join(parts)})" if parts else self.kind


def spec(transform: Transform) -> dict[str, Any]:
    """A transform as plain data: its kind and every parameter, with one spelling for one value (10 is 10.0)."""
    values = {name: getattr(transform, name) for name in hints(type(transform))}
    plain = {name: _plain(value, hints(type(transform))[name]) for name, value in values.items()}
    return {"kind": transform.kind, **plain}


def parameters(cls: type[Transform]) -> list[dataclasses.Field[Any]]:
    """The fields of a transform's class: those without a default first, keyword-only ones last."""
    return sorted(dataclasses.fields(cls), key=lambda field: (field.default is not dataclasses.MISSING, field.kw_only))


@lru_cache(maxsize=256)
def hints(cls: type[Transform]) -> dict[str, Any]:
    """Parameter name to annotation, ranges included, for every field of a transform's class."""
    every = get_type_hints(cls, include_extras=True)
    return {field.name: every[field.name] for field in dataclasses.fields(cls)}


def permits(hint: Any, value: Any) -> bool:
    """True when a value lies in the range, or among the choices, that its annotation names."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    return all(value in extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Range))


def allowed(hint: Any) -> str:
    """What an annotation allows, in words: `a number in [0, 1]`, `one of nearest, bilinear`."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    words = {float: "a number", int: "an integer", bool: "true or false"}.get(bare, str(bare))
    ranges = [str(extra) for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Range)]
    return " in ".join([words, *ranges])


def choices(hint: Any) -> str:
    """The same for a listing: ` in [0, 1]`, ` (nearest|bilinear)`, or nothing where any value of the type will do."""
    if get_origin(hint) is Literal:
        return f" ({'|'.join(map(str, get_args(hint)))})"
    ranges = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Range)]
    return "".join(f" in {extra}" for extra in ranges if extra != Range())


def refusal(name: str, hint: Any, *, given: Any) -> str:
    """One line that names a parameter, what it may be and what was given."""
    return f"{name} must be {allowed(hint)}, got {given!r}"


def number(value: Any) -> str:
    """A parameter's value as short text that still tells it from any other value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | np.floating):
        return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))
    return str(value)


def _plain(value: Any, hint: Any) -> Any:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if bare in (int, bool) or isinstance(value, bool | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item, None) for item in value]
    # Adding zero turns -0.0 into 0.0: equal numbers must not be spelt in two ways.
    return float(value) + 0.0 if isinstance(value, int | float | np.number) else value
