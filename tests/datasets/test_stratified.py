"""Stratified selection against hand counts, invariants and scikit-learn."""

import numpy as np
import pytest

from harness.datasets.stratified import class_shares, stratified_indices, stratified_split
from harness.errors import ConfigError, DataError


def shares(counts: list[int], size: int) -> list[int]:
    """Shares without bounds, as a list."""
    values = np.array(counts)
    return class_shares(values, size, low=np.zeros_like(values), high=values).tolist()


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([50, 30, 20], 10, [5, 3, 2]),
        # quotas 4.7, 3.3, 2.0: floors 4, 3, 2, and the one left goes to remainder .7
        ([47, 33, 20], 10, [5, 3, 2]),
        # quotas 1.5, 1.5, 1: the tie goes to the lower class
        ([3, 3, 2], 4, [2, 1, 1]),
        ([5, 0, 5], 4, [2, 0, 2]),
        ([1, 1, 1], 1, [1, 0, 0]),
    ],
)
def test_class_shares_follow_largest_remainder(counts: list[int], size: int, expected: list[int]) -> None:
    """Shares are the exact quotas rounded by the largest-remainder method, as worked out by hand."""
    assert shares(counts, size) == expected


def test_class_shares_stay_within_bounds() -> None:
    """A bound moves one share and the others make up for it, so that the total stays exact."""
    counts = np.array([97, 2, 1])
    low, high = np.array([1, 1, 0]), np.array([96, 1, 1])
    # quotas 9.7, 0.2, 0.1; class 1 must have one
    assert class_shares(counts, 10, low=low, high=high).tolist() == [9, 1, 0]


def test_every_share_is_within_one_of_its_quota() -> None:
    """Without bounds each class gets the floor or the ceiling of its quota, and the sum is exact."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = rng.integers(0, 400, size=12)
        size = int(rng.integers(1, counts.sum()))
        got = np.array(shares(counts.tolist(), size))
        assert got.sum() == size
        assert (np.abs(got - counts * size / counts.sum()) < 1).all()


def test_indices_are_sorted_seeded_and_stratified() -> None:
    """The order is the source's, one seed gives one sample, another seed another of equal class counts."""
    labels = np.random.default_rng(3).integers(0, 4, 200)
    first, again, other = (stratified_indices(labels, 60, seed=seed) for seed in (1, 1, 2))
    assert (np.diff(first) > 0).all()
    assert (first == again).all()
    assert (first != other).any()
    assert np.bincount(labels[first]).tolist() == np.bincount(labels[other]).tolist()


def test_indices_are_uniform_within_a_class() -> None:
    """Every example of a class is as likely as any other (600 seeds, 5 standard deviations)."""
    labels = np.zeros(10, np.int64)
    hits = np.bincount(np.concatenate([stratified_indices(labels, 5, seed=seed) for seed in range(600)]), minlength=10)
    assert (np.abs(hits - 300) < 5 * np.sqrt(600 / 4)).all()


def test_split_covers_everything_once() -> None:
    """The two parts are disjoint and hold all examples, and each class keeps one on either side."""
    labels = np.repeat([0, 1, 2], [100, 2, 3])
    taken, rest = stratified_split(labels, 0.1, seed=0, names="abc")
    assert np.array_equal(np.sort(np.concatenate([taken, rest])), np.arange(105))
    assert len(taken) == 11  # 10.5 rounded up
    assert (np.bincount(labels[taken]) > 0).all()
    assert (np.bincount(labels[rest]) > 0).all()


def test_split_counts_agree_with_scikit_learn() -> None:
    """The class counts of a half are those of scikit-learn's StratifiedShuffleSplit where no remainder ties."""
    from sklearn.model_selection import StratifiedShuffleSplit

    labels = np.repeat([0, 1, 2, 3], [40, 64, 16, 80])
    taken, _ = stratified_split(labels, 0.25, seed=0, names="abcd")
    theirs, _ = next(StratifiedShuffleSplit(1, train_size=0.25, random_state=0).split(labels, labels))
    assert np.bincount(labels[taken]).tolist() == np.bincount(labels[theirs]).tolist() == [10, 16, 4, 20]


def test_single_example_is_refused_by_name() -> None:
    """A class that cannot be on both sides is named."""
    with pytest.raises(DataError, match=r"class 'b' has a single example"):
        stratified_split(np.array([0, 0, 1]), 0.5, seed=0, names="ab")


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_fraction_outside_is_refused(fraction: float) -> None:
    """A fraction outside (0, 1) is a mistake in the configuration."""
    with pytest.raises(ConfigError, match="between 0 and 1"):
        stratified_split(np.array([0, 0, 1, 1]), fraction, seed=0, names="ab")


@pytest.mark.parametrize("size", [0, 5])
def test_size_outside_is_refused(size: int) -> None:
    """A sample is neither empty nor larger than what it is drawn from."""
    with pytest.raises(ConfigError, match=r"1\.\.4"):
        stratified_indices(np.array([0, 0, 1, 1]), size, seed=0)
