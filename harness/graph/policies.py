"""A policy as one function of raw images: views, preprocessing, network, aggregation and temperature."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend import keras, tf
from harness.graph.logspace import log_softmax
from harness.graph.merging import merge
from harness.graph.skipping import Passes, skipping, skips
from harness.graph.views import graph_view
from harness.models.predictor import TINY, Output
from harness.models.preprocessing import Preprocessing
from harness.policies.base import Fitted
from harness.policies.learned_exit import FittedEarlyExit
from harness.views import View

ops = keras.ops

Function = Callable[[Any], Any]
Shape = tuple[int, int, int]

VALUES = 2**20
"""Pixel values of an image's views that go through the network in one call: all views of a small image together, a few
of a large one, so that a batch of 32 stays within memory."""


@dataclass(frozen=True)
class Network:
    """What a policy's inputs are predicted by.

    Attributes:
        call: inputs `[n, H, W, channels]` float32, preprocessed, to what the last layer gives, `[n, units]`.
        input_shape: `(H, W, channels)`. preprocessing: what is done to pixels. output: what the last layer gives.
    """

    call: Function
    input_shape: Shape
    preprocessing: Preprocessing
    output: Output

    def logits(self, pixels: Any) -> Any:
        """Pixels `[n, H, W, channels]` float32 in [0, 255] to logits `[n, C]` float64."""
        return ops.cast(_to_logits(self.call(_prepared(pixels, self.preprocessing)), self.output), "float64")


def policy_function(
    fitted: Fitted, views: Sequence[View], network: Network, *, image_shape: Shape, temperature: float
) -> Function:
    """Images `[n, h, w, channels]` uint8 to calibrated probabilities `[n, C]` float32.

    Where images differ in the passes that they need, the function takes tensors only; else it may also be called on a
    Keras input. Views that the aggregation gives no weight are left out.

    Args:
        fitted: the aggregation of the views, in their order.
        views: all of them.
        network: predicts them.
        image_shape: `(h, w, channels)` of the raw images.
        temperature: applied after the aggregation.

    Raises:
        ModelError: for a view or an aggregation that has no form in a graph.
        DataError: for images that do not fit a view or the network.
    """
    size = network.input_shape[:2]
    if isinstance(fitted, FittedEarlyExit):
        views = [views[place] for place in fitted.order]
        fitted = fitted.inner
    if skips(fitted):
        steps = [graph_view(view, image_shape=image_shape, size=size) for view in views]
        log_probs = skipping(fitted, _passes(steps, network, image_shape))
    else:
        merged = merge(fitted, len(views))
        steps = [graph_view(views[place], image_shape=image_shape, size=size) for place in merged.places]

        def log_probs(pixels: Any) -> Any:
            return merged.run(_several(pixels, steps, network))

    def run(images: Any) -> Any:
        return ops.cast(ops.exp(log_softmax(log_probs(ops.cast(images, "float32")) / temperature)), "float32")

    return run


def _passes(steps: Sequence[Function], network: Network, image_shape: Shape) -> Passes:
    def told(step: Function) -> Function:
        # The shape, again, where images were picked out in a loop or a branch: the converter to ONNX loses it there.
        return lambda pixels: step(tf.reshape(pixels, (-1, *image_shape)))

    steps = [told(step) for step in steps]

    def one(pixels: Any, place: Any) -> Any:
        if isinstance(place, int):
            return network.logits(steps[place](pixels))
        return network.logits(tf.ensure_shape(_step_at(place, steps, pixels), (None, *network.input_shape)))

    def several(pixels: Any, places: tuple[int, ...]) -> Any:
        return _several(pixels, [steps[place] for place in places], network)

    return Passes(len(steps), one, several)


def _step_at(place: Any, steps: Sequence[Function], pixels: Any) -> Any:
    """One of the steps, whose place is a tensor; found by halving, because ONNX has no choice among more than two."""
    if len(steps) == 1:
        return steps[0](pixels)
    half = len(steps) // 2
    return tf.cond(
        place < half,
        lambda: _step_at(place, steps[:half], pixels),
        lambda: _step_at(place - half, steps[half:], pixels),
    )


def _several(pixels: Any, steps: Sequence[Function], network: Network) -> Any:
    """Logits `[V, n, C]` of V views, several of them in one call of the network."""
    group = max(1, VALUES // int(np.prod(network.input_shape)))
    found: list[Any] = []
    for start in range(0, len(steps), group):
        some = [step(pixels) for step in steps[start : start + group]]
        if len(some) == 1:
            found.append(network.logits(some[0]))
        else:
            found += ops.split(network.logits(ops.concatenate(some, axis=0)), len(some), axis=0)
    return ops.stack(found, axis=0)


def _prepared(pixels: Any, preprocessing: Preprocessing) -> Any:
    """As `Preprocessing` itself does it."""
    if preprocessing.channel_order == "bgr":
        pixels = ops.flip(pixels, axis=-1)
    if preprocessing.scale != 1.0:
        pixels = pixels * float(np.float32(preprocessing.scale))
    if preprocessing.mean != (0.0,):
        pixels = pixels - np.asarray(preprocessing.mean, np.float32)
    if preprocessing.std != (1.0,):
        pixels = pixels / np.asarray(preprocessing.std, np.float32)
    return pixels


def _to_logits(values: Any, output: Output) -> Any:
    """As `harness.models.predictor.to_logits` does it."""
    if output.kind == "logits":
        return ops.concatenate([ops.zeros_like(values), values], axis=1) if output.units == 1 else values
    probs = ops.concatenate([1.0 - values, values], axis=1) if output.units == 1 else values
    return ops.log(ops.maximum(probs, TINY))
