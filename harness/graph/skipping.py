"""Adaptive aggregations as TensorFlow control flow: a forward pass that an image does not need is not run.

What is undecided is gathered, so that a batch costs the passes that its images need, and a view that no image needs
costs nothing. Control flow has no place in a Keras Functional model: a `.keras` file cannot hold these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.backend import tf
from harness.graph.logspace import log_softmax, top
from harness.graph.merging import entropy, merge, ranks
from harness.policies.adaptive import ROUNDING, EarlyExit, ExactExit, FittedSelective
from harness.policies.base import Fitted
from harness.policies.log_features import LOWEST
from harness.policies.loss_ridge import LossRidgeFit

Stop = Callable[[Any, Any], Any]  # summed probabilities [n, C], views used [n]: whether to stop, [n]

LEAST = 1e-300
"""Below every probability: the logarithm of nothing is not wanted."""


@dataclass(frozen=True)
class Passes:
    """How a policy's views are predicted.

    Attributes:
        count: V.
        one: images and a view's place, a number or a tensor, to logits `[n, C]` float64.
        several: images and places, known beforehand, to logits `[len(places), n, C]` float64.
    """

    count: int
    one: Callable[[Any, Any], Any]
    several: Callable[[Any, tuple[int, ...]], Any]


def skips(fitted: Fitted) -> bool:
    """True where images differ in the forward passes that they need."""
    return isinstance(fitted, EarlyExit | ExactExit | FittedSelective | LossRidgeFit)


def skipping(fitted: Fitted, passes: Passes) -> Callable[[Any], Any]:
    """Images to log-probabilities `[n, C]` float64 by an aggregation for which `skips` is True."""
    if isinstance(fitted, EarlyExit):
        confidence = fitted.confidence
        return lambda images: _until(
            images, passes, lambda sums, used: tf.reduce_max(sums, axis=-1) / used >= confidence
        )
    if isinstance(fitted, ExactExit):
        views = float(passes.count)
        return lambda images: _until(images, passes, lambda sums, used: _lead(sums) > views - used + ROUNDING)
    if isinstance(fitted, FittedSelective):
        return lambda images: _selective(images, passes, fitted)
    if isinstance(fitted, LossRidgeFit):
        return lambda images: _loss_ridge(images, passes, fitted)
    raise TypeError(f"{type(fitted).__name__} needs every view of every image")


def _until(images: Any, passes: Passes, stop: Stop) -> Any:
    """The mean over views in their order, of each image up to where `stop` says so."""

    def step(place: Any, sums: Any, used: Any, pending: Any) -> Any:
        rows = tf.where(pending)
        further = _probs(passes.one(tf.gather_nd(images, rows), place))
        sums = tf.tensor_scatter_nd_add(sums, rows, further)
        used = used + tf.cast(pending, tf.float64)
        return place + 1, sums, used, pending & ~stop(sums, used)

    sums = _probs(passes.one(images, 0))
    used = tf.ones_like(sums[:, 0])
    state = (tf.constant(1), sums, used, ~stop(sums, used))
    _, sums, used, _ = tf.while_loop(
        lambda place, _sums, _used, pending: (place < passes.count) & tf.reduce_any(pending),
        step,
        state,
        shape_invariants=tuple(one.shape for one in state),
    )
    return tf.math.log(tf.maximum(sums / used[:, None], LEAST))


def _selective(images: Any, passes: Passes, fitted: FittedSelective) -> Any:
    """The plain view, and where it is uncertain the aggregation of all views."""
    merged = merge(fitted.inner, passes.count)
    plain = passes.several(images, (0,))
    rows = tf.where(_uncertainty(log_softmax(plain[0]), fitted.uncertainty) > fitted.threshold)

    def further() -> Any:
        others = tuple(range(1, passes.count))
        some = [tf.gather_nd(plain[0], rows)[None]]
        if others:
            some.append(passes.several(tf.gather_nd(images, rows), others))
        # An aggregation that is named alone wants all views, in their order.
        return tf.tensor_scatter_nd_update(log_softmax(plain[0]), rows, merged.run(tf.concat(some, axis=0)))

    return tf.cond(tf.shape(rows)[0] > 0, further, lambda: log_softmax(plain[0]))


def _loss_ridge(images: Any, passes: Passes, fitted: LossRidgeFit) -> Any:
    """The mean over the k views of least predicted NLL, each view for the images that chose it."""
    plain = log_softmax(passes.one(images, 0))
    features = tf.concat([tf.maximum(plain, LOWEST), entropy(plain)[:, None]], axis=1)
    predicted = tf.matmul(features, fitted.coefficients) + fitted.intercept
    chosen = ranks(tf.transpose(predicted)) < fitted.k

    def step(place: Any, sums: Any) -> Any:
        rows = tf.where(chosen[place])

        def further() -> Any:
            return tf.tensor_scatter_nd_add(sums, rows, _probs(passes.one(tf.gather_nd(images, rows), place)))

        return place + 1, tf.cond(tf.shape(rows)[0] > 0, further, lambda: sums)

    state = (tf.constant(1), tf.exp(plain) * tf.cast(chosen[0], tf.float64)[:, None])
    _, sums = tf.while_loop(
        lambda place, _sums: place < passes.count, step, state, shape_invariants=tuple(one.shape for one in state)
    )
    return tf.math.log(tf.maximum(sums / fitted.k, LEAST))


def _uncertainty(log_probs: Any, measure: str) -> Any:
    if measure == "entropy":
        return entropy(log_probs)
    others = _without_largest(tf.exp(log_probs))
    rest = tf.reduce_sum(others, axis=-1)
    return rest if measure == "max_prob" else rest + tf.reduce_max(others, axis=-1)


def _lead(sums: Any) -> Any:
    """By how much the largest sum is ahead of the second."""
    return tf.reduce_max(sums, axis=-1) - tf.reduce_max(_without_largest(sums), axis=-1)


def _probs(logits: Any) -> Any:
    return tf.exp(log_softmax(logits))


def _without_largest(values: Any) -> Any:
    return values * (1.0 - top(values))
