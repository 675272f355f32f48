"""Log-odds of every other class against the label, for many policies at once: all that scores and temperatures need.

With r_c the log-probability of class c minus that of the label, and b one over the temperature, an example's NLL is
log(1 + sum over c of exp(b r_c)); its derivatives in b are the mean and the variance of r under softmax(b r), where the
label has r = 0. The label is right where no r is above zero.

Letters: P policies, p of them in a chunk, V views, N examples, n of them in a block, C classes.
Numbers are float32, and float64 in blocks where views differ so much that float32 would underflow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.logspace import logsumexp
from harness.policies.logits import ViewLogits
from harness.policies.weighted import Space, WeightedMean

_CHUNK = 1 << 17  # numbers of a chunk [C, p, n]: a few float32 arrays of this size stay in the processor's cache
_POLICIES = 128  # of a chunk, at most: matrix products are fast from there on
_SPREAD = 80.0  # exp(-80) is still far above the smallest float32
_UNDERFLOW = -700.0  # exp(-700) is just above the smallest float64


class Mixtures(Protocol):
    """P policies, each a weighted mean of the same V views."""

    @property
    def space(self) -> Space:
        """What is averaged: `probs` or `logits`."""

    def __len__(self) -> int:
        """P."""

    def weights_of(self, which: np.ndarray, /) -> np.ndarray:
        """The weights `[p, V]` float64 of the policies `which [p]`."""

    def mix(self, values: np.ndarray, which: np.ndarray, /) -> np.ndarray:
        """The weighted means `[C, p, n]` of the views' values `[C, V, n]`, of the same dtype, as a new array."""

    def policy(self, place: int, /) -> WeightedMean:
        """One of them."""


@dataclass(frozen=True, eq=False)
class Block:
    """The views' values on some examples, classes first, where the label has changed places with class 0.

    Attributes:
        rows: which examples.
        values: `[C, V, n]`; exp(log-probability - shift), or the logit minus the label's logit.
        shift: `[C, 1, n]`, the largest log-probability over views; zero for logits.
        logs: the logarithm of `values`, float64, where these may have underflowed; else None.
        rounding: `[n]`, how far float32 may move a log-odds that is near zero, where absolute weights sum to one.
    """

    rows: slice
    values: np.ndarray
    shift: np.ndarray
    logs: np.ndarray | None
    rounding: np.ndarray

    def log_odds(self, policies: Mixtures, which: np.ndarray) -> np.ndarray:
        """`[C - 1, p, n]` for the policies `which [p]`: every class but the label, against the label."""
        if policies.space == "logits":
            return policies.mix(self.values[1:], which)
        mixed = policies.mix(self.values, which)
        with np.errstate(divide="ignore"):
            logs = np.log(mixed, out=mixed)
        if self.logs is not None:
            _repair(logs, self.logs, policies.weights_of(which))
        logs += self.shift
        logs[1:] -= logs[0]
        odds: np.ndarray = logs[1:]
        return odds

    def tolerance(self, policies: Mixtures, which: np.ndarray) -> np.ndarray:
        """How near to zero `[p, n]` the sign of a log-odds is not to be trusted."""
        sizes: np.ndarray = np.abs(policies.weights_of(which)).sum(axis=1)
        found: np.ndarray = sizes[:, None] * self.rounding
        return found


