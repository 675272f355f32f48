"""Parameters of what a configuration names: ranges in annotations, checks, and one way to write a value down.

A transform or an aggregation is a frozen dataclass with a `kind`; its fields are its parameters, and a field's range
stands in its annotation, `Annotated[float, Range(0, 1)]`.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from harness.errors import ConfigError, unknown_name


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


class Parametrised(Protocol):
    """A frozen dataclass whose fields are its parameters, checked when it is made.

    Attributes:
        kind: the name in configurations, snake_case.

    Raises:
        ValueError: at construction, for a parameter out of its range.
    """

    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    def __post_init__(self) -> None:
        for name, hint in hints(type(self)).items():
            if not permits(hint, getattr(self, name)):
                raise ValueError(refusal(name, hint, given=getattr(self, name)))

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


Made = TypeVar("Made", bound=Parametrised)


def spec(thing: Parametrised) -> dict[str, Any]:
    """It as plain data: its kind and every parameter, with one spelling for one value (10 is 10.0)."""
    values = {name: getattr(thing, name) for name in hints(type(thing))}
    plain = {name: _plain(value, hints(type(thing))[name]) for name, value in values.items()}
    return {"kind": thing.kind, **plain}


def parameters(cls: type[Parametrised]) -> list[dataclasses.Field[Any]]:
    """The fields of a class: those without a default first, keyword-only ones last."""
    return sorted(dataclasses.fields(cls), key=lambda field: (field.default is not dataclasses.MISSING, field.kw_only))


@lru_cache(maxsize=256)
def hints(cls: type[Parametrised]) -> dict[str, Any]:
    """Parameter name to annotation, ranges included, for every field of a class."""
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


def make(cls: type[Made], params: Mapping[str, Any], *, noun: str) -> Made:
    """One of the class from plain data; `noun` says what it is, e.g. `transform`.

    Raises:
        ConfigError: for an unknown parameter, a missing one, a wrong type, or a value out of range.
    """
    known, kind = hints(cls), cls.kind
    for name in params:
        if name not in known:
            raise ConfigError(f"{noun} {kind}: {unknown_name('parameter', str(name), known)}")
    needed = [field.name for field in parameters(cls) if is_required(field)]
    if missing := [name for name in needed if name not in params]:
        raise ConfigError(f"{noun} {kind} needs {', '.join(missing)}; its parameters: {parameters_text(cls)}")
    values = {name: _checked(f"{noun} {kind}", name, known[name], value) for name, value in params.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{noun} {kind}: {error}") from error


def parameters_text(cls: type[Parametrised]) -> str:
    """The parameters with ranges and defaults in one line, for a listing."""
    return ", ".join(parameter_texts(cls))


def parameter_texts(cls: type[Parametrised]) -> list[str]:
    """Each parameter with its range and default, e.g. `fraction=0.1 in (0, 1]`."""
    return [_parameter_text(field, hints(cls)[field.name]) for field in parameters(cls)]


def is_required(field: dataclasses.Field[Any]) -> bool:
    """True for a parameter without a default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _checked(what: str, name: str, hint: Any, value: Any) -> Any:
    """A value of the annotated type. JSON in between, because there a list may stand for a tuple, strictly."""
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {refusal(name, hint, given=value)}") from error


def _parameter_text(field: dataclasses.Field[Any], hint: Any) -> str:
    default = "" if is_required(field) else f"={number(field.default)}"
    return f"{field.name}{default}{choices(hint)}"
