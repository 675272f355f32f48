"""From a network to `predict`: one traced function, fixed signature, padded batches, logits out.

`exact` calls the network as it is and gives the bits of `model.predict` on full batches. `fast` first folds each
BatchNormalization into the linear convolution or dense layer before it, which changes logits by float rounding only.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend import keras, tf
from harness.models import anatomy
from harness.models.preprocessing import Preprocessing
from harness.run_conditions import cores

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


def device_notes() -> dict[str, float | str]:
    """What predicts, which may decide the last bits: the kind of device, the number of threads, oneDNN's kernels."""
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    threads = tf.config.threading.get_intra_op_parallelism_threads() or (int(asked) if asked.isdigit() else 0)
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
    return {"device": "GPU" if "GPU" in kinds else "CPU", "threads": threads or cores(), "onednn": onednn}


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
    """A model that does the same with BatchNormalization folded into linear layers, and how many were folded.

    A pair is folded when a Conv2D, DepthwiseConv2D or Dense layer with linear activation feeds nothing but one
    BatchNormalization over its last axis. The weights are multiplied in float64 and cast back. Nested models
    are folded too. The other layers are shared with `model`, which stays as it is.
    """
    pairs = _foldable(model)
    replaced = {layer.name: _with_bias(layer) for layer, _ in pairs}
    replaced |= {norm.name: _Folded(name=norm.name, dtype=norm.dtype_policy) for _, norm in pairs}
    inside = {inner.name: fold_batch_normalization(inner) for inner in _inner_models(model)}
    replaced |= {name: folded for name, (folded, count) in inside.items() if count}
    if not replaced:
        return model, 0
    copy = keras.models.clone_model(model, clone_function=lambda layer: replaced.get(layer.name, layer))
    for layer, norm in pairs:
        replaced[layer.name].set_weights(_folded_weights(layer, norm))
    return copy, len(pairs) + sum(count for _, count in inside.values())


def _inner_models(model: Any) -> list[Any]:
    """The nested models that are called in inference mode alone."""
    calls = anatomy.nodes(model)
    return [
        layer
        for layer in model.layers
        if hasattr(anatomy.graph(layer), "_nodes_by_depth")
        and not any(node.arguments.kwargs.get("training") for node in layer._inbound_nodes if node in calls)
    ]


class _Folded(keras.layers.Layer):  # type: ignore[misc]
    """Stands where a BatchNormalization stood, and takes the arguments that it was called with."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002
        """The inputs."""
        return inputs


def _with_bias(layer: Any) -> Any:
    return layer.__class__.from_config({**layer.get_config(), "use_bias": True})


def _foldable(model: Any) -> list[tuple[Any, Any]]:
    """The pairs (linear layer, normalisation) of a model's own graph, each layer called once in it."""
    calls = anatomy.nodes(model)
    outputs = {id(tensor) for tensor in model.outputs}
    pairs = []
    for norm in model.layers:
        if type(norm) is not keras.layers.BatchNormalization:
            continue
        called = [node for node in norm._inbound_nodes if node in calls]
        source = called[0].input_tensors[0]
        layer = source._keras_history.operation
        axis = norm.axis if isinstance(norm.axis, int) else norm.axis[0]
        alone = len(called) == 1 and sum(node in calls for node in layer._inbound_nodes) == 1
        alone = alone and sum(node in calls for node in layer._outbound_nodes) == 1 and id(source) not in outputs
        frozen = not called[0].arguments.kwargs.get("training")  # else it uses the batch's statistics always
        if alone and frozen and axis in (-1, len(source.shape) - 1) and _is_linear(layer):
            pairs.append((layer, norm))
    return pairs


def _is_linear(layer: Any) -> bool:
    if type(layer) not in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense):
        return False
    # Quantised layers and adapters hold more than a kernel and a bias.
    plain = len(layer.get_weights()) == 1 + layer.use_bias
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return plain and channels_last and layer.activation is keras.activations.linear


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
