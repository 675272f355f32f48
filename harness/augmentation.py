"""Augmentation at training time: Keras' own random layers, driven by keys instead of by a hidden state."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.backend import keras, tf
from harness.errors import ConfigError
from harness.models.specs import augmentation_options

# (images, key) to images; the key is a few non-negative integers such as (seed, epoch, batch).
Augment = Callable[[np.ndarray, tuple[int, ...]], Any]


def build_augmentation(kind: str, options: Mapping[str, Any] | None = None) -> Augment:
    """A function from images and a key to randomly changed images: the same images and key give the same bits.

    Images are `[n, H, W, channels]` float32 in [0, 255], before and after; each image of a batch draws its own
    numbers. (`randaugment` draws which operations are applied once a batch, as Keras' layer does, and their
    strengths image by image.)

    Raises:
        ConfigError: for an unknown kind or parameter, or a value that Keras refuses.
    """
    complete = augmentation_options(kind, options or {})
    try:
        layers = _LAYERS[kind](complete)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"augmentation {kind} cannot take {complete}: {' '.join(str(error).split())}") from error
    if not layers:
        return lambda images, _key: images

    def apply(images: Any) -> Any:
        for layer in layers:
            images = layer(images, training=True)  # without it the layers do nothing at all
        return tf.clip_by_value(images, 0.0, 255.0)

    traced = tf.function(apply, reduce_retracing=True)

    def augment(images: np.ndarray, key: tuple[int, ...]) -> Any:
        reseed([variable for layer in layers for variable in layer.variables], key=key)
        return traced(tf.convert_to_tensor(images, tf.float32))

    return augment


def reseed(variables: list[Any], *, key: tuple[int, ...]) -> None:
    """Set the state of every Keras seed generator among `variables` from the key and the generator's position."""
    states = [variable for variable in variables if variable.name == "seed_generator_state"]
    seeds = np.random.SeedSequence(key).generate_state(max(len(states), 1), np.uint32) >> 1
    for state, seed in zip(states, seeds, strict=False):
        state.assign(np.array([seed, 0]))


def _flip(options: Mapping[str, Any]) -> list[Any]:
    return _flips(horizontal=options["horizontal"], vertical=options["vertical"])


def _shift_flip(options: Mapping[str, Any]) -> list[Any]:
    shift = keras.layers.RandomTranslation(
        options["shift"],
        options["shift"],
        fill_mode=options["fill_mode"],
        fill_value=options["fill_value"],
        interpolation="nearest",  # whole pixels: a shift that blurs nothing
    )
    return [shift, *_flips(horizontal=options["horizontal"], vertical=False)]


def _tutorial(options: Mapping[str, Any]) -> list[Any]:
    """ImageDataGenerator's ranges; its rows (height) and columns (width) are zoomed independently, as there."""
    fill = {"fill_mode": options["fill_mode"], "fill_value": options["fill_value"]}
    layers = keras.layers
    zoom = options["zoom_range"]
    shear = math.tan(math.radians(options["shear_range"]))
    candidates: list[tuple[float, Callable[[], Any]]] = [
        (options["rotation_range"], lambda: layers.RandomRotation(options["rotation_range"] / 360, **fill)),
        (
            options["width_shift_range"] or options["height_shift_range"],
            lambda: layers.RandomTranslation(options["height_shift_range"], options["width_shift_range"], **fill),
        ),
        (shear, lambda: layers.RandomShear(x_factor=(0.0, shear), **fill)),
        (zoom, lambda: layers.RandomZoom((-zoom, zoom), (-zoom, zoom), **fill)),
    ]
    flips = _flips(horizontal=options["horizontal_flip"], vertical=options["vertical_flip"])
    return [make() for wanted, make in candidates if wanted] + flips


def _randaugment(options: Mapping[str, Any]) -> list[Any]:
    return [keras.layers.RandAugment(value_range=(0, 255), num_ops=options["num_ops"], factor=options["factor"])]


def _flips(*, horizontal: bool, vertical: bool) -> list[Any]:
    modes = [mode for mode, wanted in (("horizontal", horizontal), ("vertical", vertical)) if wanted]
    return [keras.layers.RandomFlip(mode) for mode in modes]


_LAYERS: Mapping[str, Callable[[Mapping[str, Any]], list[Any]]] = {
    "none": lambda _options: [],
    "flip": _flip,
    "shift_flip": _shift_flip,
    "tutorial": _tutorial,
    "randaugment": _randaugment,
}
