"""Folder reading beside Keras' own (deprecated) directory iterator."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets.image_folder import load_image_folder
from harness.datasets.raw import RawSplit

image = pytest.importorskip("keras.src.legacy.preprocessing.image")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of unequal size, several formats and sizes, one with a folder inside."""
    root = tmp_path_factory.mktemp("tree")
    rng = np.random.default_rng(0)
    names = {
        "Zebra": [f"{i}.png" for i in range(11)],
        "cat": [f"c{i}.jpg" for i in range(7)] + ["sub/b.png", "sub-1/a.bmp", "z.PNG"],
        "dog": ["d.jpeg", "e.ppm", "f.tif", "g.png"],
    }
    for folder, files in names.items():
        for number, name in enumerate(files):
            file = root / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (8 + number, 17 - number, 3 + number % 2), dtype=np.uint8)
            kind = "RGBA" if pixels.shape[2] == 4 and file.suffix.lower() == ".png" else "RGB"
            Image.fromarray(pixels).convert(kind).save(file)
        (root / folder / "notes.txt").write_text("no image")
    return root


def keras_files(tree: Path, subset: str | None, **options: object) -> tuple[list[str], np.ndarray, np.ndarray, object]:
    """Files, labels and pixels of Keras' iterator, and its class indices."""
    fraction = options.pop("validation_split", 0.0)
    flow = image.ImageDataGenerator(validation_split=fraction).flow_from_directory(
        str(tree), subset=subset, shuffle=False, batch_size=1000, target_size=(9, 10), class_mode="sparse", **options
    )
    pixels, labels = next(flow)
    return flow.filenames, labels, pixels, flow.class_indices


def assert_same(split: RawSplit | None, theirs: tuple[list[str], np.ndarray, np.ndarray, object]) -> None:
    """Checks that files, labels and pixels agree."""
    assert split is not None
    files, labels, pixels, _ = theirs
    assert list(split.files) == files
    assert split.labels.tolist() == labels.tolist()
    assert np.array_equal(split.images.read(np.arange(len(split))), pixels)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.29, 0.5])
def test_keras_rule_gives_keras_subsets(tree: Path, fraction: float) -> None:
    """split_rule=keras holds out the files that subset="validation" does, in the same order, with the same pixels."""
    raw = load_image_folder(
        tree, split_rule="keras", validation_split=fraction, target_size=(9, 10), interpolation="nearest"
    )
    held = keras_files(tree, "validation", validation_split=fraction)
    assert_same(raw.test, held)
    assert_same(raw.train, keras_files(tree, "training", validation_split=fraction))
    assert {name: label for label, name in enumerate(raw.class_names)} == held[3]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
@pytest.mark.parametrize("color_mode", ["rgb", "grayscale"])
def test_pixels_are_keras_pixels(tree: Path, interpolation: str, color_mode: str) -> None:
    """For every interpolation and colour mode each image is what Keras' iterator yields, bit for bit."""
    options = {"interpolation": interpolation, "color_mode": color_mode, "classes": ["dog", "Zebra"]}
    raw = load_image_folder(tree, target_size=(9, 10), split_rule="keras", validation_split=0.5, **options)
    assert_same(raw.train, keras_files(tree, "training", validation_split=0.5, **options))


def test_keras_rule_in_a_train_folder_makes_validation(tree: Path, tmp_path: Path) -> None:
    """With train/ and test/ the held-out head of train/ is validation, as the older scripts had it."""
    (tmp_path / "train").symlink_to(tree)
    (tmp_path / "test").symlink_to(tree)
    raw = load_image_folder(tmp_path, split_rule="keras", validation_split=0.3, target_size=(9, 10))
    files, _, _, _ = keras_files(tree, "validation", validation_split=0.3)
    assert raw.validation is not None
    assert [name.removeprefix("train/") for name in raw.validation.files] == files
    assert len(raw.test) == 25
