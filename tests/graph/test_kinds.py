"""Every kind of transform as a graph: the pixels of the NumPy engine, or a clear refusal."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.backend import keras, tf
from harness.errors import DataError, ModelError
from harness.graph.views import BUILDERS, graph_view
from harness.transforms.base import Transform
from harness.transforms.random import is_random
from harness.transforms.registry import TRANSFORMS, make_transform
from harness.views import View

H, W, N = 19, 23, 64
EXACT, CLOSE, LEVELS = 0.0, 1e-3, 2.0  # the same numbers; float rounding; JPEG, whose two libraries may differ
PARAMS: list[tuple[str, dict[str, Any], float]] = [
    ("horizontal_flip", {}, EXACT),
    ("vertical_flip", {}, EXACT),
    ("rotate90", {"turns": 1}, EXACT),
    ("rotate90", {"turns": 2}, EXACT),
    ("rotate90", {"turns": 3}, EXACT),
    ("rotate", {"degrees": 10}, CLOSE),
    ("rotate", {"degrees": -33, "fill": "constant", "fill_value": 128}, CLOSE),
    ("shift", {"dx": 3, "dy": -2, "fill": "wrap"}, EXACT),
    ("shift", {"dx": 1.4, "dy": -0.7, "fill": "reflect"}, CLOSE),
    ("shift", {"dx": 40, "fill": "constant", "fill_value": 7}, EXACT),
    ("zoom", {"factor": 1.2}, CLOSE),
    ("zoom", {"factor": 0.6, "fill": "constant", "fill_value": 200}, CLOSE),
    ("shear", {"degrees": 12, "interpolation": "nearest"}, EXACT),
    ("shear", {"degrees": -15, "axis": "y", "anchor": "top_left", "fill": "mirror"}, CLOSE),
    ("crop", {"position": "center", "fraction": 0.6}, EXACT),
    ("crop", {"position": "bottom_right", "fraction": 0.8}, EXACT),
    ("pad_crop", {"pad": 2, "dx": 1, "dy": -2, "fill_value": 3}, EXACT),
    ("pad_crop", {"pad": 4, "dx": -4, "dy": 0, "fill": "reflect"}, EXACT),
    ("brightness", {"factor": 1.3}, CLOSE),
    ("contrast", {"factor": 1.6}, CLOSE),
    ("contrast", {"factor": 0.4, "per_channel": True}, CLOSE),
    ("saturation", {"factor": 1.8}, CLOSE),
    ("gamma", {"gamma": 0.7}, CLOSE),
    ("gamma", {"gamma": 2}, CLOSE),
    ("gaussian_blur", {"sigma": 0.8}, CLOSE),
    ("gaussian_blur", {"sigma": 9}, CLOSE),
    ("add", {"value": -40}, EXACT),
    ("invert", {}, EXACT),
    ("solarize", {"threshold": 100}, EXACT),
    ("posterize", {"bits": 3}, EXACT),
    ("equalize", {}, EXACT),
    ("autocontrast", {}, EXACT),
    ("autocontrast", {"cutoff": 20}, EXACT),
    ("grayscale", {}, CLOSE),
    ("hue", {"degrees": 70}, CLOSE),
    ("hue", {"degrees": -130}, CLOSE),
    ("sharpness", {"factor": 1.9}, CLOSE),
    ("pil_blur", {}, CLOSE),
    ("cutout", {"size": 5, "x": 0.1, "fill_value": 90}, EXACT),
    ("cutout", {"size": 40}, EXACT),
    ("jpeg", {"quality": 30}, LEVELS),
    ("jpeg", {"quality": 95}, LEVELS),
]
REFUSED: dict[str, dict[str, Any]] = {
    "random_flip": {},
    "random_affine": {"rotation_range": 20},
    "random_crop": {"pad": 3},
    "random_resized_crop": {},
    "gaussian_noise": {"std": 20},
    "rand_augment": {},
    "aug_mix": {},
}
CASES = [
    pytest.param(make_transform(kind, params), channels, tolerance, id=f"{kind}-{i}-{channels}")
    for i, (kind, params, tolerance) in enumerate(PARAMS)
    for channels in (1, 3)
    if channels == 3 or not TRANSFORMS[kind].needs_rgb
]


@lru_cache(maxsize=2)
def images(channels: int) -> np.ndarray:
    """Noise with black and white, slanted ramps of another shade each, and images of one and of two levels, uint8."""
    y, x = np.indices((H, W))[..., None]
    noise = np.random.default_rng(1).integers(-40, 296, (N, H, W, channels))
    noise[N // 2 :] = 3 * y + 5 * x + 20 * np.arange(channels) + 3 * np.arange(N // 2)[:, None, None, None]
    noise[-1], noise[-2] = 77, np.where(x > 5 + y, 30, 200)
    result: np.ndarray = np.clip(noise, 0, 255).astype(np.uint8)
    return result


@lru_cache(maxsize=128)
def compiled(transform: Transform, channels: int) -> tuple[Any, list[int], np.ndarray]:
    """A transform's graph at the size it gives, the batch sizes it was traced for, and what NumPy gives."""
    view, batch = View((transform,)), images(channels)
    size = transform(batch.astype(np.float32), np.arange(N)).shape[1:3]
    run, traces = graph_view(view, image_shape=(H, W, channels), size=size), []

    def counted(tensor: Any) -> Any:
        traces.append(tensor.shape[0])
        return run(tensor)

    traced = tf.function(counted, input_signature=[tf.TensorSpec([None, H, W, channels], tf.float32)])
    return traced, traces, view(batch, np.arange(N), size=size)


