"""A fitted aggregation over all examples of a split, a block at a time."""

from dataclasses import dataclass

import numpy as np

from harness.errors import ConfigError
from harness.policies.base import Fitted
from harness.policies.logits import BLOCK, ViewLogits


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a policy says about every example of a split, and what that cost.

    Attributes:
        log_probs: `[N, C]` float64.
        passes: `[N]` int64, forward passes that each example needed.
    """

    log_probs: np.ndarray
    passes: np.ndarray


def predict(fitted: Fitted, logits: ViewLogits, *, name: str, block: int = BLOCK) -> Predicted:
    """The predictions of a fitted aggregation; only the `[N, C]` result is held in memory.

    Args:
        fitted: applied to the views in their order.
        logits: `[V, N, C]`, finite.
        name: the aggregation's, for messages.
        block: about how many logits (over views, examples and classes) are worked on at once; changes no result.

    Raises:
        ConfigError: for an aggregation (of another package) that does not return finite log-probabilities `[n, C]`.
    """
    _, examples, classes = logits.shape
    log_probs, passes = np.empty((examples, classes)), np.empty(examples, np.int64)
    for part, stacked in logits.blocks(values=block):
        found = fitted(stacked)
        _check(found, stacked.shape[1:], name=name)
        log_probs[part], passes[part] = found, fitted.passes(stacked)
    return Predicted(log_probs, passes)


def _check(found: np.ndarray, shape: tuple[int, ...], *, name: str) -> None:
    right = f"aggregation {name!r} must return log-probabilities {shape}"
    if np.shape(found) != shape:
        raise ConfigError(f"{right}, got {np.shape(found)}")
    if not np.isfinite(found).all() or (found > 1e-6).any():
        raise ConfigError(f"{right}: finite numbers at or below zero")
    off = float(np.abs(np.exp(found).sum(axis=1) - 1).max())
    if off > 1e-6:
        raise ConfigError(f"{right}: the probabilities of an example must sum to one, got a row off by {off:.2g}")
