"""What a builder and a step are, and the clip that steps share. A tensor of images is `[n, h, w, channels]` float32."""

from collections.abc import Callable
from typing import Any

from harness.backend import tf

Shape = tuple[int, int, int]  # h, w, channels
Step = Callable[[Any], Any]  # a tensor of images in [0, 255] to another; traced, so the batch may have any size
Builder = Callable[[Any, Shape], Step]  # a transform, and the shape of the images that come in


def clipped(images: Any) -> Any:
    """Images of any shape brought into [0, 255]."""
    return tf.clip_by_value(images, 0.0, 255.0)
