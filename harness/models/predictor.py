"""From a network to `predict`: one traced function, fixed signature, padded batches, logits out.

`exact` calls the network as it is and gives the bits of `model.predict` on full batches. `fast` first folds each
BatchNormalization into the linear convolution or dense layer before it, which changes logits by float rounding only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend import keras, tf
from harness.models.preprocessing import Preprocessing

# Probabilities below the smallest normal float32 are raised to it, so that every logit is finite.
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Output:
    """What the network's last layer gives: `logits` or `probs`, and how many units."""

    kind: str
    units: int


def make_predict(
    network: Callable[[Any], Any],
    *,
    input_shape: tuple[int, int, int],
    output: Output,
    preprocessing: Preprocessing,
    batch_size: int,
) -> Callable[[np.ndarray], np.ndarray]:
    """Builds images `[n, H, W, channels]` float32 in [0, 255] -> logits `[n, C]` float32, traced once.

    Every call of the network sees exactly `batch_size` images: short batches are padded with the last image and cut,
    because the kernels that a short batch takes round differently.
    """

    # No XLA: on CPUs it is slower and compiles again for each batch shape.
    @tf.function(input_signature=[tf.TensorSpec([None, *input_shape], tf.float32)])  # type: ignore[untyped-decorator]
    def traced(images: Any) -> Any:
        return network(images)

    def predict(images: np.ndarray) -> np.ndarray:
        images = preprocessing(images)
        chunks = []
        for start in range(0, len(images), batch_size):
            chunk = images[start : start + batch_size]
            padding = [(0, batch_size - len(chunk)), (0, 0), (0, 0), (0, 0)]
            padded = np.pad(chunk, padding, mode="edge") if len(chunk) < batch_size else chunk
            chunks.append(np.asarray(traced(tf.constant(padded)))[: len(chunk)])
        return to_logits(np.concatenate(chunks), output)

    return predict


def to_logits(values: np.ndarray, output: Output) -> np.ndarray:
    """Logits `[n, C]` float32 from what the network gives `[n, units]`.

    Probabilities become their logarithms. One unit (a sigmoid, or its logit) becomes two classes.
    """
    values = values.astype(np.float32, copy=False)
    if output.kind == "logits":
        return np.concatenate([np.zeros_like(values), values], axis=1) if output.units == 1 else values
    probs = np.concatenate([1 - values, values], axis=1) if output.units == 1 else values
    logits: np.ndarray = np.log(np.maximum(probs, TINY))
    return logits


def fold_batch_normalization(model: Any) -> tuple[Any, int]:
    """A copy of a Keras model with BatchNormalization folded into linear layers, and how many were folded.

    A pair is folded when a Conv2D, DepthwiseConv2D or Dense layer with linear activation feeds nothing but one
    BatchNormalization over its last axis. The weights are multiplied in float64 and cast back.
    """
    pairs = _foldable(model)
    if not pairs:
        return model, 0
    norms = {norm.name: layer for layer, norm in pairs}
    layers = {layer.name for layer, _ in pairs}

    def clone(layer: Any) -> Any:
        if layer.name in norms:
            return keras.layers.Identity(name=layer.name)
        config = layer.get_config()
        return layer.__class__.from_config({**config, "use_bias": True} if layer.name in layers else config)

    folded = keras.models.clone_model(model, clone_function=clone)
    weights = {layer.name: _folded_weights(layer, norm) for layer, norm in pairs}
    for layer in model.layers:
        if layer.name not in norms:
            folded.get_layer(layer.name).set_weights(weights.get(layer.name, layer.get_weights()))
    return folded, len(pairs)


def _foldable(model: Any) -> list[tuple[Any, Any]]:
    pairs = []
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization) or len(norm._inbound_nodes) != 1:
            continue
        layer = norm.input._keras_history.operation
        linear = type(layer) in kinds and layer.activation is keras.activations.linear
        axis = norm.axis if isinstance(norm.axis, int) else norm.axis[0]
        last = axis in (-1, len(norm.input.shape) - 1)
        if linear and last and len(layer._outbound_nodes) == 1 and len(layer._inbound_nodes) == 1:
            pairs.append((layer, norm))
    return pairs


def _folded_weights(layer: Any, norm: Any) -> list[np.ndarray]:
    kernel, *bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    mean, variance = (np.asarray(weight, np.float64) for weight in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    scale = scale * np.asarray(norm.gamma, np.float64) if norm.scale else scale
    shift = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    # A depthwise kernel [h, w, channels, multiplier] has its outputs in the last two axes, the others in the last.
    folded = kernel * (scale.reshape(kernel.shape[2:]) if isinstance(layer, keras.layers.DepthwiseConv2D) else scale)
    offset = shift + ((bias[0] if bias else 0.0) - mean) * scale
    return [folded.astype(np.float32), np.broadcast_to(offset, scale.shape).astype(np.float32)]
