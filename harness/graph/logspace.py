"""What `harness.logspace` computes, from Keras operations: eagerly, in a traced function, or in a Functional model."""

from typing import Any

from harness.backend import keras

ops = keras.ops

SMALL = 0.05
"""Below it a series of a few terms has all digits of a double."""


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


def expm1(values: Any) -> Any:
    """exp(x) - 1, with all its digits where x is small: ONNX has no operation for it."""
    series = values * 0.0
    for divisor in range(9, 0, -1):
        series = values / divisor * (1.0 + series)
    return ops.where(ops.abs(values) < SMALL, series, ops.exp(values) - 1.0)


def log1p(values: Any) -> Any:
    """log(1 + x), likewise."""
    small = ops.clip(values, -SMALL, SMALL)
    series = small * 0.0
    for power in range(12, 0, -1):
        series = small * (1.0 / power - series)
    return ops.where(ops.abs(values) < SMALL, series, ops.log(1.0 + values))


def top(values: Any) -> Any:
    """`[..., C]` float64: one at the largest value, the first where several are equal, else zero.

    Not `argmax`, which Keras writes with operations that ONNX has not.
    """
    largest = ops.cast(values >= ops.max(values, axis=-1, keepdims=True), "float64")
    return largest * ops.cast(ops.cumsum(largest, axis=-1) < 1.5, "float64")
