"""Bootstrap: exact counts, SciPy as witness, coverage at the nominal rate."""

import numpy as np
import pytest
from scipy import stats

from harness import intervals
from harness.intervals import bootstrap_means, paired_intervals


def test_means_of_explicit_resamples() -> None:
    """Each row is the mean over indices drawn one resample at a time from the seed."""
    values = np.random.default_rng(1).standard_normal((50, 3))
    stream = np.random.default_rng(9)
    expected = np.stack([values[stream.integers(50, size=50)].mean(axis=0) for _ in range(20)])
    np.testing.assert_allclose(bootstrap_means(values, resamples=20, seed=9), expected, atol=1e-14)


@pytest.mark.parametrize(("rows", "counts", "stretch"), [(1, 10**6, 7), (5, 10**6, 50), (256, 50 * 4, 13), (256, 1, 9)])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, rows: int, counts: int, stretch: int) -> None:
    """However many resamples and examples are worked on at once, the result is the same."""
    values = np.random.default_rng(1).standard_normal((50, 3))
    expected = bootstrap_means(values, resamples=23, seed=0)
    for name, value in (("_ROWS", rows), ("_COUNTS", counts), ("_STRETCH", stretch)):
        monkeypatch.setattr(intervals, name, value)
    np.testing.assert_allclose(bootstrap_means(values, resamples=23, seed=0), expected, atol=1e-14)


def test_columns_share_their_resamples() -> None:
    """A column's means do not depend on its company, and a difference's means are the difference of means."""
    a, b = np.random.default_rng(1).standard_normal((2, 80))
    means = bootstrap_means(np.stack([a, b, a - b], axis=1), resamples=100, seed=4)
    np.testing.assert_allclose(means[:, 0] - means[:, 1], means[:, 2], atol=1e-14)
    np.testing.assert_allclose(bootstrap_means(a[:, None], resamples=100, seed=4)[:, 0], means[:, 0], atol=1e-14)


def test_the_seed_decides() -> None:
    """One seed gives one result, another seed another."""
    values = np.random.default_rng(1).standard_normal((30, 1))
    first = bootstrap_means(values, resamples=10, seed=0)
    np.testing.assert_array_equal(first, bootstrap_means(values, resamples=10, seed=0))
    assert (first != bootstrap_means(values, resamples=10, seed=1)).all()


def test_scipy_bootstrap_agrees() -> None:
    """The interval of a paired mean difference is SciPy's percentile interval within Monte-Carlo error."""
    rng = np.random.default_rng(2)
    x = rng.exponential(size=300)
    y = x + rng.normal(0.1, 0.5, size=300)
    (ours,) = paired_intervals((y - x)[:, None], resamples=20_000, seed=0, level=0.9)
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b, axis: np.mean(b - a, axis=axis),
        paired=True,
        method="percentile",
        confidence_level=0.9,
        n_resamples=20_000,
        batch=2000,
        rng=np.random.default_rng(7),
    )
    error = (y - x).std() / np.sqrt(300)
    assert ours.value == pytest.approx((y - x).mean())
    assert ours.lower == pytest.approx(theirs.confidence_interval.low, abs=0.06 * error)
    assert ours.upper == pytest.approx(theirs.confidence_interval.high, abs=0.06 * error)
    assert (ours.level, ours.method) == (0.9, "paired bootstrap, percentile")


def test_spread_is_the_standard_error() -> None:
    """The bootstrap's standard deviation is s / sqrt(N), with s over N, as theory has it."""
    values = np.random.default_rng(3).standard_normal((400, 1))
    means = bootstrap_means(values, resamples=8000, seed=0)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.04)
    assert means.mean() == pytest.approx(values.mean(), abs=4 * values.std() / 20 / np.sqrt(8000))


def test_coverage_is_nominal() -> None:
    """Of 800 studies of 150 paired differences in {-1, 0, 1}, about 95 % of the intervals hold the true gain."""
    rng = np.random.default_rng(12)
    gains = rng.choice([-1.0, 0.0, 1.0], p=[0.08, 0.78, 0.14], size=(150, 800))
    covered = [e.lower <= 0.06 <= e.upper for e in paired_intervals(gains, resamples=1000, seed=1, level=0.95)]
    assert 0.925 <= np.mean(covered) <= 0.97


def test_a_constant_column_has_no_width() -> None:
    """No difference anywhere: value and both ends are exactly zero."""
    (zero,) = paired_intervals(np.zeros((40, 1)), resamples=200, seed=0, level=0.95)
    assert (zero.value, zero.lower, zero.upper) == (0.0, 0.0, 0.0)


def test_a_single_example() -> None:
    """One example can only be drawn again."""
    np.testing.assert_array_equal(bootstrap_means(np.array([[2.5]]), resamples=3, seed=0), np.full((3, 1), 2.5))


@pytest.mark.parametrize("shape", [(0, 2), (5,)])
def test_wrong_values_are_refused(shape: tuple[int, ...]) -> None:
    """No examples, or no columns axis: one line that says what was expected."""
    with pytest.raises(ValueError, match="expected values"):
        bootstrap_means(np.zeros(shape), resamples=3, seed=0)


def test_wrong_settings_are_refused() -> None:
    """No resamples, and levels that are no coverage, are refused."""
    with pytest.raises(ValueError, match="at least one resample"):
        bootstrap_means(np.zeros((5, 1)), resamples=0, seed=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        paired_intervals(np.zeros((5, 1)), resamples=5, seed=0, level=95)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int64, np.float32])
def test_other_numbers_are_summed_as_float64_would(dtype: type) -> None:
    """Truth values, integers and float32 have the means of the same numbers in float64; integers exactly."""
    values = np.random.default_rng(4).integers(0, 2, size=(300, 5)).astype(dtype)
    found = bootstrap_means(values, resamples=50, seed=3)
    np.testing.assert_array_equal(found, bootstrap_means(values.astype(np.float64), resamples=50, seed=3))
    (one, *_) = paired_intervals(values, resamples=50, seed=3, level=0.9)
    assert one.value == values[:, 0].mean()
    np.testing.assert_array_equal(found, bootstrap_means(np.asfortranarray(values), resamples=50, seed=3))


def test_large_integers_are_not_rounded() -> None:
    """Integers whose sums float32 cannot hold are summed as float64 holds them."""
    values = (10**7 + np.arange(50))[:, None]
    stream = np.random.default_rng(9)
    expected = np.stack([values[stream.integers(50, size=50)].mean(axis=0) for _ in range(20)])
    np.testing.assert_allclose(bootstrap_means(values, resamples=20, seed=9), expected, rtol=1e-15)
    assert bootstrap_means(-values, resamples=20, seed=9)[0, 0] == -bootstrap_means(values, resamples=20, seed=9)[0, 0]
