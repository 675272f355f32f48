"""Resampling intervals of the expected calibration error, for many policies over the same resamples."""

import numpy as np

from harness.intervals import bootstrap_means
from harness.reliability import BINS, bin_of, equal_mass_edges, equal_width_edges
from harness.types import Estimate

METHOD = "paired bootstrap, basic; from zero where calibrated is not rejected"

_NUMBERS = 1 << 22  # gaps held at once: 32 MiB


def ece_intervals(
    confidence: np.ndarray,
    correct: np.ndarray,
    *,
    resamples: int,
    seed: int,
    level: float,
    bins: int = BINS,
    equal_mass: bool = False,
) -> tuple[Estimate, ...]:
    """The expected calibration error of P policies, each with its interval over shared resamples of the examples.

    A bin's share of ECE is |sum over its examples of (correct - confidence)| / N, and the sum of a resample is linear
    in how often it draws each example: one matrix product gives the signed gaps g_b of all bins, policies and
    resamples, and ECE = sum over b of |g_b|. Bins are those of all examples (equal-mass edges are not drawn again), and
    the resamples are those of `bootstrap_means`.

    A resample's ECE carries the noise of the examples and that of the resample, so that it lies above the value it
    stands for, and percentiles never reach down to a calibrated policy. Hence the basic interval
    [2 ECE - upper percentile, 2 ECE - lower percentile] (Davison and Hinkley 1997, "Bootstrap methods and their
    application", chapter 5), which turns this around, cut to [0, 1] and to hold ECE. Its lower end is zero where the
    error may be noise alone: where ECE is at most the upper percentile of sum over b of |g_b of the resample - g_b|,
    which is how ECE is spread for a calibrated policy. In simulations with N of 1,000 and 10,000 and a true ECE from 0
    to 0.05 this covers 86 to 98 % at a level of 95 %, and the percentile interval 0 to 97 %.

    Args:
        confidence: `[N, P]` float64 in [0, 1].
        correct: `[N, P]` bool.
        resamples: B of the bootstrap.
        seed: of the resamples.
        level: coverage aimed at.
        bins: number of bins.
        equal_mass: bins of equally many examples (`equal_mass_edges`) where true, else of equal width.

    Raises:
        ValueError: for a level outside (0, 1), and as `bootstrap_means`.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}")
    examples, policies = confidence.shape
    together = max(1, _NUMBERS // (max(examples, 1) * bins))
    found: list[Estimate] = []
    for start in range(0, policies, together):
        part = slice(start, start + together)
        gaps = _signed_gaps(confidence[:, part], correct[:, part], bins=bins, equal_mass=equal_mass)
        drawn = bootstrap_means(gaps.reshape(examples, -1), resamples=resamples, seed=seed)
        shares = gaps.mean(axis=0)
        resampled = drawn.reshape(resamples, *shares.shape)
        found += [_interval(one, resampled[:, p], level=level) for p, one in enumerate(shares)]
    return tuple(found)


def _signed_gaps(confidence: np.ndarray, correct: np.ndarray, *, bins: int, equal_mass: bool) -> np.ndarray:
    """Correct - confidence `[N, P, bins]` float64 at the bin of each example, zero at the others."""
    gaps = np.zeros((*confidence.shape, bins))
    for p, column in enumerate(confidence.T):
        edges = equal_mass_edges(column, bins) if equal_mass else equal_width_edges(bins)
        gaps[np.arange(len(column)), p, bin_of(column, edges)] = correct[:, p] - column
    return gaps


def _interval(share: np.ndarray, drawn: np.ndarray, *, level: float) -> Estimate:
    """From signed shares `[bins]` of the examples and `[B, bins]` of the resamples."""
    value = float(np.abs(share).sum())
    low, high = np.quantile(np.abs(drawn).sum(axis=1), [(1 - level) / 2, (1 + level) / 2])
    noise = np.quantile(np.abs(drawn - share).sum(axis=1), (1 + level) / 2)
    lower = 0.0 if value <= noise else float(np.clip(2 * value - high, 0.0, value))
    return Estimate(value, lower, float(np.clip(2 * value - low, value, 1.0)), level=level, method=METHOD)
