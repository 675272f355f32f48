"""Exact McNemar test of two classifiers on the same examples, and Holm's correction for many policies."""

from collections.abc import Sequence

import numpy as np


def mcnemar_exact(corrected: int, corrupted: int) -> float:
    """Two-sided exact p of McNemar's test, in (0, 1].

    Of the examples on which exactly one of two classifiers is right, each is as likely to be the one's or the other's
    if neither is better: p = min(1, 2 * P(X <= min(corrected, corrupted))), X ~ Binomial(corrected + corrupted, 1/2).
    One where no example differs. McNemar (1947), in its exact form.

    Args:
        corrected: examples that the first gets wrong and the second right.
        corrupted: the reverse.

    Raises:
        ValueError: for a negative count.
    """
    from scipy.special import betainc

    if corrected < 0 or corrupted < 0:
        raise ValueError(f"counts are not negative, got {corrected} and {corrupted}")
    if corrected == corrupted:
        return 1.0
    fewer, differing = min(corrected, corrupted), corrected + corrupted
    # P(X <= k) = I_{1/2}(n - k, k + 1), the regularised incomplete beta function.
    return min(1.0, 2.0 * float(betainc(differing - fewer, fewer + 1, 0.5)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given: rejecting those <= a keeps the family-wise error at or below a.

    The i-th smallest of m becomes max over j <= i of (m - j + 1) * p_(j), at most one. Holm (1979).

    Raises:
        ValueError: for a number outside [0, 1].
    """
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
