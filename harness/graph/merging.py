"""Fixed and learned aggregations from Keras operations: the numbers of their NumPy twins within float64 rounding.

z are logits `[V, n, C]` float64, l their log-probabilities; every function gives log-probabilities `[n, C]` float64.
What a policy leaves out for all images (a view of weight zero) is left out of the graph.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend import keras
from harness.errors import ModelError
from harness.graph.base import spread
from harness.graph.logspace import expm1, log1p, log_softmax, logaddexp, logsumexp, top
from harness.policies import anchored, confident, fixed, votes
from harness.policies.accuracy_preserving import STEP, AnchoredMixture
from harness.policies.base import Fitted
from harness.policies.classtta import Chosen, ClassWeights
from harness.policies.covariance import FLOOR, SignedMean
from harness.policies.greedy import GreedyMean
from harness.policies.log_features import LOWEST
from harness.policies.stacking import LogisticStack
from harness.policies.weighted import WeightedMean

ops = keras.ops

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Merge:
    """An aggregation that needs the same views of every image.

    Attributes:
        places: of the views that it needs, in the order in which it wants them.
        run: their logits `[len(places), n, C]` float64 to log-probabilities `[n, C]` float64.
    """

    places: tuple[int, ...]
    run: Function


def merge(fitted: Fitted, views: int) -> Merge:
    """The aggregation of so many views as a function of tensors.

    Raises:
        ModelError: for an aggregation that has no form there: one of another package, or an adaptive one.
    """
    build = BUILDERS.get(type(fitted))
    if build is None:
        raise ModelError(
            f"aggregation {getattr(fitted, 'kind', type(fitted).__name__)} cannot be put in a graph: it is none of the "
            f"harness's own, see `harness list aggregations`"
        )
    return build(fitted, views)


def _all(function: Function) -> Callable[[Any, int], Merge]:
    """A builder for what has no parameters and needs all views."""
    return lambda _fitted, views: Merge(tuple(range(views)), function)


def log_mean(log_probs: Any) -> Any:
    """log(mean over views of p)."""
    return logsumexp(log_probs) - math.log(log_probs.shape[0])


def _mean_probs(z: Any) -> Any:
    return log_mean(log_softmax(z))


def _mean_logits(z: Any) -> Any:
    return log_softmax(ops.mean(z, axis=0))


def _gmean(z: Any) -> Any:
    return log_softmax(ops.mean(log_softmax(z), axis=0))


def _power_mean(z: Any, power: float) -> Any:
    log_probs = log_softmax(z)
    largest = ops.max(log_probs, axis=0) if power > 0 else ops.min(log_probs, axis=0)
    powers = expm1((log_probs - largest) * power)
    return log_softmax(largest + log1p(ops.mean(powers, axis=0)) / power)


def _log_odds(z: Any) -> Any:
    log_probs = log_softmax(z)
    is_top = top(log_probs) > 0
    others = ops.where(is_top, -math.inf, log_probs)
    largest = ops.max(others, axis=-1, keepdims=True)
    of_others = ops.log(ops.sum(ops.exp(others - largest), axis=-1, keepdims=True)) + largest
    log_rest = ops.where(is_top, of_others, ops.log(1.0 - ops.exp(others)))
    return log_softmax(-ops.softplus(-ops.mean(log_probs - log_rest, axis=0)))


def _trimmed(z: Any, cut: int) -> Any:
    ordered = ops.sort(log_softmax(z), axis=0)
    return log_softmax(log_mean(ordered[cut : z.shape[0] - cut, ...]))


def _vote(z: Any) -> Any:
    return _shared_out(ops.sum(top(z), axis=0), log_mean(log_softmax(z)))


def _shared_out(counts: Any, log_probs: Any) -> Any:
    """log((votes + p) / (all votes + 1)); exact also where p alone would underflow."""
    shared = ops.where(counts > 0, ops.log(ops.maximum(counts, 1.0) + ops.exp(log_probs)), log_probs)
    return shared - ops.log(ops.sum(counts, axis=-1, keepdims=True) + 1.0)


def entropy(log_probs: Any) -> Any:
    """In nats, over the last axis."""
    return -ops.sum(ops.exp(log_probs) * log_probs, axis=-1)


def _entropy_weighted(z: Any) -> Any:
    log_probs = log_softmax(z)
    certainty = ops.maximum(math.log(z.shape[-1]) - entropy(log_probs), 0.0)
    certainty = ops.where(ops.max(certainty, axis=0, keepdims=True) > 0, certainty, 1.0)
    return log_softmax(logsumexp(spread(log_probs, ops.log(certainty)[..., None])))


def _entropy_softmax(z: Any, t: float) -> Any:
    log_probs = log_softmax(z)
    return log_softmax(logsumexp(log_probs - entropy(log_probs)[..., None] / t))


def _confident_vote(z: Any, fraction: float) -> Any:
    views, log_probs, winners = z.shape[0], log_softmax(z), top(z)
    rank = ranks(entropy(log_probs))
    kept = max(1, math.ceil(fraction * views - 1e-9))
    voting = (rank < kept)[..., None]
    counts = ops.sum(ops.where(voting, winners, 0.0), axis=0)
    tied = ops.cast(counts >= ops.max(counts, axis=-1, keepdims=True), "float64")
    # The most certain further view that is for one of the tied classes, where there are several.
    breaks = (rank >= kept) & (ops.sum(winners * tied, axis=-1) > 0) & (ops.sum(tied, axis=-1) > 1)
    first = ops.min(ops.where(breaks, rank, views), axis=0)
    counts = counts + ops.sum(ops.where((breaks & (rank <= first))[..., None], winners, 0.0), axis=0)
    mean = logsumexp(ops.where(voting, log_probs, -math.inf)) - math.log(kept)
    return _shared_out(counts, mean)


def ranks(values: Any) -> Any:
    """The place of each view of `[V, n]` in increasing order, from 0, as int32; equal ones in the order of views."""
    views = values.shape[0]
    earlier = np.arange(views)[:, None, None] < np.arange(views)[None, :, None]
    before = (values[:, None] < values[None, ...]) | ((values[:, None] <= values[None, ...]) & earlier)
    return ops.sum(ops.cast(before, "int32"), axis=0)


def _weighted(space: str, weights: tuple[float, ...]) -> Merge:
    places = tuple(place for place, weight in enumerate(weights) if weight != 0)
    used = np.array([weights[place] for place in places])[:, None, None]
    if space == "logits":
        return Merge(places, lambda z: log_softmax(ops.sum(z * used, axis=0)))
    return Merge(places, lambda z: log_softmax(logsumexp(spread(log_softmax(z), np.log(used)))))


def _signed(fitted: SignedMean, _views: int) -> Merge:
    places = tuple(place for place, weight in enumerate(fitted.weights) if weight != 0)
    used = np.array([fitted.weights[place] for place in places])[:, None, None]

    def run(z: Any) -> Any:
        return log_softmax(ops.log(ops.maximum(ops.sum(ops.exp(log_softmax(z)) * used, axis=0), FLOOR)))

    return Merge(places, run)


def _class_weights(fitted: ClassWeights, _views: int) -> Merge:
    places = tuple(place for place, row in enumerate(fitted.weights) if any(row)) or (0,)
    used = np.array([fitted.weights[place] for place in places])[:, None, :]
    return Merge(places, lambda z: log_softmax(ops.sum(z * used, axis=0)))


def _anchor(fitted: Any, views: int) -> Merge:
    mean = fitted.mean(views)
    return _weighted(mean.space, mean.weights)


def _stack(fitted: LogisticStack, views: int) -> Merge:
    def run(z: Any) -> Any:
        features = ops.transpose(ops.maximum(log_softmax(z), LOWEST), (1, 0, 2))
        flat = ops.reshape(features, (-1, len(fitted.coefficients)))
        return log_softmax(ops.matmul(flat, fitted.coefficients) + fitted.intercept)

    return Merge(tuple(range(views)), run)


def _mixture(fitted: AnchoredMixture, views: int) -> Merge:
    weights, omega = np.array(fitted.weights).T[:, None, :], fitted.omega

    def run(z: Any) -> Any:
        plain, mixed = log_softmax(z[0]), log_softmax(ops.sum(z[1:, ...] * weights, axis=0))
        kept = top(plain)
        result = plain  # where no multiple of the step keeps the class
        steps = _steps(plain, mixed, kept, omega)
        # The formula is right but for rounding, so one step more is tried; the fewest steps that do come last here.
        for lowered in (_lowered(omega, steps + 2.0), _lowered(omega, steps + 1.0), _lowered(omega, steps), omega):
            share = lowered + ops.zeros_like(steps)
            tried = logaddexp(ops.log(1.0 - share) + plain, ops.log(share) + mixed)
            result = ops.where(ops.sum(top(tried) * kept, axis=-1, keepdims=True) > 0, tried, result)
        return result

    return Merge(tuple(range(views)), run)


def _steps(plain: Any, mixed: Any, kept: Any, omega: float) -> Any:
    """How often omega is lowered for sure, `[n, 1]`, as `harness.policies.accuracy_preserving` finds it."""
    p, q = ops.exp(plain), ops.exp(mixed)
    ahead = ops.sum(kept * p, axis=-1, keepdims=True) - p
    behind = ops.maximum(q - ops.sum(kept * q, axis=-1, keepdims=True), 0.0)
    most = ops.where(behind > 0, ahead / ops.where(behind > 0, ahead + behind, 1.0), 1.0)
    return ops.maximum(ops.ceil((omega - ops.min(most, axis=-1, keepdims=True)) / STEP) - 1.0, 1.0)


def _lowered(omega: float, steps: Any) -> Any:
    down = omega - STEP * steps
    return ops.where(down < STEP / 10, 0.0, down)


BUILDERS: dict[type[Fitted], Callable[[Any, int], Merge]] = {
    fixed.MeanProbs: _all(_mean_probs),
    fixed.MeanLogits: _all(_mean_logits),
    fixed.GMeanProbs: _all(_gmean),
    fixed.HMeanProbs: _all(lambda z: _power_mean(z, -1.0)),
    fixed.PowerMeanProbs: lambda fitted, views: _all(lambda z: _power_mean(z, fitted.power))(fitted, views),
    fixed.LogOddsProbs: _all(_log_odds),
    fixed.MaxProbs: _all(lambda z: log_softmax(ops.max(log_softmax(z), axis=0))),
    fixed.MaxLogits: _all(lambda z: log_softmax(ops.max(z, axis=0))),
    fixed.MinProbs: _all(lambda z: log_softmax(ops.min(log_softmax(z), axis=0))),
    fixed.MedianProbs: lambda fitted, views: _all(lambda z: _trimmed(z, (views - 1) // 2))(fitted, views),
    fixed.TrimmedMeanProbs: lambda fitted, views: _all(lambda z: _trimmed(z, fitted.cut(views)))(fitted, views),
    votes.Vote: _all(_vote),
    anchored.AnchorProbs: _anchor,
    anchored.AnchorLogits: _anchor,
    confident.EntropyWeightedProbs: _all(_entropy_weighted),
    confident.EntropySoftmaxProbs: lambda fitted, views: _all(lambda z: _entropy_softmax(z, fitted.t))(fitted, views),
    confident.ConfidentVote: lambda fitted, views: _all(lambda z: _confident_vote(z, fitted.fraction))(fitted, views),
    WeightedMean: lambda fitted, _views: _weighted(fitted.space, fitted.weights),
    GreedyMean: lambda fitted, _views: _weighted(fitted.space, fitted.weights),
    SignedMean: _signed,
    ClassWeights: _class_weights,
    Chosen: lambda fitted, views: merge(fitted.fitted, views),
    AnchoredMixture: _mixture,
    LogisticStack: _stack,
}