def blocks(logits: ViewLogits, labels: np.ndarray, *, space: Space, policies: int) -> Iterator[Block]:
    """All examples in order, as many at once as suit chunks of `policies` policies."""
    views, _, classes = logits.shape
    per_example = classes * max(views, min(policies, _POLICIES))
    for rows, raw in logits.blocks(values=views * classes * max(1, _CHUNK // per_example)):
        yield _block(rows, raw, labels[rows], space=space)


def parts(which: np.ndarray) -> Iterator[np.ndarray]:
    """The policies `which [P]`, some at a time."""
    for start in range(0, len(which), _POLICIES):
        yield which[start : start + _POLICIES]


def chunks(
    policies: Mixtures, logits: ViewLogits, labels: np.ndarray, *, which: np.ndarray
) -> Iterator[tuple[np.ndarray, Block, np.ndarray]]:
    """Some policies on some examples at a time, as (which policies `[p]`, the examples, log-odds `[C - 1, p, n]`)."""
    for block in blocks(logits, labels, space=policies.space, policies=len(which)):
        for some in parts(which):
            yield some, block, block.log_odds(policies, some)


def exact_log_probs(policies: Mixtures, place: int, logits: ViewLogits) -> np.ndarray:
    """Log-probabilities `[N, C]` float64 of one policy, by `WeightedMean` itself."""
    policy = policies.policy(place)
    return np.concatenate([policy(raw) for _, raw in logits.blocks()])


def _block(rows: slice, raw: np.ndarray, labels: np.ndarray, *, space: Space) -> Block:
    rounding = (len(raw) + 32) * float(np.finfo(np.float32).eps)
    if space == "logits":
        values = _label_first(np.asarray(raw, np.float64), labels)
        values -= values[0].copy()
        largest = np.abs(values).max(axis=(0, 1))
        return Block(rows, values.astype(np.float32), np.zeros((1, 1, 1), np.float32), None, rounding * largest)
    logs = _label_first(np.asarray(raw, np.float64), labels)
    logs -= logs.max(axis=0)
    logs -= np.log(np.exp(logs).sum(axis=0))  # over the first axis: `log_softmax`, several times faster
    shift = logs.max(axis=1, keepdims=True)
    logs -= shift
    dtype = np.float32 if logs.min() > -_SPREAD else np.float64
    deep = logs if dtype == np.float64 else None
    return Block(rows, np.exp(logs).astype(dtype), shift.astype(dtype), deep, np.full(len(labels), rounding))


def _repair(logs: np.ndarray, of_views: np.ndarray, weights: np.ndarray) -> None:
    """Works out in log space, in place, the few `logs [C, p, n]` whose weighted means underflowed."""
    classes, places, examples = np.nonzero(logs < _UNDERFLOW)
    with np.errstate(divide="ignore"):
        terms = of_views[classes, :, examples] + np.log(weights)[places]
    logs[classes, places, examples] = logsumexp(terms, axis=1)[:, 0]


def _label_first(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[V, n, C]` to `[C, V, n]`, where in each example the label and class 0 have changed places."""
    moved = np.ascontiguousarray(values.transpose(2, 0, 1))
    examples = np.arange(len(labels))
    of_label = moved[labels, :, examples]
    moved[labels, :, examples] = moved[0].T
    moved[0] = of_label.T
    return moved


def nll(odds: np.ndarray, b: np.ndarray) -> np.ndarray:
    """NLL `[p, n]` in nats, after the temperatures 1 / `b [p]`, from log-odds `[C - 1, p, n]`."""
    _, largest, total = _exponentials(odds, b)
    found: np.ndarray = np.log(total, out=total)
    found += largest
    return found


def derivatives(odds: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums over examples of the NLL and of its first and second derivative in b, `[3, p]` float64."""
    weights, largest, total = _exponentials(odds, b)
    values = np.log(total) + largest
    weights *= odds
    slope = weights.sum(axis=0) / total
    curvature = np.einsum("cpn,cpn->pn", weights, odds) / total - slope**2
    return np.stack([part.sum(axis=1, dtype=np.float64) for part in (values, slope, curvature)])


def _exponentials(odds: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """exp(b r - m), m = max(0, largest b r), and the sum of all with the label's exp(-m)."""
    scaled = odds * b.astype(odds.dtype)[:, None]
    largest = np.maximum(scaled.max(axis=0), 0)
    scaled -= largest
    weights: np.ndarray = np.exp(scaled, out=scaled)
    return weights, largest, weights.sum(axis=0) + np.exp(-largest)
