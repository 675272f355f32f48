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
    return largest + ops.log1p(ops.exp(ops.minimum(one, other) - largest))


def one_hot(classes: Any, count: int) -> Any:
    """`[..., count]` float64: one at each class, else zero."""
    return ops.one_hot(classes, count, dtype="float64")
