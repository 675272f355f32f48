"""The table of transforms: kind to class, and from a configuration's plain data to a checked transform.

Other people's packages add kinds through the entry-point group `harness.transforms` (name = kind, value = a subclass
of `harness.transforms.base.Transform`); a name of our own cannot be replaced.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.errors import ConfigError, unknown_name
from harness.parameters import make, parameters_text
from harness.transforms import (
    augmix,
    colour,
    compression,
    crops,
    filters,
    flips,
    geometric,
    occlusion,
    photometric,
    randaugment,
    random,
    random_crop,
    tonal,
)
from harness.transforms.base import Transform

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
        tonal.Add,
        tonal.Invert,
        tonal.Solarize,
        tonal.Posterize,
        tonal.Equalize,
        tonal.Autocontrast,
        colour.Grayscale,
        colour.Hue,
        filters.Sharpness,
        filters.PilBlur,
        occlusion.Cutout,
        compression.Jpeg,
        random.RandomFlip,
        random.RandomAffine,
        random_crop.RandomCrop,
        random_crop.RandomResizedCrop,
        randaugment.RandAugment,
        augmix.AugMix,
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
    return make(transform_class(kind), params, noun="transform")


def describe() -> list[tuple[str, str, bool]]:
    """For each kind: its name, its parameters with ranges and defaults, and whether it needs RGB."""
    classes = {**{kind: _load(entry) for kind, entry in _plugins().items()}, **TRANSFORMS}
    ordered = [*TRANSFORMS, *sorted(set(classes) - set(TRANSFORMS))]
    return [(kind, parameters_text(classes[kind]), classes[kind].needs_rgb) for kind in ordered]


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
