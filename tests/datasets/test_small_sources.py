"""The embedded data set and scikit-learn's digits."""

import numpy as np

from harness.datasets.digits import load_digits
from harness.datasets.embedded import load_fashion_mini
from harness.datasets.splits import make_splits


def test_fashion_mini_has_equal_classes() -> None:
    """2,000 + 1,000 images of 28×28×1, 200 + 100 of each of ten classes."""
    raw = load_fashion_mini()
    assert raw.train is not None
    assert raw.test.images.shape == (28, 28, 1)
    assert np.bincount(raw.train.labels).tolist() == [200] * 10
    assert np.bincount(raw.test.labels).tolist() == [100] * 10


def test_fashion_mini_images_are_never_shared_between_splits() -> None:
    """No image of validation or test is also in train, byte for byte."""
    made = make_splits(
        load_fashion_mini(), validation_from="auto", validation_fraction=0.2, seed=0, limit_test=None, trained_here=True
    )
    assert made.train is not None
    parts = [{image.tobytes() for image in part.images.read(np.arange(len(part)))}
             for part in (made.train, made.validation, made.test)]  # fmt: skip
    assert [len(part) for part in parts] == [1600, 400, 1000]
    assert len(set.union(*parts)) == 3000


def test_digits_are_the_sources_scaled() -> None:
    """Every digit of scikit-learn is in train or test once, 16 as 255, classes in equal shares."""
    from sklearn.datasets import load_digits as source

    raw = load_digits()
    assert raw.train is not None
    images = np.concatenate([part.images.read(np.arange(len(part))) for part in (raw.train, raw.test)])
    back = np.rint(images.reshape(-1, 64) / 255 * 16)
    values = source().data
    assert np.array_equal(back[np.lexsort(back.T)], values[np.lexsort(values.T)])
    assert (images.min(), images.max()) == (0, 255)
    assert len(raw.test) == 359
    fifth = np.bincount(source().target) / 5
    assert (np.abs(np.bincount(raw.test.labels) - fifth) < 1).all()
