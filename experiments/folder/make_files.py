"""Writes CIFAR-10 images as files in class folders, for the jobs of this study.

python experiments/folder/make_files.py photos

Trees with folders train/ (5,000 images) and test/ (1,000): `png`, `jpeg75` and `jpeg40`, the same images in all three,
and `arrays.npz`, the same images again as arrays in the order of the files. Plain trees, one folder a class, which the
splitting rules divide: `numbered` (6,000 images in the source's order), `sorted` (the same, named by brightness, dark
ones first) and `bursts` (1,200 of them, each photographed five times in a row).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from harness.datasets.raw import RawSplit
from harness.datasets.registry import load_raw
from harness.transforms.geometric import Shift
from harness.transforms.photometric import Brightness

TRAIN, TEST = 500, 100
"""Images of each class in the trees with folders; the plain trees hold both numbers together."""
SHOTS = 5
"""Files of one image in `bursts`."""


def of_each_class(split: RawSplit, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images of each class, class by class: images uint8 and their labels."""
    places = [np.flatnonzero(split.labels == label)[:count] for label in np.unique(split.labels)]
    chosen = np.concatenate(places)
    return split.images.read(chosen), split.labels[chosen]


def save(folder: Path, name: str, image: np.ndarray, *, quality: int | None = None) -> None:
    """One image as PNG, or as JPEG of a quality."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    if quality is None:
        picture.save(folder / f"{name}.png")
    else:
        picture.save(folder / f"{name}.jpg", quality=quality)


def shots(image: np.ndarray, place: int) -> Iterator[np.ndarray]:
    """Five photographs of one thing: each moved by up to two pixels and lit a little differently, by its own seed."""
    rng = np.random.default_rng([0, place])
    for _ in range(SHOTS):
        dx, dy = rng.integers(-2, 3, 2).tolist()
        views = Shift(dx=dx, dy=dy), Brightness(float(rng.uniform(0.9, 1.1)))
        pixels = image[None].astype(np.float32)
        for view in views:
            pixels = view(pixels, np.zeros(1, np.int64))
        yield np.clip(np.rint(pixels[0]), 0, 255).astype(np.uint8)


def main(root: Path) -> None:
    """Writes every tree below `root`."""
    raw = load_raw("cifar10", {"path": None})
    assert raw.train is not None  # noqa: S101 - CIFAR-10 has one
    parts = {"train": of_each_class(raw.train, TRAIN), "test": of_each_class(raw.test, TEST)}
    for split, (images, labels) in parts.items():
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            kind = raw.class_names[label]
            save(root / "png" / split / kind, f"{place:05}", image)
            save(root / "jpeg75" / split / kind, f"{place:05}", image, quality=75)
            save(root / "jpeg40" / split / kind, f"{place:05}", image, quality=40)
    arrays = {f"{axis}_{split}": both[i] for split, both in parts.items() for i, axis in enumerate("xy")}
    np.savez(root / "arrays.npz", **arrays)

    images, labels = of_each_class(raw.train, TRAIN + TEST)
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        kind = raw.class_names[label]
        save(root / "numbered" / kind, f"{place:05}", image)
        save(root / "sorted" / kind, f"{image.mean():07.3f}-{place:05}", image)
        if place % SHOTS == 0:
            for shot, photograph in enumerate(shots(image, place)):
                save(root / "bursts" / kind, f"{place:05}-{shot}", photograph)
    print(f"{sum(1 for _ in root.rglob('*.*g')):,} files below {root}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
