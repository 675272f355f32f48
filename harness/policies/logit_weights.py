"""What AugTTA and ClassTTA share: the NLL of weighted logits, its slope and curvature, and the published descent.

The model is log_softmax over classes c of sum over views v of theta_vc z_vc; AugTTA is the case theta_vc = w_v.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.policies.logits import ViewLogits

Method = Literal["converged", "published"]
Blocks = Iterable[tuple[np.ndarray, np.ndarray]]

RATE, MOMENTUM, DECAY, BATCH = 0.01, 0.9, 1e-4, 1000
"""The published descent: learning rate, momentum, weight decay, examples in a batch."""
VALUES = 1 << 20  # logits in a block
KEPT_BYTES = 200_000_000  # float64 logits up to this size stay in memory between passes


@dataclass(frozen=True, eq=False)
class _ReadAgain:
    """The fit examples, read and converted anew each time they are gone over."""

    logits: ViewLogits
    labels: np.ndarray

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for where, block in self.logits.blocks(values=VALUES):
            yield np.ascontiguousarray(block.transpose(2, 0, 1), np.float64), self.labels[where]


def blocks_of(logits: ViewLogits, labels: np.ndarray) -> Blocks:
    """The examples as (logits `[C, V, n]` float64, labels `[n]`), in blocks; kept in memory where they are few."""
    blocks = _ReadAgain(logits, labels)
    return list(blocks) if 8 * int(np.prod(logits.shape)) <= KEPT_BYTES else blocks


def mean_nll(blocks: Blocks, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean NLL in nats of log_softmax_c(sum over views of theta_vc z_vc), and its slope in theta.

    Args:
        blocks: what `blocks_of` gives.
        theta: `[V, C]` float64; the slope has its shape.
    """
    total, slope, examples = 0.0, np.zeros(theta.shape), 0
    for logits, labels in blocks:
        log_probs = _log_probs(logits, theta)
        of_label = (labels, np.arange(len(labels)))
        total -= float(log_probs[of_label].sum())
        error = np.exp(log_probs)
        error[of_label] -= 1
        slope += (logits @ error[:, :, None])[:, :, 0].T
        examples += len(labels)
    return total / examples, slope / examples


def curvature(blocks: Blocks, weights: np.ndarray) -> np.ndarray:
    """Second derivatives `[V, V]` of the mean NLL where all classes share the weights `[V]`.

    They are the mean over examples of the covariance of the views' logits under the predicted distribution.
    """
    views = len(weights)
    found, examples = np.zeros((views, views)), 0
    for logits, labels in blocks:
        probs = np.exp(_log_probs(logits, np.repeat(weights[:, None], len(logits), axis=1)))[:, None, :]
        centred = logits - (probs * logits).sum(axis=0)
        centred *= np.sqrt(probs)
        found += (centred @ centred.transpose(0, 2, 1)).sum(axis=0)
        examples += len(labels)
    return found / examples


def _log_probs(logits: np.ndarray, theta: np.ndarray) -> np.ndarray:
    scores: np.ndarray = (np.ascontiguousarray(theta.T)[:, None, :] @ logits)[:, 0]
    scores -= scores.max(axis=0)
    scores -= np.log(np.exp(scores).sum(axis=0))
    return scores


def published_descent(
    logits: ViewLogits,
    labels: np.ndarray,
    *,
    start: np.ndarray,
    slope: Callable[[Blocks, np.ndarray], np.ndarray],
    epochs: int,
) -> np.ndarray:
    """Theta after SGD with momentum and weight decay over batches of 1,000 in file order, cut at zero after each step.

    Shanmugam, Blalock, Balakrishnan and Guttag (2021), "Better Aggregation in Test-Time Augmentation".
    The momentum goes on growing where theta is cut, as there.

    Args:
        logits: [V, N, C].
        labels: `[N]` int64.
        start: theta, of any shape.
        slope: blocks of a batch and theta to the slope of its mean NLL, shaped as theta.
        epochs: how often all batches are gone over.
    """
    theta, velocity = start, np.zeros(start.shape)
    batches = _batches(logits, labels)
    for _ in range(epochs):
        for batch in batches:
            velocity = MOMENTUM * velocity + slope(batch, theta) + DECAY * theta
            moved = np.maximum(theta - RATE * velocity, 0.0)
            # Weights that are all zero say nothing, and dividing by their sum fails: such a step is not taken.
            theta = moved if moved.any() else theta
    return theta


def _batches(logits: ViewLogits, labels: np.ndarray) -> list[Blocks]:
    size = logits.shape[1]
    few = 8 * int(np.prod(logits.shape)) <= KEPT_BYTES
    parts = [np.arange(first, min(first + BATCH, size)) for first in range(0, size, BATCH)]
    return [list(read) if few else read for read in (_ReadAgain(logits.take(part), labels[part]) for part in parts)]
