"""What every transform promises, whatever it does."""

import numpy as np
import pytest

from harness.transforms.base import Transform
from harness.transforms.registry import TRANSFORMS, make_transform

PARAMS = [
    ("horizontal_flip", {}),
    ("vertical_flip", {}),
    ("rotate90", {"turns": 1}),
    ("rotate", {"degrees": 10}),
    ("rotate", {"degrees": -33, "fill": "constant", "fill_value": 128}),
    ("shift", {"dx": 1.4, "dy": -0.7, "fill": "reflect"}),
    ("zoom", {"factor": 1.2}),
    ("shear", {"degrees": 12, "interpolation": "nearest"}),
    ("crop", {"position": "top_right", "fraction": 0.8}),
    ("pad_crop", {"pad": 2, "dx": 1, "dy": -2, "fill_value": 3}),
    ("brightness", {"factor": 1.3}),
    ("contrast", {"factor": 1.6}),
    ("saturation", {"factor": 1.8}),
    ("gamma", {"gamma": 0.7}),
    ("gaussian_noise", {"std": 20}),
    ("gaussian_blur", {"sigma": 0.8}),
    ("random_flip", {"vertical": True}),
    (
        "random_affine",
        {"rotation_range": 20, "zoom_range": 0.1, "shear_range": 5, "height_shift_range": 0.1, "fill": "constant"},
    ),
]
N = 64
EVERY = [pytest.param(make_transform(kind, params), id=f"{kind}-{i}") for i, (kind, params) in enumerate(PARAMS)]


def images(channels: int) -> np.ndarray:
    """Noise with black and white, 11 x 11 so that no vector length divides it, float32 in [0, 255]."""
    values = np.random.default_rng(1).integers(-40, 296, (N, 11, 11, channels))
    return np.clip(values, 0, 255).astype(np.float32)


def test_every_kind_is_tested() -> None:
    """No kind of the table escapes the promises below."""
    assert {kind for kind, _ in PARAMS} == set(TRANSFORMS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("transform", EVERY)
def test_pixels_do_not_depend_on_the_batch(transform: Transform, channels: int) -> None:
    """One at a time, in other batches and in another order: the same bits; in [0, 255]; the input untouched."""
    if transform.needs_rgb and channels == 1:
        pytest.skip("needs RGB")
    batch, indices = images(channels), np.arange(1000, 1000 + N)
    before = batch.copy()
    whole = transform(batch, indices)
    singles = np.concatenate([transform(batch[i : i + 1], indices[i : i + 1]) for i in range(N)])
    order = np.random.default_rng(2).permutation(N)
    assert np.array_equal(singles, whole)
    assert np.array_equal(transform(batch[order], indices[order]), whole[order])
    assert np.array_equal(np.concatenate([transform(batch[:7], indices[:7]), transform(batch[7:], indices[7:])]), whole)
    assert whole.dtype == np.float32
    assert whole.min() >= 0
    assert whole.max() <= 255
    assert not np.array_equal(whole, before)
    assert np.array_equal(batch, before)


@pytest.mark.parametrize("transform", EVERY)
def test_channels_of_a_grey_image_stay_equal(transform: Transform) -> None:
    """A grey picture stored as RGB comes out grey, within float rounding (noise, which is per value, aside)."""
    if transform.kind == "gaussian_noise":
        pytest.skip("independent in every channel")
    grey = np.repeat(images(1)[:4], 3, axis=3)
    result = transform(grey, np.arange(4))
    assert np.allclose(result, result[..., :1], atol=1e-3)
