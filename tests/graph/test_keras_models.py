"""Views inside a Keras Functional model: few constants, and one line for what Keras has no operation for."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.backend import keras
from harness.errors import ModelError
from harness.graph.views import graph_view
from harness.transforms.compression import Jpeg
from harness.transforms.geometric import Rotate, Zoom
from harness.transforms.occlusion import Cutout
from harness.transforms.photometric import GaussianBlur
from harness.views import View


def model_of(views: list[View], shape: tuple[int, int, int]) -> Any:
    """A Functional model of raw images with one output a view."""
    raw = keras.Input(shape, dtype="uint8")
    pixels = keras.ops.cast(raw, "float32")
    return keras.Model(raw, [graph_view(view, image_shape=shape, size=shape[:2])(pixels) for view in views])


def test_constants_stay_small_at_224_pixels(tmp_path: Path) -> None:
    """A view is a few numbers a row and a column, whatever it does: not one for each pixel."""
    views = [View((one,)) for one in (Rotate(10), Zoom(1.2, fill="constant", fill_value=7), Cutout(40))]
    model_of(views, (224, 224, 3)).save(tmp_path / "views.keras")
    with zipfile.ZipFile(tmp_path / "views.keras") as archive:
        assert archive.getinfo("config.json").file_size < 3 * 224 * 224  # a byte a pixel and view


@pytest.mark.parametrize("transform", [Jpeg(50), GaussianBlur(9)])
def test_what_keras_cannot_hold_is_one_line(transform: Any) -> None:
    """It names the formats that can."""
    with pytest.raises(ModelError, match=r"^a .keras file cannot hold .*: use the format savedmodel or mlflow$"):
        model_of([View((transform,))], (19, 23, 3))
