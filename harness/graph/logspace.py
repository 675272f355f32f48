"""What `harness.logspace` computes, from Keras operations: eagerly, in a traced function, or in a Functional model."""

from typing import Any

from harness.backend import keras

ops = keras.ops


def log_softmax(values: Any) -> Any:
    """Normalised log-probabilities over the last axis."""
    return ops.log_softmax(values, axis=-1)


def logsumexp(values: Any) -> Any:
    """log(sum(exp(values))) over the first axis, `[V, n, C]` to `[n, C]`; at least one of them is finite."""
    largest = ops.max(values, axis=0, keepdims=True)
    return ops.log(ops.sum(ops.exp(values - largest), axis=0)) + largest[0]


def logaddexp(one: Any, other: Any) -> Any:
    """log(exp(one) + exp(other)), where one of them may be minus infinity."""
    largest = ops.maximum(one, other)
    # Not log1p, for which ONNX has no operation: what is added to the largest is exact to 1e-16 either way.
    return largest + ops.log(1.0 + ops.exp(ops.minimum(one, other) - largest))


def top(values: Any) -> Any:
    """`[..., C]` float64: one at the largest value, the first where several are equal, else zero.

    Not `argmax`, which Keras writes with operations that ONNX has not.
    """
    largest = ops.cast(values >= ops.max(values, axis=-1, keepdims=True), "float64")
    return largest * ops.cast(ops.cumsum(largest, axis=-1) < 1.5, "float64")
