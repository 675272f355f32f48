"""What a builder and a step are, and what steps share. A tensor of images is `[n, h, w, channels]` float32.

A step is written in Keras operations, so that one description runs in TensorFlow, eagerly or traced, and may be called
on a Keras input: then it becomes built-in operations of a model that any Keras loads. Constants, which such a model has
to spell out, are kept to a few numbers a row and a column.
"""

from collections.abc import Callable
from typing import Any

from harness.backend import keras
from harness.errors import ModelError

ops = keras.ops

Shape = tuple[int, int, int]  # h, w, channels
Step = Callable[[Any], Any]  # a tensor of images in [0, 255] to another; traced, so the batch may have any size
Builder = Callable[[Any, Shape], Step]  # a transform, and the shape of the images that come in


def clipped(images: Any) -> Any:
    """Images of any shape brought into [0, 255]."""
    return ops.clip(images, 0.0, 255.0)


def spread(one: Any, other: Any) -> Any:
    """The sum, where `other` has axes of length one that are to be spread over those of `one`.

    Keras takes such a sum in a model for a bias: it squeezes `[k, 1]` to `[k]` and adds that along the last axis, if
    that happens to have length k too. A difference is not mistaken for anything.
    """
    return ops.subtract(one, -other)


def is_symbolic(images: Any) -> bool:
    """True for the tensor of a Keras model that is being put together."""
    return isinstance(images, keras.KerasTensor)


def no_keras_form(what: str) -> ModelError:
    """The error for what TensorFlow has and Keras' operations have not."""
    return ModelError(f"a .keras file cannot hold {what}: use the format savedmodel or mlflow")
