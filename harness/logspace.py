"""Sums of exponentials and normalisation in log space, in float64: nothing underflows."""

import numpy as np


def logsumexp(values: np.ndarray, *, axis: int) -> np.ndarray:
    """log(sum(exp(values))) along `axis`, which is kept with length one; minus infinity where all values are.

    Values are float64 and never plus infinity.
    """
    largest = values.max(axis=axis, keepdims=True)
    shifted = np.exp(values - np.where(np.isfinite(largest), largest, 0.0))
    with np.errstate(divide="ignore"):
        total: np.ndarray = largest + np.log(shifted.sum(axis=axis, keepdims=True))
    return total


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities float64 of logits `[..., C]`, normalised over the last axis.

    The largest logit is taken off first, so that a small difference between large logits is kept.
    """
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised
