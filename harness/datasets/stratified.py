"""Seeded stratified selection: every class in its share, exact counts, order kept."""

from collections.abc import Sequence

import numpy as np

from harness.errors import ConfigError, DataError


def class_shares(counts: np.ndarray, size: int, *, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How many of each class to take: the largest-remainder method, held between `low` and `high`.

    Each class first gets the floor of its exact quota `counts * size / sum(counts)`; what is left goes, one each, to
    the largest remainders, ties to the lower class. Integer arithmetic throughout.

    Args:
        counts: `[C]` examples per class.
        size: how many to take together; where the bounds do not allow it, the nearest number that they allow.
        low: `[C]` the fewest to take per class.
        high: `[C]` the most to take per class.
    """
    total = int(counts.sum())
    shares: np.ndarray = np.clip(counts * size // max(total, 1), low, high)
    size = min(max(size, int(low.sum())), int(high.sum()))
    while (left := size - int(shares.sum())) != 0:
        owed = counts * size - shares * total  # quota minus share, times N
        if left > 0:
            shares[np.argmax(np.where(shares < high, owed, np.iinfo(np.int64).min))] += 1
        else:
            shares[np.argmin(np.where(shares > low, owed, np.iinfo(np.int64).max))] -= 1
    return shares


def stratified_indices(labels: np.ndarray, size: int, *, seed: int | Sequence[int]) -> np.ndarray:
    """Indices `[size]` int64, sorted, of a stratified sample of `labels [N]`.

    Raises:
        ConfigError: unless 1 <= size <= N.
    """
    if not 1 <= size <= len(labels):
        raise ConfigError(f"a stratified sample of {len(labels)} examples needs a size in 1..{len(labels)}, got {size}")
    counts = np.bincount(labels)
    return _draw(labels, class_shares(counts, size, low=np.zeros_like(counts), high=counts), seed)


def stratified_split(
    labels: np.ndarray, fraction: float, *, seed: int | Sequence[int], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sorted index arrays `(taken, rest)` that together hold every example of `labels [N]`.

    `taken` has `fraction` of the examples (rounded); every class keeps at least one example on either side.

    Raises:
        ConfigError: unless 0 < fraction < 1.
        DataError: where a class has a single example, which cannot be on both sides.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"a fraction to hold out must lie between 0 and 1, both excluded, got {fraction}")
    counts = np.bincount(labels, minlength=len(names))
    lonely = np.flatnonzero(counts == 1)
    if len(lonely):
        raise DataError(
            f"class {names[lonely[0]]!r} has a single example, and a stratified split needs two of each class; "
            f"add images of it or leave the class out"
        )
    size = int(fraction * len(labels) + 0.5)
    low = np.minimum(counts, 1)
    taken = _draw(labels, class_shares(counts, size, low=low, high=counts - low), seed)
    return taken, np.setdiff1d(np.arange(len(labels)), taken, assume_unique=True)


def _draw(labels: np.ndarray, shares: np.ndarray, seed: int | Sequence[int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:share] for label, share in enumerate(shares)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)
