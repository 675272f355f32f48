"""Views as graphs: chains, and how they end at the model's input size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.backend import tf
from harness.errors import DataError
from harness.graph.views import graph_view
from harness.transforms.colour import Hue
from harness.transforms.crops import Crop, PadCrop
from harness.transforms.filters import Sharpness
from harness.transforms.flips import HorizontalFlip, Rotate90
from harness.transforms.geometric import Rotate, Zoom
from harness.transforms.photometric import Brightness, Contrast, GaussianBlur
from harness.transforms.tonal import Add, Autocontrast, Equalize
from harness.views import IDENTITY, View

H, W = 21, 26
IMAGES = np.random.default_rng(0).integers(0, 256, (9, H, W, 3), dtype=np.uint8)
INDICES = np.arange(9)


def graph(view: View, size: tuple[int, int]) -> Any:
    """The view compiled for a free batch dimension."""
    run = graph_view(view, image_shape=(H, W, 3), size=size)
    return tf.function(run, input_signature=[tf.TensorSpec([None, H, W, 3], tf.float32)])


@pytest.mark.parametrize(
    ("view", "size"),
    [
        (View((HorizontalFlip(), PadCrop(4, 3, -2, "reflect"), Brightness(1.2))), (H, W)),
        (View((Rotate90(3), Rotate(10), Contrast(0.7))), (20, 21)),
        (View((Crop("top_left", 0.7), HorizontalFlip(), Hue(40))), (H, W)),
        (View((HorizontalFlip(), Crop("center", 0.875), Rotate90(1), Sharpness(1.5))), (17, 15)),
        (View((Equalize(), Zoom(1.3), GaussianBlur(0.6), Add(10))), (16, 16)),
        (View((Autocontrast(5), Rotate(-20, fill="constant", fill_value=50))), (H, W)),
    ],
    ids=lambda value: value.name if isinstance(value, View) else str(value),
)
def test_chains_give_the_pixels_of_numpy(view: View, size: tuple[int, int]) -> None:
    """In the same order, with changes of size in between; eagerly as compiled."""
    expected = view(IMAGES, INDICES, size=size)
    for run in (graph_view(view, image_shape=(H, W, 3), size=size), graph(view, size)):
        result = run(tf.constant(IMAGES, tf.float32)).numpy()
        assert result.shape == expected.shape
        assert np.abs(result - expected).max() < 1e-3


@pytest.mark.parametrize("size", [(H, W), (10, 13), (30, 17)])
@pytest.mark.parametrize("position", ["center", "top_left", "top_right", "bottom_left", "bottom_right"])
def test_windows_are_resized_to_the_input_size(position: Any, size: tuple[int, int]) -> None:
    """Smaller or larger than the window, and of another shape."""
    view = View((Crop(position, 0.8),))
    result = graph(view, size)(IMAGES.astype(np.float32)).numpy()
    assert np.abs(result - view(IMAGES, INDICES, size=size)).max() < 1e-3


def test_a_window_of_the_input_size_is_not_touched() -> None:
    """Crops that fit are exact."""
    result = graph(View((Crop("bottom_left", 0.5),)), (11, 13))(IMAGES.astype(np.float32)).numpy()
    assert np.array_equal(result, IMAGES[:, 10:, :13])


def test_identity_is_the_centre() -> None:
    """The ordinary evaluation preprocessing: the images themselves, or their middle."""
    assert np.array_equal(graph(IDENTITY, (H, W))(IMAGES.astype(np.float32)), IMAGES)
    assert np.array_equal(graph(IDENTITY, (16, 19))(IMAGES.astype(np.float32)), IMAGES[:, 2:18, 3:22])


def test_the_result_has_a_known_size() -> None:
    """A network behind the view sees height, width and channels; the batch stays free."""
    for view in (IDENTITY, View((Rotate90(1), Crop("center", 0.6), Equalize(), Rotate(5)))):
        assert graph(view, (16, 12)).get_concrete_function().output_shapes == tf.TensorShape([None, 16, 12, 3])


def test_smaller_images_are_refused() -> None:
    """As the view itself refuses them, before anything runs."""
    with pytest.raises(DataError, match="images of 21x26 are smaller than the model's input of 24x24"):
        graph_view(IDENTITY, image_shape=(H, W, 3), size=(24, 24))


def test_a_saved_graph_gives_the_same_bits(tmp_path: Path) -> None:
    """Written as a SavedModel and read again, nothing is missing."""
    view = View((HorizontalFlip(), Rotate(10), GaussianBlur(0.5), Equalize()))
    module = tf.Module()
    module.view = graph(view, (16, 16))
    tf.saved_model.save(module, tmp_path / "view")
    images = tf.constant(IMAGES, tf.float32)
    assert np.array_equal(tf.saved_model.load(tmp_path / "view").view(images), module.view(images))
