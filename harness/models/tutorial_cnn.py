"""The small network of the well-known test-time augmentation tutorial for CIFAR-10."""

from harness.backend import keras


def build(input_shape: tuple[int, int, int], num_classes: int, *, units: int = 128) -> keras.Model:
    """An uncompiled model: images `[n, H, W, channels]` float32 in [0, 255] to probs `[n, C]`.

    Two blocks of convolution (ReLU), batch normalisation and pooling, then a dense layer of `units`.
    """
    layers = keras.layers
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_uniform")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation="relu", kernel_initializer="he_uniform")(x)
    x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x), name="tutorial_cnn")
