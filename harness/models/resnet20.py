"""ResNet-20 for CIFAR-sized images (He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2)."""

from typing import Any

from harness.backend import keras

_STAGES = (16, 32, 64)
_BLOCKS = 3


def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """An uncompiled model: images `[n, H, W, channels]` float32 in [0, 255] to logits `[n, C]`.

    Three stages of three blocks with 16, 32 and 64 filters. Where a stage halves the image, the shortcut is a
    1x1 projection (the paper's option B; its CIFAR table used the parameter-free option A).
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = keras.layers.ReLU()(_convolution(x, filters=_STAGES[0]))
    for stage, filters in enumerate(_STAGES):
        for block in range(_BLOCKS):
            x = _block(x, filters=filters, strides=2 if stage > 0 and block == 0 else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(num_classes, kernel_initializer="he_normal")(x)
    return keras.Model(inputs, outputs, name="resnet20")


def _block(x: Any, *, filters: int, strides: int) -> Any:
    shortcut = x if strides == 1 else _convolution(x, filters=filters, size=1, strides=strides)
    x = keras.layers.ReLU()(_convolution(x, filters=filters, strides=strides))
    x = _convolution(x, filters=filters)
    return keras.layers.ReLU()(keras.layers.Add()([x, shortcut]))


def _convolution(x: Any, *, filters: int, size: int = 3, strides: int = 1) -> Any:
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(1e-4),
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)
