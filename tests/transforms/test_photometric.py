"""Operations on pixel values against hand values, Pillow and scipy.ndimage."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from PIL import Image, ImageEnhance

from harness.errors import DataError
from harness.transforms.base import Transform
from harness.transforms.photometric import Brightness, Contrast, Gamma, GaussianBlur, GaussianNoise, Saturation

ONE = np.arange(1)
COLOUR = np.random.default_rng(5).integers(0, 256, (1, 9, 12, 3)).astype(np.uint8)
GREY = np.array([[0, 100], [200, 60]], np.float32)[None, :, :, None]


def run(transform: Transform, images: np.ndarray) -> np.ndarray:
    """The transform on a batch, as float32."""
    return transform(images.astype(np.float32), np.arange(len(images)))


def test_brightness_multiplies_and_clips() -> None:
    """100 becomes 150, 200 stops at 255."""
    assert run(Brightness(1.5), GREY)[0, :, :, 0].tolist() == [[0, 150], [255, 90]]


def test_contrast_stretches_about_the_mean() -> None:
    """The mean of the image is 90: half the contrast halves every distance from it."""
    assert run(Contrast(0.5), GREY)[0, :, :, 0].tolist() == [[45, 95], [145, 75]]


def test_contrast_of_colours_is_about_the_luma() -> None:
    """Lumas 29.9 and 22.8 have the mean 26.35; each channel about its own mean stretches 100 and 0 about 50."""
    image = np.array([[[100, 0, 0], [0, 0, 200]]], np.float32)[None]
    expected = [[63.175, 13.175, 13.175], [13.175, 13.175, 113.175]]
    assert np.allclose(run(Contrast(0.5), image)[0, 0], expected, atol=1e-4)
    own = [[75, 0, 50], [25, 0, 150]]
    assert run(Contrast(0.5, per_channel=True), image)[0, 0].tolist() == own


def test_saturation_by_hand() -> None:
    """The luma of (200, 100, 0) is 118.5; half the saturation halves the distances from it."""
    image = np.array([200, 100, 0], np.float32)[None, None, None]
    assert np.allclose(run(Saturation(0.5), image), [159.25, 109.25, 59.25], atol=1e-4)


def test_contrast_keeps_images_apart() -> None:
    """The mean is each image's own."""
    images = np.concatenate([GREY, GREY / 2])
    assert run(Contrast(0), images)[:, 0, 0, 0].tolist() == [90, 45]


def test_gamma_is_a_power_law() -> None:
    """Gamma two takes the half to the quarter; black and white stay."""
    values = np.array([0, 127.5, 255], np.float32)[None, None, :, None]
    assert np.allclose(run(Gamma(2), values).ravel(), [0, 63.75, 255], atol=1e-4)


def test_saturation_zero_is_the_luma() -> None:
    """Pure red has the luma 0.299."""
    red = np.array([255, 0, 0], np.float32)[None, None, None, :]
    assert np.allclose(run(Saturation(0), red), 255 * 0.299, atol=1e-4)


def test_saturation_needs_colour() -> None:
    """One clear line for a data set without colour."""
    with pytest.raises(DataError, match=r"saturation\(0.5\) needs RGB images with 3 channels, got 1"):
        run(Saturation(0.5), GREY)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.7])
@pytest.mark.parametrize(
    ("ours", "pillow"),
    [(Brightness, ImageEnhance.Brightness), (Contrast, ImageEnhance.Contrast), (Saturation, ImageEnhance.Color)],
)
def test_agrees_with_pillow(ours: type, pillow: type, factor: float) -> None:
    """Pillow's enhancers on uint8, within the grey levels that its rounding of grey and result can make."""
    expected = np.asarray(pillow(Image.fromarray(COLOUR[0])).enhance(factor)).astype(np.float32)
    assert np.abs(run(ours(factor), COLOUR)[0] - expected).max() <= 1.5 + abs(1 - factor)


def test_blur_agrees_with_scipy() -> None:
    """scipy.ndimage.gaussian_filter image by image and channel by channel, also wider than the image."""
    for sigma in (0.5, 1.3, 5.0):
        expected = scipy.ndimage.gaussian_filter(COLOUR[0].astype(np.float64), (sigma, sigma, 0))
        assert np.allclose(run(GaussianBlur(sigma), COLOUR)[0], expected, atol=1e-3)


def test_blur_by_hand() -> None:
    """Sigma a half: weights 1, e^-2 and e^-8 over their sum 1.271342; the left edge shows the point again."""
    row = np.array([0, 200, 0, 0, 0], np.float32)[None, None, :, None]
    expected = [21.3429, 157.3141, 21.2902, 0.0528, 0]
    assert np.allclose(run(GaussianBlur(0.5), row).ravel(), expected, atol=1e-3)


def test_blur_spreads_a_point_as_a_gaussian() -> None:
    """By hand: neighbours of a point in the middle stand as exp(-1 / (2 sigma^2)) to 1; the sum is kept."""
    point = np.zeros((1, 15, 15, 1), np.float32)
    point[0, 7, 7] = 200
    blurred = run(GaussianBlur(1), point)[0, :, :, 0]
    assert np.isclose(blurred[7, 8] / blurred[7, 7], np.exp(-0.5), rtol=1e-5)
    assert np.isclose(blurred[8, 7] / blurred[7, 7], np.exp(-0.5), rtol=1e-5)
    assert np.isclose(blurred.sum(), 200, rtol=1e-5)


def test_noise_is_normal_with_its_standard_deviation() -> None:
    """Over mid-grey, where nothing is clipped, a Kolmogorov-Smirnov test accepts it (fixed seed: no chance here)."""
    plain = np.full((4, 32, 32, 3), 128, np.float32)
    noise = (run(GaussianNoise(5), plain) - plain).ravel()
    assert abs(noise.std() - 5) < 0.15
    assert scipy.stats.kstest(noise / 5, "norm").pvalue > 0.01


def test_noise_differs_between_copies_seeds_and_examples() -> None:
    """No two of them share their draws."""
    plain = np.full((2, 4, 4, 1), 128, np.float32)
    draws = [run(GaussianNoise(5, seed=seed, copy=copy), plain) for seed, copy in ((0, 0), (0, 1), (1, 0))]
    every = np.concatenate(draws).reshape(6, -1)
    assert len(np.unique(every, axis=0)) == 6


@pytest.mark.parametrize(
    "transform", [Brightness(1), Contrast(1.0), Saturation(1), Gamma(1), GaussianNoise(0), GaussianBlur(0)]
)
def test_no_ops_say_so(transform: Transform) -> None:
    """Parameters that change nothing make the identity."""
    assert transform.is_identity()


@pytest.mark.parametrize("make", [lambda: Brightness(-1), lambda: Gamma(0), lambda: GaussianBlur(101)])
def test_wrong_parameters_are_refused(make: object) -> None:
    """A value out of its range never becomes a transform."""
    with pytest.raises(ValueError, match="must be a number in"):
        make()
