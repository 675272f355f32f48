"""Point and histogram operations against hand values and Pillow."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from harness.transforms.base import Transform
from harness.transforms.tonal import Add, Autocontrast, Equalize, Invert, Posterize, Solarize

GREY = np.array([[0, 100, 128], [200, 60, 255]], np.float32)[None, :, :, None]


def run(transform: Transform, images: np.ndarray) -> np.ndarray:
    """The transform on a batch, as float32."""
    return transform(images.astype(np.float32), np.arange(len(images)))


def colours(n: int = 6, side: int = 24) -> np.ndarray:
    """Images of different ranges and histograms, one of them of two levels, uint8 `[n, side, side, 3]`."""
    generator = np.random.default_rng(5)
    images = generator.normal(120, 40, (n, side, side + 3, 3)) * generator.uniform(0.1, 1.2, (n, 1, 1, 3))
    images[0] = np.where(images[0] > 60, 200, 7)
    return np.clip(images, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Add(60), [[60, 160, 188], [255, 120, 255]]),
        (Add(-100.5), [[0, 0, 27.5], [99.5, 0, 154.5]]),
        (Invert(), [[255, 155, 127], [55, 195, 0]]),
        (Solarize(), [[0, 100, 127], [55, 60, 0]]),
        (Solarize(60), [[0, 155, 127], [55, 195, 0]]),
        (Posterize(1), [[0, 0, 128], [128, 0, 128]]),
        (Posterize(3), [[0, 96, 128], [192, 32, 224]]),
        (Autocontrast(), [[0, 100, 128], [200, 60, 255]]),
    ],
    ids=lambda value: value.label() if hasattr(value, "label") else None,
)
def test_by_hand(transform: Transform, expected: list[list[float]]) -> None:
    """Sums are clipped, a threshold inverts from itself on, bits are cut off below."""
    assert run(transform, GREY)[0, :, :, 0].tolist() == expected


def test_autocontrast_by_hand() -> None:
    """Levels 50 to 150 are spread over 0 to 255: 255 (100 - 50) / 100 is 127.5, truncated; each channel its own."""
    image = np.array([[[50, 3], [100, 3]], [[150, 3], [75, 3]]], np.float32)[None]
    assert run(Autocontrast(), image)[0].tolist() == [[[0, 3], [127, 3]], [[255, 3], [63, 3]]]


def test_autocontrast_cutoff_by_hand() -> None:
    """A quarter of four pixels is one at either end: 100 becomes black, 150 white, what lies beyond is clipped."""
    image = np.array([[50, 100], [150, 200]], np.float32)[None, :, :, None]
    assert run(Autocontrast(25), image)[0, :, :, 0].tolist() == [[0, 0], [255, 255]]
    assert run(Autocontrast(50), image)[0, :, :, 0].tolist() == [[50, 100], [150, 200]]


def test_equalize_by_hand() -> None:
    """Of 1020 pixels 510 are 10, 255 are 20 and 255 are 90: a step is 765 // 255 = 3, half of it 1.

    So 10 becomes 1 // 3 = 0, 20 becomes 511 // 3 = 170, 90 becomes 766 // 3 = 255.
    """
    image = np.repeat([10, 10, 20, 90], 255).reshape(1, 30, 34, 1)
    result = run(Equalize(), image)
    assert {level: set(result[image == level].tolist()) for level in (10, 20, 90)} == {10: {0}, 20: {170}, 90: {255}}


def test_equalize_leaves_small_images_alone() -> None:
    """Fewer than 256 pixels outside the highest level make no step."""
    assert run(Equalize(), GREY).tolist() == GREY.tolist()


@pytest.mark.parametrize(
    ("transform", "pillow"),
    [
        (Invert(), ImageOps.invert),
        (Solarize(), ImageOps.solarize),
        (Solarize(30), lambda image: ImageOps.solarize(image, 30)),
        *[(Posterize(bits), lambda image, bits=bits: ImageOps.posterize(image, bits)) for bits in range(1, 9)],
        (Equalize(), ImageOps.equalize),
        (Autocontrast(), ImageOps.autocontrast),
        *[(Autocontrast(c), lambda image, c=c: ImageOps.autocontrast(image, cutoff=c)) for c in (0.5, 2, 10, 33.3, 50)],
    ],
    ids=lambda value: value.label() if hasattr(value, "label") else None,
)
@pytest.mark.parametrize("channels", [1, 3])
def test_is_pillows(transform: Transform, pillow: Callable[[Image.Image], Image.Image], channels: int) -> None:
    """Level for level, in grey and in colour, for images of one level, of two and of many."""
    images = np.concatenate([colours(), np.full((1, 24, 27, 3), 9, np.uint8)])[..., :channels]
    expected = [np.asarray(pillow(Image.fromarray(image.squeeze()))).reshape(image.shape) for image in images]
    assert np.array_equal(run(transform, images), np.stack(expected))


@pytest.mark.parametrize("transform", [Posterize(4), Equalize(), Autocontrast()])
def test_levels_are_rounded_first(transform: Transform) -> None:
    """95.6 is level 96 for what is defined on whole levels."""
    whole = colours().astype(np.float32)
    near = np.clip(whole + np.random.default_rng(0).uniform(-0.49, 0.49, whole.shape).astype(np.float32), 0, 255)
    assert np.array_equal(run(transform, near), run(transform, whole))


@pytest.mark.parametrize("transform", [Add(0), Add(-0.0), Solarize(256), Posterize(8)])
def test_no_ops_say_so(transform: Transform) -> None:
    """Parameters that change nothing make the identity."""
    assert transform.is_identity()
    assert run(transform, GREY).tolist() == GREY.tolist()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Add(256), r"value must be a number in \[-255, 255\]"),
        (lambda: Solarize(-1), r"threshold must be a number in \[0, 256\]"),
        (lambda: Posterize(0), r"bits must be an integer in \[1, 8\]"),
        (lambda: Autocontrast(51), r"cutoff must be a number in \[0, 50\]"),
    ],
)
def test_wrong_parameters_are_refused(make: Callable[[], object], said: str) -> None:
    """A value out of its range never becomes a transform."""
    with pytest.raises(ValueError, match=said):
        make()
