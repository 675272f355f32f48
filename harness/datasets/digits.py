"""The 1,797 handwritten digits of 8×8 pixels that come with scikit-learn."""

import numpy as np

from harness.datasets.arrays import array_split
from harness.datasets.raw import RawDataset
from harness.datasets.stratified import stratified_split

CLASSES = tuple(str(digit) for digit in range(10))
TEST_FRACTION = 0.2
SPLIT_SEED = 0  # fixed: test stays the same whatever the seed of a job


def load_digits() -> RawDataset:
    """Digits of 8×8×1, their grey values 0..16 scaled to 0..255 and rounded; a stratified fifth is test."""
    from sklearn.datasets import load_digits as load_source

    values, labels = load_source(return_X_y=True)
    images = np.rint(values * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    test, train = stratified_split(labels, TEST_FRACTION, seed=SPLIT_SEED, names=CLASSES)
    return RawDataset(
        name="digits",
        class_names=CLASSES,
        train=array_split(images[train], labels[train]),
        validation=None,
        test=array_split(images[test], labels[test]),
        notes=(f"the source states no splits: test is a fixed stratified fifth, {len(test):,} of {len(labels):,}",),
    )
