"""Protocols of the literature that look at test labels: for comparison with published tables only."""

from collections.abc import Iterator

import numpy as np

from harness.calibration import calibrated_nll, fit_temperature

REPEATS = 5


def paper_calibrated_nll(log_probs: np.ndarray, labels: np.ndarray, *, seed: int) -> float:
    """Calibrated NLL as papers report it, in nats: **its temperature is fitted on test labels**.

    Test is split into two random halves; the temperature of each half scores the other; the mean of both, and of five
    such splits: ten numbers. Minus the calibrated log-likelihood of Ashukha, Lyzhov, Molchanov and Vetrov (2020),
    "Pitfalls of in-domain uncertainty estimation and ensembling in deep learning". One parameter is fitted, so that the
    optimism is small, but nothing may be chosen or shipped by this number: that is what `nll_calibrated`, with the
    temperature from validation, is for.

    Args:
        log_probs: `[N, C]` float64 of the test split, after the aggregation.
        labels: `[N]` int64 in [0, C).
        seed: of the halves, which depend on it and N alone: policies are compared over the same halves.

    Raises:
        ValueError: for fewer than two examples.
    """
    if len(labels) < 2:
        raise ValueError(f"two halves need at least two examples, got {len(labels)}")
    scored = [
        calibrated_nll(
            log_probs[held], labels[held], temperature=fit_temperature(log_probs[fitted], labels[fitted])
        ).mean()
        for fitted, held in _halves(len(labels), seed)
    ]
    return float(np.mean(scored))


def _halves(examples: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices to fit on and to score, ten times; the first half holds the odd example."""
    stream = np.random.default_rng(seed)
    for _ in range(REPEATS):
        first, second = np.array_split(stream.permutation(examples), 2)
        yield first, second
        yield second, first
