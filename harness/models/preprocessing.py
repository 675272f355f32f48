"""What a network expects of its pixels: channel order, scale, mean, deviation. NumPy only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Preprocessing:
    """Pixels in [0, 255], RGB, to what the network was trained on: `(x * scale - mean) / std`, per channel.

    Attributes:
        name: for people: `none`, `unit`, `tf`, `torch`, `caffe` or `custom`.
        scale: factor applied first, e.g. 1/255.
        mean, std: one number, or one a channel (in the network's channel order), applied after `scale`.
        channel_order: `rgb` or `bgr`.
    """

    name: str = "none"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channel_order: str = "rgb"

    def __post_init__(self) -> None:
        if self.channel_order not in ("rgb", "bgr"):
            raise ConfigError(f"model.preprocessing.channel_order must be rgb or bgr, got {self.channel_order!r}")
        if any(deviation == 0 for deviation in self.std):
            raise ConfigError("model.preprocessing.std must not be 0")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images `[n, H, W, channels]` float32 in [0, 255] to the network's inputs of the same shape, float32."""
        channels = images.shape[-1]
        for field in ("mean", "std"):
            if len(getattr(self, field)) not in (1, channels):
                given = len(getattr(self, field))
                raise ConfigError(f"model.preprocessing.{field} has {given} values, the images {channels} channels")
        if self.channel_order == "bgr":
            images = images[..., ::-1]
        if self.scale != 1.0:
            images = images * np.float32(self.scale)
        if self.mean != (0.0,):
            images = images - np.asarray(self.mean, np.float32)
        if self.std != (1.0,):
            images = images / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(images)

    @property
    def spec(self) -> dict[str, Any]:
        """What decides the numbers, as plain data; the name does not."""
        return {"scale": self.scale, "mean": self.mean, "std": self.std, "channel_order": self.channel_order}

    def describe(self) -> str:
        """One short text for people."""
        meaning = {
            "none": "pixels 0..255 as they are",
            "unit": "pixels / 255, in 0..1",
            "tf": "pixels / 127.5 - 1, in -1..1",
            "torch": "pixels / 255, ImageNet mean and deviation",
            "caffe": "BGR, ImageNet mean subtracted",
        }
        custom = f"scale {self.scale:g}, mean {self.mean}, std {self.std}, {self.channel_order}"
        return f"{self.name} ({meaning.get(self.name, custom)})"


# The modes of keras.applications.imagenet_utils.preprocess_input, and the two ranges that people train on.
PREPROCESSING = {
    "none": Preprocessing(),
    "unit": Preprocessing("unit", 1 / 255),
    "tf": Preprocessing("tf", 1 / 127.5, (1.0,)),
    "torch": Preprocessing("torch", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Preprocessing("caffe", 1.0, (103.939, 116.779, 123.68), (1.0,), "bgr"),
}

# Which mode each family of keras.applications was trained with (the others carry their own rescaling).
FAMILIES = {
    "resnet": "caffe",
    "resnet50": "caffe",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "resnet_v2": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "inception_v3": "tf",
    "inception_resnet_v2": "tf",
    "xception": "tf",
    "nasnet": "tf",
    "densenet": "torch",
    "mobilenet_v3": "none",
    "efficientnet": "none",
    "efficientnet_v2": "none",
    "convnext": "none",
}


def make_preprocessing(setting: str | Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that a setting names (a mode or a family) or spells out (scale, mean, std, channel_order).

    Raises:
        ConfigError: for an unknown name or field.
    """
    if isinstance(setting, str):
        name = FAMILIES.get(setting, setting)
        if name not in PREPROCESSING:
            raise ConfigError(unknown_name("model.preprocessing", setting, [*PREPROCESSING, *FAMILIES, "auto"]))
        return PREPROCESSING[name]
    fields = {"scale", "mean", "std", "channel_order"}
    for key in setting:
        if key not in fields:
            raise ConfigError(unknown_name("field of model.preprocessing", str(key), fields))
    values = {key: _numbers(key, setting[key]) for key in ("mean", "std") if key in setting}
    scale = _number("scale", setting.get("scale", 1.0))
    return Preprocessing("custom", scale, channel_order=str(setting.get("channel_order", "rgb")), **values)


def candidates(channels: int) -> dict[str, Preprocessing]:
    """The plausible preprocessings for images of so many channels."""
    return PREPROCESSING if channels == 3 else {name: PREPROCESSING[name] for name in ("none", "unit", "tf")}


def _numbers(field: str, value: Any) -> tuple[float, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(_number(field, item) for item in items)


def _number(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"model.preprocessing.{field} must be a finite number, got {value!r}")
    return float(value)
