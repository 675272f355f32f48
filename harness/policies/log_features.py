"""Log-probabilities as features of a regression: no lower than those of one in a million millions."""

import numpy as np

from harness.logspace import log_softmax

LOWEST = float(np.log(1e-12))
"""Below it a view is certain; how certain would only let single examples rule a fit."""


def floored_log_probs(logits: np.ndarray) -> np.ndarray:
    """max(log p, log 1e-12) float64 of logits `[..., C]`."""
    return np.asarray(np.maximum(log_softmax(logits), LOWEST))
