"""Crops are exact windows; a padded crop agrees with numpy.pad."""

import numpy as np
import pytest
import scipy.ndimage

from harness.transforms.crops import Crop, PadCrop
from harness.views import View

IMAGE = np.arange(1, 21, dtype=np.float32).reshape(1, 4, 5, 1)
ONE = np.arange(1)
NUMPY_MODES = {"constant": "constant", "edge": "edge", "reflect": "symmetric", "wrap": "wrap", "mirror": "reflect"}


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("center", [[7, 8, 9], [12, 13, 14]]),
        ("top_left", [[1, 2, 3], [6, 7, 8]]),
        ("top_right", [[3, 4, 5], [8, 9, 10]]),
        ("bottom_left", [[11, 12, 13], [16, 17, 18]]),
        ("bottom_right", [[13, 14, 15], [18, 19, 20]]),
    ],
)
def test_crop_takes_the_window_at_its_place(position: str, expected: list[list[float]]) -> None:
    """Half of 4 rows is 2, half of 5 columns rounds to 3."""
    assert Crop(position, 0.5)(IMAGE, ONE)[0, :, :, 0].tolist() == expected


def test_crop_of_the_usual_load_size_is_the_usual_input_size() -> None:
    """0.875 of 256 is 224, with 16 pixels to either side."""
    rows = np.arange(256, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 256, 1), np.float32)
    window = Crop("center", 0.875)(rows, ONE)
    assert window.shape == (1, 224, 224, 1)
    assert window[0, [0, -1], 0, 0].tolist() == [16, 239]


@pytest.mark.parametrize(("position", "start"), [("top_left", (0, 0)), ("bottom_right", (7, 7)), ("top_right", (0, 7))])
def test_corner_zooms_are_crops(position: str, start: tuple[int, int]) -> None:
    """The corner zoom of fastai, by 1.35, shows 1 / 1.35 of each side, in a corner, and fills the image with it.

    Against scipy.ndimage at the places of that map; the outermost pixels, where a zoom would look over the window's
    border, aside. 27 / 1.35 is 20: where a side does not divide, the window is rounded to whole pixels.
    """
    images = np.random.default_rng(0).integers(0, 256, (1, 27, 27, 1)).astype(np.uint8)
    ours = View((Crop(position, 1 / 1.35),))(images, ONE, size=(27, 27))
    places = [first + (np.arange(27) + 0.5) / 1.35 - 0.5 for first in start]
    grid = np.meshgrid(*places, indexing="ij")
    expected = scipy.ndimage.map_coordinates(images[0, :, :, 0].astype(np.float64), grid, order=1, mode="nearest")
    assert np.abs(ours[0, :, :, 0] - expected)[1:-1, 1:-1].max() < 1e-3


def test_an_odd_pixel_is_left_at_the_right_and_at_the_bottom() -> None:
    """Three of 4 rows and 4 of 5 columns: the centre window starts in the corner."""
    assert Crop("center", 0.75)(IMAGE, ONE)[0, :, :, 0].tolist() == [[1, 2, 3, 4], [6, 7, 8, 9], [11, 12, 13, 14]]


def test_a_crop_is_never_a_no_op() -> None:
    """Even the whole image is resized to the input size, which identity does not do."""
    assert not Crop("center", 1).is_identity()
    assert Crop.resizes


@pytest.mark.parametrize("fill", NUMPY_MODES)
@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (-1, 2), (0, -2)])
def test_pad_crop_is_pad_then_crop(fill: str, dx: int, dy: int) -> None:
    """The window at (pad - dy, pad - dx) of numpy.pad, bit for bit."""
    value = 9 if fill == "constant" else 0
    options = {"constant_values": value} if fill == "constant" else {}
    padded = np.pad(IMAGE[0, :, :, 0], 2, mode=NUMPY_MODES[fill], **options)
    ours = PadCrop(2, dx, dy, fill=fill, fill_value=value)(IMAGE, ONE)
    assert np.array_equal(ours[0, :, :, 0], padded[2 - dy : 6 - dy, 2 - dx : 7 - dx])


def test_pad_crop_of_the_middle_is_a_no_op() -> None:
    """No move, no change."""
    assert PadCrop(4, 0, 0).is_identity()


def test_pad_crop_stays_within_its_padding() -> None:
    """A window beyond the padding is refused."""
    with pytest.raises(ValueError, match=r"within -2\.\.2 \(pad\), got 3 and 0"):
        PadCrop(2, 3, 0)


@pytest.mark.parametrize("fraction", [0, -0.5, 1.01])
def test_crop_refuses_what_is_no_share(fraction: float) -> None:
    """A fraction lies above zero and at most at one."""
    with pytest.raises(ValueError, match=r"fraction must be a number in \(0, 1\]"):
        Crop("center", fraction)
