"""Tests of two classifiers on the same examples, and corrections for many policies."""

from collections.abc import Sequence
from typing import overload

import numpy as np


@overload
def mcnemar_exact(corrected: int, corrupted: int) -> float: ...
@overload
def mcnemar_exact(corrected: np.ndarray, corrupted: np.ndarray) -> np.ndarray: ...
def mcnemar_exact(corrected: int | np.ndarray, corrupted: int | np.ndarray) -> float | np.ndarray:
    """Two-sided exact p of McNemar's test, in (0, 1].

    Of the examples on which exactly one of two classifiers is right, each is as likely to be the one's or the other's
    if neither is better: p = min(1, 2 * P(X <= min(corrected, corrupted))), X ~ Binomial(corrected + corrupted, 1/2).
    One where no example differs. McNemar (1947), in its exact form.

    Args:
        corrected: examples that the first gets wrong and the second right: a number, or integers of any shape.
        corrupted: the reverse.

    Returns:
        A number for numbers, else float64 of the shape of the arguments.

    Raises:
        ValueError: for a negative count.
    """
    from scipy.special import betainc

    up, down = np.asarray(corrected), np.asarray(corrupted)
    if (up < 0).any() or (down < 0).any():
        raise ValueError(f"counts are not negative, got {corrected} and {corrupted}")
    fewer, differing = np.minimum(up, down), up + down
    # P(X <= k) = I_{1/2}(n - k, k + 1), the regularised incomplete beta function; where n = 2k the p is one, and n - k
    # may be zero, for which it is not defined.
    tail = betainc(np.maximum(differing - fewer, 1), fewer + 1, 0.5)
    p = np.where(up == down, 1.0, np.minimum(1.0, 2.0 * tail))
    return p if p.ndim else float(p)


def paired_t(differences: np.ndarray) -> np.ndarray:
    """Two-sided p, in [0, 1], of Student's paired t-test that the mean difference is zero.

    t = mean / (s / sqrt(N)) with N - 1 degrees of freedom, s the standard deviation over N - 1. Student (1908). One
    where all differences of a column are zero.

    Args:
        differences: `[N]` or `[N, K]` float64, one classifier's score minus the other's on each example; N >= 2.

    Returns:
        `[]` or `[K]` float64.

    Raises:
        ValueError: for fewer than two examples.
    """
    from scipy.special import stdtr

    examples = len(differences)
    if examples < 2:
        raise ValueError(f"a t-test needs at least two examples, got {examples}")
    mean = np.abs(differences.mean(axis=0))
    error = differences.std(axis=0, ddof=1) / np.sqrt(examples)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(examples - 1, -mean / error)
    found: np.ndarray = np.where(differences.any(axis=0), p, 1.0)
    return found


def holm(p_values: Sequence[float], *, tried: int | None = None) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given: rejecting those <= a keeps the family-wise error at or below a.

    The i-th smallest of m becomes max over j <= i of (m - j + 1) * p_(j), at most one. Holm (1979).

    Args:
        p_values: in [0, 1].
        tried: m, the number of hypotheses that were looked at in all; those whose p is not given count with p = 1, as
            where the policies shown were chosen among more. The number given by default.

    Raises:
        ValueError: for a number outside [0, 1], or fewer tried than given.
    """
    p, order, hypotheses = _ordered(p_values, tried)
    stepped = np.maximum.accumulate(p[order] * (hypotheses - np.arange(len(p))))
    return _in_place(stepped, order)


def benjamini_hochberg(p_values: Sequence[float], *, tried: int | None = None) -> tuple[float, ...]:
    """Benjamini and Hochberg's adjusted p-values, in the order given.

    Rejecting those <= a keeps the false discovery rate, the expected share of true hypotheses among the rejected, at or
    below a, for independent or positively dependent tests.
    The i-th smallest of m becomes min over j >= i of m * p_(j) / j, at most one. Benjamini and Hochberg (1995),
    "Controlling the false discovery rate"; Benjamini and Yekutieli (2001) for positive dependence.

    Args:
        p_values: in [0, 1].
        tried: m, as in `holm`.

    Raises:
        ValueError: as `holm`.
    """
    p, order, hypotheses = _ordered(p_values, tried)
    scaled = p[order] * hypotheses / np.arange(1, len(p) + 1)
    return _in_place(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _ordered(p_values: Sequence[float], tried: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """The p-values, the order from the smallest, and the number of hypotheses."""
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    hypotheses = len(p) if tried is None else tried
    if hypotheses < len(p):
        raise ValueError(f"{len(p)} p-values are given, so that at least as many were tried, got {tried}")
    return p, np.argsort(p, kind="stable"), hypotheses


def _in_place(ascending: np.ndarray, order: np.ndarray) -> tuple[float, ...]:
    """Adjusted p-values back in the order given, at most one."""
    adjusted = np.empty_like(ascending)
    adjusted[order] = np.minimum(ascending, 1.0)
    return tuple(adjusted.tolist())
