"""Significance: exact fractions, SciPy and statsmodels as witnesses."""

from collections.abc import Callable
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp, ttest_rel
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from harness.significance import benjamini_hochberg, holm, mcnemar_exact, paired_t


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


def test_mcnemar_of_arrays_is_that_of_each() -> None:
    """Arrays of any shape give the p of each pair; zero, equal and one-sided counts included."""
    up, down = np.array([[0, 5, 3], [7, 40, 0]]), np.array([[0, 0, 9], [7, 61, 300]])
    found = mcnemar_exact(up, down)
    assert found.shape == (2, 3)
    expected = [
        binomtest(int(min(a, b)), int(a + b)).pvalue if a + b else 1.0 for a, b in zip(up.flat, down.flat, strict=True)
    ]
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-9)
    assert isinstance(mcnemar_exact(5, 0), float)
    with pytest.raises(ValueError, match="not negative"):
        mcnemar_exact(np.array([1, -1]), np.array([1, 1]))


def test_paired_t_agrees_with_scipy() -> None:
    """Every column's p is that of SciPy's one-sample test of the differences, and of its paired test."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 40, 5))
    second += [0.0, 0.1, 0.5, -0.5, 3.0]
    found = paired_t(second - first)
    np.testing.assert_allclose(found, ttest_1samp(second - first, 0).pvalue, rtol=1e-9)
    np.testing.assert_allclose(found, ttest_rel(second, first).pvalue, rtol=1e-9)
    assert float(paired_t((second - first)[:, 2])) == pytest.approx(found[2], rel=1e-12)


def test_paired_t_of_no_difference_and_of_a_constant_one() -> None:
    """No difference anywhere has p one; the same difference everywhere has p zero; opposite ones have p one."""
    columns = np.stack([np.zeros(4), np.ones(4), np.array([1.0, -1.0, 1.0, -1.0])], axis=1)
    np.testing.assert_array_equal(paired_t(columns), [1.0, 0.0, 1.0])


def test_paired_t_needs_two_examples() -> None:
    """One example has no standard error."""
    with pytest.raises(ValueError, match="at least two examples"):
        paired_t(np.zeros((1, 3)))


@pytest.mark.parametrize("size", [1, 2, 5, 60])
def test_benjamini_hochberg_agrees_with_statsmodels(size: int) -> None:
    """Adjusted p-values are those of statsmodels, ties included, in the order given."""
    p = np.round(np.random.default_rng(size).random(size) ** 3, 2)
    np.testing.assert_allclose(benjamini_hochberg(p.tolist()), multipletests(p, method="fdr_bh")[1], rtol=1e-12)


def test_benjamini_hochberg_by_hand() -> None:
    """0.01, 0.04, 0.03 of three become 0.03, 0.04, 0.04."""
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.04, 0.04))
    assert benjamini_hochberg([]) == ()


@pytest.mark.parametrize(("correction", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_what_was_tried_counts(correction: Callable[..., tuple[float, ...]], name: str) -> None:
    """Given 6 of 40, the adjusted p are those of statsmodels for 40 of which the other 34 have p = 1."""
    p = [0.001, 0.2, 0.0004, 0.03, 1.0, 0.001]
    expected = multipletests(p + [1.0] * 34, method=name)[1][:6]
    np.testing.assert_allclose(correction(p, tried=40), expected, rtol=1e-12)
    assert correction(p, tried=6) == correction(p)
    with pytest.raises(ValueError, match="at least as many"):
        correction(p, tried=5)


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
