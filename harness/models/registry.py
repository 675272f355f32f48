"""The table of models that we train: names without TensorFlow, builders loaded when one is built."""

import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from harness.errors import ConfigError, HarnessError, ModelError, unknown_name

MODELS: Mapping[str, str] = {
    "tutorial_cnn": "harness.models.tutorial_cnn:build",
    "small_cnn": "harness.models.small_cnn:build",
    "resnet20": "harness.models.resnet20:build",
    "keras_application": "harness.models.keras_application:build",
}

ENTRY_POINT_GROUP = "harness.models"


def model_kinds() -> tuple[str, ...]:
    """All names, ours and those of installed packages, sorted; loads no builder."""
    return tuple(sorted({*MODELS, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))}))


def build_model(
    kind: str, *, input_shape: tuple[int, int, int], num_classes: int, options: Mapping[str, Any] | None = None
) -> Any:
    """An uncompiled `keras.Model` from images `[n, H, W, channels]` float32 in [0, 255] to `[n, C]`.

    Raises:
        ConfigError: for an unknown kind, or an option that its builder does not take.
        ModelError: where the builder returns something else, or the model cannot be built for this input.
    """
    options = dict(options or {})
    build = _builder(kind)
    _check_options(kind, build, options)
    try:
        model = build(tuple(input_shape), num_classes, **options)
    except HarnessError:
        raise
    except (TypeError, ValueError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "none"
        shown = " ".join(str(error).split())
        raise ModelError(
            f"model {kind} cannot be built for images {'x'.join(map(str, input_shape))} "
            f"and {num_classes} classes with options {given}: {shown}"
        ) from error
    _check_output(kind, model, num_classes=num_classes)
    return model


def _builder(kind: str) -> Any:
    if kind in MODELS:
        module, _, function = MODELS[kind].partition(":")
        return getattr(importlib.import_module(module), function)
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=kind):
        return entry.load()
    raise ConfigError(unknown_name("model", kind, model_kinds()))


def _check_options(kind: str, build: Any, options: Mapping[str, Any]) -> None:
    try:
        inspect.signature(build).bind((0, 0, 0), 0, **options)
    except TypeError as error:
        parameters = inspect.signature(build).parameters.values()
        known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
        raise ConfigError(f"options of model {kind}: {error}; it takes {', '.join(known) or 'none'}") from error


def _check_output(kind: str, model: Any, *, num_classes: int) -> None:
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or shape != (None, num_classes):
        raise ModelError(f"model {kind} must give one row of {num_classes} numbers per image, got output {shape}")