def test_every_kind_has_a_graph_or_a_refusal() -> None:
    """A new kind in the table needs an example here, and so a builder, or a place among the refusals."""
    built = {kind for kind, _, _ in PARAMS}
    assert built | set(REFUSED) == set(TRANSFORMS)
    assert built & set(REFUSED) == set()
    assert {cls.kind for cls in BUILDERS} == built


@pytest.mark.parametrize(("transform", "channels", "tolerance"), CASES)
def test_the_graph_gives_the_pixels_of_numpy(transform: Transform, channels: int, tolerance: float) -> None:
    """The same shape and type, and each pixel within the tolerance; the images do change."""
    traced, _, expected = compiled(transform, channels)
    result = traced(images(channels).astype(np.float32)).numpy()
    assert (result.shape, result.dtype) == (expected.shape, np.float32)
    assert np.abs(result - expected).max() <= tolerance
    assert result.shape != images(channels).shape or not np.array_equal(result, images(channels))


@pytest.mark.parametrize(("transform", "channels"), [case.values[:2] for case in CASES], ids=[c.id for c in CASES])
def test_one_image_alone_gives_the_bits_of_the_batch(transform: Transform, channels: int) -> None:
    """Batches of 64, 7 and 1, and none at all: one trace, and the same bits."""
    traced, traces, _ = compiled(transform, channels)
    batch = images(channels).astype(np.float32)
    whole = traced(batch).numpy()
    assert np.array_equal(traced(batch[20:27]).numpy(), whole[20:27])
    for i in (0, 30, 61, 62, 63):
        assert np.array_equal(traced(batch[i : i + 1]).numpy()[0], whole[i])
    assert traced(batch[:0]).shape == (0, *whole.shape[1:])
    assert traces == [None]


@pytest.mark.parametrize(("transform", "channels"), [case.values[:2] for case in CASES], ids=[c.id for c in CASES])
def test_ordinary_operations_only(transform: Transform, channels: int) -> None:
    """Nothing in the graph calls back into Python or draws, so that it runs where this package is not installed."""
    graph = compiled(transform, channels)[0].get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert [node.op for node in nodes if "PyFunc" in node.op or "Random" in node.op] == []


def test_every_kind_survives_a_keras_file(tmp_path: Path) -> None:
    """In a Functional model, saved and loaded in safe mode: the pixels of NumPy, for a batch and for one image."""
    kept = [(kind, params) for kind, params, _ in PARAMS if kind != "jpeg" and params.get("sigma", 0) < 8]
    views = [View((make_transform(kind, params),)) for kind, params in kept]
    # Square: Keras takes sums of a row and a column for something else where both have one length.
    batch, indices = images(3)[20:36, :, :H], np.arange(16)
    sizes = [view.transforms[0](batch.astype(np.float32), indices).shape[1:3] for view in views]
    raw = keras.Input((H, H, 3), dtype="uint8")
    pixels = keras.ops.cast(raw, "float32")
    outputs = [
        graph_view(view, image_shape=(H, H, 3), size=size)(pixels) for view, size in zip(views, sizes, strict=True)
    ]
    keras.Model(raw, outputs).save(tmp_path / "views.keras")
    loaded = keras.saving.load_model(tmp_path / "views.keras", safe_mode=True)
    for view, size, found, alone in zip(views, sizes, loaded(batch), loaded(batch[:1]), strict=True):
        expected = view(batch, indices, size=size)
        assert np.abs(np.asarray(found) - expected).max() <= CLOSE, view.name
        assert np.abs(np.asarray(alone) - expected[:1]).max() <= CLOSE, view.name


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_draws_is_refused(kind: str) -> None:
    """A random transform is no function of the image: one line names it and says what would do."""
    transform = make_transform(kind, REFUSED[kind])
    assert is_random(transform)
    with pytest.raises(ModelError, match=rf"^view .* cannot be put in a graph: {kind} draws .* deterministic$"):
        graph_view(View((transform,)), image_shape=(H, W, 3), size=(H, W))


@dataclass(frozen=True)
class Foreign(Transform):
    """A transform of another package."""

    kind: ClassVar[str] = "foreign"

    def __call__(self, pixels: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """The image."""
        return pixels


def test_what_has_no_builder_is_refused() -> None:
    """Another package's transform is named, and so are those that have a graph."""
    with pytest.raises(ModelError, match=r"^view foreign cannot .* transform foreign has no form .* horizontal_flip,"):
        graph_view(View((Foreign(),)), image_shape=(H, W, 3), size=(H, W))


@pytest.mark.parametrize(("kind", "params"), [param[:2] for param in PARAMS if TRANSFORMS[param[0]].needs_rgb])
def test_what_needs_colour_says_so_before_it_runs(kind: str, params: dict[str, Any]) -> None:
    """Grey images are refused as the transform itself refuses them."""
    view = View((make_transform(kind, params),))
    with pytest.raises(DataError, match="needs RGB images with 3 channels, got 1"):
        graph_view(view, image_shape=(H, W, 1), size=(H, W))
