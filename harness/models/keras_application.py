"""Any network of `keras.applications`, with its own preprocessing inside the model."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from harness.backend import keras
from harness.errors import ConfigError, ModelError, unknown_name

# What each family's `preprocess_input` does to images in [0, 255]; `built_in` models do it themselves.
_FAMILIES: Mapping[str, str] = {
    r"ConvNeXt.*": "built_in",
    r"DenseNet\d+": "torch",
    r"EfficientNet.*": "built_in",
    r"Inception.*": "tf",
    r"MobileNet(V2)?": "tf",
    r"MobileNetV3.*": "built_in",
    r"NASNet.*": "tf",
    r"ResNet\d+": "caffe",
    r"ResNet\d+V2": "tf",
    r"VGG\d+": "caffe",
    r"Xception": "tf",
}
_IMAGENET_CLASSES = 1000
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
_TORCH_STD_RGB = (0.229, 0.224, 0.225)


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    name: str,
    weights: Literal["imagenet"] | None = None,
    fine_tune: Literal["none", "head", "all"] = "all",
) -> keras.Model:
    """An uncompiled model: images `[n, H, W, channels]` float32 in [0, 255], RGB, to logits `[n, C]`.

    Args:
        input_shape: `(H, W, channels)`.
        num_classes: C.
        name: a name of `keras.applications`, e.g. `MobileNetV2`.
        weights: `imagenet`, downloaded once by Keras, or None for a model trained from its first weights.
        fine_tune: what is trained: `all`; `head`, a new dense layer alone; or `none`, the 1000-class ImageNet model
            as it is (its softmax left off).

    Raises:
        ConfigError: for an unknown name or a combination that trains nothing or random features.
        ModelError: where images or class count do not fit, or the weights cannot be had.
    """
    _check(input_shape, num_classes, name=name, weights=weights, fine_tune=fine_tune)
    application = applications()[name]
    inputs = keras.Input(input_shape)
    arguments: dict[str, Any] = {"weights": weights, "input_shape": input_shape, "include_top": fine_tune == "none"}
    if fine_tune == "none":
        arguments |= {"classes": num_classes, "classifier_activation": None}
    else:
        arguments |= {"pooling": "avg"}
    if input_shape[2] != 3 and "include_preprocessing" in inspect.signature(application).parameters:
        arguments["include_preprocessing"] = False  # theirs is written for RGB
    base = _call(application, name=name, input_tensor=_preprocessed(inputs, name=name), **arguments)
    if fine_tune == "none":
        base.trainable = False
        return base
    base.trainable = fine_tune == "all"
    return keras.Model(inputs, keras.layers.Dense(num_classes, name="head")(base.output), name=name.lower())


def applications() -> dict[str, Callable[..., keras.Model]]:
    """Every network of `keras.applications` by name."""
    members = vars(keras.applications).items()
    return {name: member for name, member in members if inspect.isfunction(member) and name[0].isupper()}


def preprocessing_mode(name: str) -> Literal["caffe", "tf", "torch", "built_in"]:
    """How the family of this network wants images in [0, 255] prepared, as Keras' `preprocess_input` has it.

    Raises:
        ConfigError: for an unknown name.
    """
    for pattern, mode in _FAMILIES.items():
        if re.fullmatch(pattern, name):
            return mode  # type: ignore[return-value]
    raise ConfigError(unknown_name("keras.applications name", name, applications()))


def _preprocessed(x: Any, *, name: str) -> Any:
    mode, channels = preprocessing_mode(name), x.shape[-1]
    if channels != 3:
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    if mode == "caffe":
        x = keras.ops.flip(x, axis=-1)  # RGB to BGR
        return keras.layers.Rescaling(1.0, offset=[-mean for mean in _CAFFE_MEAN_BGR])(x)
    if mode == "torch":
        scale = [1 / (255 * std) for std in _TORCH_STD_RGB]
        offset = [-mean / std for mean, std in zip(_TORCH_MEAN_RGB, _TORCH_STD_RGB, strict=True)]
        return keras.layers.Rescaling(scale, offset=offset)(x)
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x) if mode == "tf" else x


def _check(
    input_shape: tuple[int, int, int], num_classes: int, *, name: str, weights: str | None, fine_tune: str
) -> None:
    if name not in applications():
        raise ConfigError(unknown_name("keras.applications name", name, applications()))
    if weights not in (None, "imagenet"):
        raise ConfigError(f"model.weights must be null or imagenet, got {weights!r}")
    if fine_tune not in ("none", "head", "all"):
        raise ConfigError(f"model.fine_tune must be none, head or all, got {fine_tune!r}")
    if weights is None and fine_tune != "all":
        raise ConfigError(
            f"model.fine_tune={fine_tune} keeps weights that are random without model.weights=imagenet: "
            f"give those, or fine_tune=all"
        )
    if weights is not None and input_shape[2] != 3:
        raise ModelError(f"{name} with imagenet weights expects images of 3 channels, got {input_shape[2]}")
    if fine_tune == "none" and num_classes != _IMAGENET_CLASSES:
        raise ModelError(
            f"{name} as it is has {_IMAGENET_CLASSES} classes, the data set {num_classes}: use fine_tune=head or all"
        )


def _call(application: Callable[..., keras.Model], *, name: str, **arguments: Any) -> keras.Model:
    """Build the network; what Keras says when it cannot becomes one line."""
    height, width, _ = arguments["input_shape"]
    try:
        return application(**arguments)
    except ValueError as error:
        least = re.search(r"at least (\d+)x(\d+)", str(error))
        if least:
            raise ModelError(
                f"{name} expects images of {least[1]}x{least[2]} pixels or more, got {height}x{width}: "
                f"give a larger image size"
            ) from error
        if arguments["include_top"] and "`input_shape` should be" in str(error):
            size = re.search(r"should be \((\d+), (\d+)", str(error))
            expected = f"{size[1]}x{size[2]}" if size else "its own size"
            raise ModelError(f"{name} as it is expects images of {expected}, got {height}x{width}") from error
        raise
    except Exception as error:
        # keras.utils.get_file raises a bare Exception for whatever went wrong on the network.
        if "URL fetch failure" not in str(error):
            raise
        raise ModelError(
            f"the imagenet weights of {name} are not in the Keras cache and cannot be downloaded "
            f"({' '.join(str(error).split())}): connect, or put the file there"
        ) from error
