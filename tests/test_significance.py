"""Significance: exact fractions, SciPy and statsmodels as witnesses."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from harness.significance import holm, mcnemar_exact


@pytest.mark.parametrize(("up", "down"), [(1, 0), (5, 0), (3, 9), (9, 3), (40, 61), (700, 812), (0, 300)])
def test_mcnemar_agrees_with_three_witnesses(up: int, down: int) -> None:
    """The p-value equals exact integer arithmetic, SciPy's binomial test and statsmodels' exact McNemar test."""
    found, n, k = mcnemar_exact(up, down), up + down, min(up, down)
    exact = float(min(Fraction(1), 2 * Fraction(sum(comb(n, i) for i in range(k + 1)), 2**n)))
    assert found == pytest.approx(exact, rel=1e-10)
    assert found == pytest.approx(binomtest(k, n, 0.5).pvalue, rel=1e-9)
    assert found == pytest.approx(mcnemar([[100, up], [down, 100]], exact=True).pvalue, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    """Five corrected and none corrupted: 2 / 32."""
    assert mcnemar_exact(5, 0) == pytest.approx(0.0625, rel=1e-14)


@pytest.mark.parametrize("same", [0, 1, 7, 5000])
def test_no_difference_is_one(same: int) -> None:
    """Where none differ, or as many in each direction, p is one."""
    assert mcnemar_exact(same, same) == 1.0


def test_mcnemar_stays_in_range_for_many() -> None:
    """A hundred thousand differing examples give a small p above zero, the same both ways."""
    p = mcnemar_exact(49_000, 51_000)
    assert 0 < p < 1e-9
    assert p == mcnemar_exact(51_000, 49_000)
    assert p == pytest.approx(binomtest(49_000, 100_000, 0.5).pvalue, rel=1e-6)


def test_negative_counts_are_refused() -> None:
    """A count below zero is a defect of the caller."""
    with pytest.raises(ValueError, match="not negative"):
        mcnemar_exact(-1, 3)


@pytest.mark.parametrize("size", [1, 2, 5, 60])
def test_holm_agrees_with_statsmodels(size: int) -> None:
    """Adjusted p-values are those of statsmodels, ties included, in the order given."""
    rng = np.random.default_rng(size)
    p = np.round(rng.random(size) ** 3, 2)
    np.testing.assert_allclose(holm(p.tolist()), multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_by_hand() -> None:
    """0.01, 0.04, 0.03 of three become 0.03, 0.06, 0.06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))


def test_holm_of_nothing_and_of_one() -> None:
    """No policy, no p; one policy needs no correction."""
    assert holm([]) == ()
    assert holm([0.2]) == (0.2,)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_probability(wrong: float) -> None:
    """A p outside [0, 1] is refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, wrong])
