"""What every transform promises, whatever it does."""

import numpy as np
import pytest

from harness.errors import DataError
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
    ("contrast", {"factor": 0.4, "per_channel": True}),
    ("shear", {"degrees": -15, "axis": "y", "anchor": "top_left", "fill": "mirror"}),
    ("add", {"value": 40}),
    ("invert", {}),
    ("solarize", {"threshold": 100}),
    ("posterize", {"bits": 3}),
    ("equalize", {}),
    ("autocontrast", {"cutoff": 20}),
    ("grayscale", {}),
    ("hue", {"degrees": 70}),
    ("sharpness", {"factor": 1.9}),
    ("pil_blur", {}),
    ("cutout", {"size": 5, "x": 0.1, "fill_value": 90}),
    ("jpeg", {"quality": 30}),
    ("random_flip", {"vertical": True}),
    (
        "random_affine",
        {"rotation_range": 20, "zoom_range": 0.1, "shear_range": 5, "height_shift_range": 0.1, "fill": "constant"},
    ),
    ("random_crop", {"pad": 3, "fill": "reflect"}),
    ("random_resized_crop", {"scale_low": 0.3}),
    *[("rand_augment", {"num_ops": 5, "copy": copy}) for copy in range(6)],
    ("aug_mix", {"severity": 10}),
]
N = 64
EVERY = [pytest.param(make_transform(kind, params), id=f"{kind}-{i}") for i, (kind, params) in enumerate(PARAMS)]


def images(channels: int) -> np.ndarray:
    """Noise with black and white, 19 x 19 so that no vector length divides it, float32 in [0, 255]."""
    values = np.random.default_rng(1).integers(-40, 296, (N, 19, 19, channels))
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
    assert np.array_equal(transform(np.tile(batch, (3, 1, 1, 1)), np.tile(indices, 3)), np.tile(whole, (3, 1, 1, 1)))
    assert np.array_equal(np.concatenate([transform(batch[:7], indices[:7]), transform(batch[7:], indices[7:])]), whole)
    assert whole.dtype == np.float32
    assert whole.min() >= 0
    assert whole.max() <= 255
    assert not np.array_equal(whole, before)
    assert np.array_equal(batch, before)


@pytest.mark.parametrize("transform", EVERY)
def test_memory_layout_and_shape_do_not_matter(transform: Transform) -> None:
    """A mirrored view of an array, as the link before it in a chain may hand on, gives the bits of its copy; oblong."""
    mirrored, indices = images(3)[:9, ::-1, 2:-5], np.arange(9)
    result = transform(mirrored, indices)
    assert np.array_equal(result, transform(mirrored.copy(), indices))
    if not transform.resizes and transform.kind != "rotate90":
        assert result.shape == mirrored.shape


@pytest.mark.parametrize("transform", [param for param in EVERY if param.values[0].needs_rgb])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_what_needs_colour_says_so(transform: Transform, channels: int) -> None:
    """One line names the transform, what it needs and what it got."""
    with pytest.raises(DataError) as caught:
        transform(images(1).repeat(channels, axis=3), np.arange(N))
    assert f"needs RGB images with 3 channels, got {channels}" in str(caught.value)
    assert str(caught.value).startswith(transform.label())


@pytest.mark.parametrize("transform", EVERY)
def test_channels_of_a_grey_image_stay_equal(transform: Transform) -> None:
    """A grey picture stored as RGB comes out grey, within float rounding (noise, which is per value, aside)."""
    if transform.kind == "gaussian_noise":
        pytest.skip("independent in every channel")
    grey = np.repeat(images(1)[:4], 3, axis=3)
    result = transform(grey, np.arange(4))
    assert np.allclose(result, result[..., :1], atol=1e-3)
