"""Adaptive aggregations as TensorFlow control flow: a forward pass that an image does not need is not run.

What is undecided is gathered, so that a batch costs the passes that its images need, and a view that no image needs
costs nothing. Control flow has no place in a Keras Functional model: a `.keras` file cannot hold these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.backend import keras, tf
from harness.graph.logspace import log_softmax, logaddexp, one_hot
from harness.graph.merging import entropy, merge, ranks
from harness.policies.adaptive import ROUNDING, EarlyExit, ExactExit, FittedSelective
from harness.policies.base import Fitted
from harness.policies.learned_exit import FittedEarlyExit
from harness.policies.log_features import LOWEST
from harness.policies.loss_ridge import LossRidgeFit

ops = keras.ops

Stop = Callable[[Any, Any], Any]  # log of the summed probabilities [n, C], views used: whether to stop, [n]


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
    inner = fitted.inner if isinstance(fitted, FittedEarlyExit) else fitted
    return isinstance(inner, EarlyExit | ExactExit | FittedSelective | LossRidgeFit)


def skipping(fitted: Fitted, passes: Passes) -> Callable[[Any], Any]:
    """Images to log-probabilities `[n, C]` float64 by an aggregation for which `skips` is True."""
    if isinstance(fitted, FittedEarlyExit):
        return skipping(fitted.inner, _reordered(passes, fitted.order))
    if isinstance(fitted, EarlyExit):
        confidence = fitted.confidence
        return lambda images: _until(images, passes, lambda sums, used: _largest(sums) / used >= confidence)
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
        further = log_softmax(passes.one(tf.gather_nd(images, rows), place))
        total = logaddexp(tf.gather_nd(sums, rows), further)
        sums = tf.tensor_scatter_nd_update(sums, rows, total)
        used = used + tf.cast(pending, tf.float64)
        return place + 1, sums, used, pending & ~stop(sums, used)

    sums = log_softmax(passes.one(images, 0))
    used = tf.ones_like(sums[:, 0])
    state = (tf.constant(1), sums, used, ~stop(sums, used))
    state = tf.while_loop(
        lambda place, _sums, _used, pending: (place < passes.count) & tf.reduce_any(pending),
        step,
        state,
        shape_invariants=tuple(one.shape for one in state),
    )
    return state[1] - tf.math.log(state[2])[:, None]


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
            view = log_softmax(passes.one(tf.gather_nd(images, rows), place))
            return tf.tensor_scatter_nd_update(sums, rows, logaddexp(tf.gather_nd(sums, rows), view))

        return place + 1, tf.cond(tf.shape(rows)[0] > 0, further, lambda: sums)

    nothing = tf.fill(tf.shape(plain), tf.constant(float("-inf"), tf.float64))
    sums = tf.where(chosen[0][:, None], plain, nothing)
    state = (tf.constant(1), tf.ensure_shape(sums, plain.shape))
    sums = tf.while_loop(
        lambda place, _sums: place < passes.count, step, state, shape_invariants=tuple(one.shape for one in state)
    )[1]
    return log_softmax(sums)


def _reordered(passes: Passes, order: tuple[int, ...]) -> Passes:
    places = tf.constant(order)
    return Passes(
        passes.count,
        lambda images, place: passes.one(images, order[place] if isinstance(place, int) else places[place]),
        lambda images, some: passes.several(images, tuple(order[place] for place in some)),
    )


def _uncertainty(log_probs: Any, measure: str) -> Any:
    if measure == "entropy":
        return entropy(log_probs)
    others = _without_largest(tf.exp(log_probs))
    rest = tf.reduce_sum(others, axis=-1)
    return rest if measure == "max_prob" else rest + tf.reduce_max(others, axis=-1)


def _largest(sums: Any) -> Any:
    return tf.exp(tf.reduce_max(sums, axis=-1))


def _lead(sums: Any) -> Any:
    """By how much the largest sum is ahead of the second."""
    values = tf.exp(sums)
    return tf.reduce_max(values, axis=-1) - tf.reduce_max(_without_largest(values), axis=-1)


def _without_largest(values: Any) -> Any:
    return values * (1.0 - one_hot(tf.argmax(values, axis=-1), values.shape[-1]))
