"""The default data set, inside the package: a part of Fashion-MNIST (licence in `data/NOTICE`)."""

from importlib.resources import files

import numpy as np

from harness.datasets.arrays import array_split
from harness.datasets.idx import FASHION_CLASSES
from harness.datasets.raw import RawDataset


def load_fashion_mini() -> RawDataset:
    """The first 200 train and 100 test images of each Fashion-MNIST class: 2,000 + 1,000 of 28×28×1."""
    with files("harness.datasets").joinpath("data/fashion_mini.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return RawDataset(
            name="fashion_mini",
            class_names=FASHION_CLASSES,
            train=array_split(arrays["x_train"], arrays["y_train"]),
            validation=None,
            test=array_split(arrays["x_test"], arrays["y_test"]),
        )
