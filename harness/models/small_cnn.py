"""A small, quick network for images of 8x8 to 32x32 pixels."""

from typing import Any

from harness.backend import keras


def build(input_shape: tuple[int, int, int], num_classes: int, *, width: int = 32) -> keras.Model:
    """An uncompiled model: images `[n, H, W, channels]` float32 in [0, 255] to logits `[n, C]`.

    Four 3x3 convolutions of `width / 2`, `width`, `2 width`, `2 width` filters, halving the image after the first
    and the second, then global average pooling. Batch normalisation follows each linear convolution directly,
    so that it can be folded into it.
    """
    layers = keras.layers
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.MaxPooling2D(2)(_convolution(x, filters=width // 2))
    x = layers.MaxPooling2D(2)(_convolution(x, filters=width))
    x = _convolution(x, filters=2 * width)
    x = _convolution(x, filters=2 * width)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x), name="small_cnn")


def _convolution(x: Any, *, filters: int) -> Any:
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)
