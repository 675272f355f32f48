"""The table of transforms: kind to class, and from a configuration's plain data to a checked transform.

Other people's packages add kinds through the entry-point group `harness.transforms` (name = kind, value = a subclass
of `harness.transforms.base.Transform`); a name of our own cannot be replaced.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import ConfigError, unknown_name
from harness.transforms import crops, flips, geometric, photometric, random
from harness.transforms.base import Transform, choices, hints, number, parameters, refusal

GROUP = "harness.transforms"

TRANSFORMS: dict[str, type[Transform]] = {
    cls.kind: cls
    for cls in (
        flips.HorizontalFlip,
        flips.VerticalFlip,
        flips.Rotate90,
        geometric.Rotate,
        geometric.Shift,
        geometric.Zoom,
        geometric.Shear,
        crops.Crop,
        crops.PadCrop,
        photometric.Brightness,
        photometric.Contrast,
        photometric.Saturation,
        photometric.Gamma,
        photometric.GaussianNoise,
        photometric.GaussianBlur,
        random.RandomFlip,
        random.RandomAffine,
    )
}


def transform_class(kind: str) -> type[Transform]:
    """The class of a kind, from our table or from an installed package.

    Raises:
        ConfigError: for a name that nobody has, or a package whose transform cannot be used.
    """
    if kind in TRANSFORMS:
        return TRANSFORMS[kind]
    found = _plugins()
    if kind not in found:
        raise ConfigError(unknown_name("transform", kind, [*TRANSFORMS, *found]))
    return _load(found[kind])


def make_transform(kind: str, params: Mapping[str, Any]) -> Transform:
    """The transform of a kind with parameters from plain data.

    Raises:
        ConfigError: for an unknown kind or parameter, a missing one, a wrong type, or a value out of range.
    """
    cls = transform_class(kind)
    known = hints(cls)
    for name in params:
        if name not in known:
            raise ConfigError(f"transform {kind}: {unknown_name('parameter', str(name), known)}")
    needed = [field.name for field in parameters(cls) if _is_required(field)]
    if missing := [name for name in needed if name not in params]:
        raise ConfigError(f"transform {kind} needs {', '.join(missing)}; its parameters: {_parameters_text(cls)}")
    values = {name: _checked(kind, name, known[name], value) for name, value in params.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"transform {kind}: {error}") from error


def describe() -> list[tuple[str, str, bool]]:
    """For each kind: its name, its parameters with ranges and defaults, and whether it needs RGB."""
    classes = {**{kind: _load(entry) for kind, entry in _plugins().items()}, **TRANSFORMS}
    ordered = [*TRANSFORMS, *sorted(set(classes) - set(TRANSFORMS))]
    return [(kind, _parameters_text(classes[kind]), classes[kind].needs_rgb) for kind in ordered]


def _checked(kind: str, name: str, hint: Any, value: Any) -> Any:
    """A value of the annotated type. JSON in between, because there a list may stand for a tuple, strictly."""
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError, ValueError) as error:
        raise ConfigError(f"transform {kind}: {refusal(name, hint, given=value)}") from error


def _parameters_text(cls: type[Transform]) -> str:
    return ", ".join(_parameter_text(field, hints(cls)[field.name]) for field in parameters(cls))


def _parameter_text(field: dataclasses.Field[Any], hint: Any) -> str:
    default = "" if _is_required(field) else f"={number(field.default)}"
    return f"{field.name}{default}{choices(hint)}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in TRANSFORMS}


def _load(entry: EntryPoint) -> type[Transform]:
    try:
        cls: type[Transform] = entry.load()
    except Exception as error:  # whatever another package raises on import is that package's defect
        raise ConfigError(f"transform {entry.name} of {entry.value} cannot be imported: {error}") from error
    if Transform in getattr(cls, "__mro__", ()) and cls.kind == entry.name:
        return cls
    raise ConfigError(f"transform {entry.name}: expected a Transform with kind={entry.name!r} at {entry.value}")
