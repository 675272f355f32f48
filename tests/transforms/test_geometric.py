"""Rotation, shift, zoom and shear against hand values, scipy.ndimage and Pillow."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from harness.transforms.flips import Rotate90
from harness.transforms.geometric import Resampled, Rotate, Shear, Shift, Zoom
from harness.transforms.resample import resize

ROW = np.array([10, 20, 30, 40], np.float32)[None, None, :, None]
IMAGE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)[None, :, :, None]
SCIPY_MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "reflect": "reflect",
    "wrap": "grid-wrap",
    "mirror": "mirror",
}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Images without any symmetry, float32 in [0, 255)."""
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def run(transform: Resampled, images: np.ndarray) -> np.ndarray:
    """The transform on a batch."""
    return transform(images, np.arange(len(images)))


@pytest.mark.parametrize(
    ("fill", "right", "left"),
    [
        ("constant", [0, 0, 10, 20], [30, 40, 0, 0]),
        ("edge", [10, 10, 10, 20], [30, 40, 40, 40]),
        ("reflect", [20, 10, 10, 20], [30, 40, 40, 30]),
        ("wrap", [30, 40, 10, 20], [30, 40, 10, 20]),
        ("mirror", [30, 20, 10, 20], [30, 40, 30, 20]),
    ],
)
def test_shift_moves_the_content_and_fills_what_is_left(fill: str, right: list[int], left: list[int]) -> None:
    """Positive dx moves right; each fill continues the row as its table says."""
    assert run(Shift(2, 0, fill=fill), ROW)[0, 0, :, 0].tolist() == right
    assert run(Shift(-2, 0, fill=fill), ROW)[0, 0, :, 0].tolist() == left


def test_shift_down_and_up() -> None:
    """Positive dy moves the content down."""
    assert run(Shift(0, 1), IMAGE)[0, :, :, 0].tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6]]
    assert run(Shift(0, -1), IMAGE)[0, :, :, 0].tolist() == [[4, 5, 6], [7, 8, 9], [7, 8, 9]]


def test_a_mirror_further_away_than_the_image_is_wide() -> None:
    """The row goes forth and back without end, as numpy.pad has it; a single pixel is all there is to see."""
    for dx in (5, 9, -14):
        padded = np.pad(ROW[0, 0, :, 0], 20, mode="reflect")
        assert run(Shift(dx, 0, fill="mirror"), ROW)[0, 0, :, 0].tolist() == padded[20 - dx : 24 - dx].tolist()
    assert run(Shift(0, 3, fill="mirror"), ROW).tolist() == ROW.tolist()


def test_half_a_pixel_is_the_mean_of_two() -> None:
    """Bilinear interpolation at half way, and the fill value blended in at the border, both exact."""
    assert run(Shift(0.5, 0), ROW)[0, 0, :, 0].tolist() == [10, 15, 25, 35]
    blended = run(Shift(0.5, 0, fill="constant", fill_value=200), ROW)
    assert blended[0, 0, :, 0].tolist() == [105, 15, 25, 35]


def test_a_fraction_is_of_the_own_side() -> None:
    """A fraction dx counts in widths, dy in heights."""
    images = noise(2, 4, 8, 3)
    assert np.array_equal(run(Shift(0.25, 0.25, unit="fraction"), images), run(Shift(2, 1), images))


def test_whole_shifts_are_exact_copies() -> None:
    """Not a bit of a pixel changes when it is moved by whole pixels."""
    images = noise(3, 9, 7, 3)
    moved = run(Shift(2, -3, fill="wrap"), images)
    assert np.array_equal(moved, np.roll(images, (-3, 2), axis=(1, 2)))


def test_zoom_magnifies() -> None:
    """Factor two spreads the middle over the image, by hand."""
    assert run(Zoom(2), ROW)[0, 0, :, 0].tolist() == [17.5, 22.5, 27.5, 32.5]
    assert run(Zoom(0.5, fill="constant"), ROW)[0, 0, :, 0].tolist() == [0, 15, 35, 0]


def test_shear_moves_the_top_to_the_right() -> None:
    """At 45 degrees each row moves by its distance from the centre."""
    sheared = run(Shear(45, fill="constant"), IMAGE)[0, :, :, 0]
    assert np.allclose(sheared, [[0, 1, 2], [4, 5, 6], [8, 9, 0]], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"axis": "y"}, [[0, 2, 6], [1, 5, 9], [4, 8, 0]]),
        ({"anchor": "top_left"}, [[1.5, 2.5, 1.5], [5.5, 3, 0], [4.5, 0, 0]]),
        ({"axis": "y", "anchor": "top_left"}, [[2.5, 6.5, 4.5], [5.5, 4, 0], [3.5, 0, 0]]),
    ],
)
def test_shear_along_y_and_about_a_corner(options: dict[str, str], expected: list[list[float]]) -> None:
    """Columns to the right move up; about the corner a pixel's middle is moved by its distance, half a pixel and on."""
    assert np.allclose(run(Shear(45, fill="constant", **options), IMAGE)[0, :, :, 0], expected, atol=1e-5)


def test_shears_of_old_are_the_default() -> None:
    """A shear without an axis is along x and about the centre, and is called as before."""
    assert Shear(12).label() == "shear(12)"
    assert Shear(12, axis="y").label() == "shear(12,axis=y)"
    assert Shear(12) == Shear(12, axis="x", anchor="center")


def test_rotation_by_hand() -> None:
    """At 45 degrees a plane stays a plane; a corner shows what lies 1.41 from the centre, cut off at the edge."""
    expected = [[2, 3.5858, 6], [2.1716, 5, 7.8284], [4, 6.4142, 8]]
    assert np.allclose(run(Rotate(45), IMAGE)[0, :, :, 0], expected, atol=1e-4)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_right_angles_are_quarter_turns(degrees: float, turns: int, side: int, interpolation: str) -> None:
    """Positive degrees turn counter-clockwise, as numpy.rot90, about the centre of odd and even sides."""
    images = noise(2, side, side, 3)
    turned = run(Rotate(degrees, interpolation=interpolation), images)
    assert np.allclose(turned, Rotate90(turns)(images, np.arange(2)), atol=1e-4)


@pytest.mark.parametrize("fill", SCIPY_MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    "transform",
    [
        *[Rotate(17), Rotate(-133), Shift(1.3, -2.6), Zoom(1.3), Zoom(0.6)],
        *[Shear(20), Shear(20, axis="y"), Shear(-9, anchor="top_left")],
    ],
    ids=lambda t: t.label(),
)
def test_agrees_with_scipy(transform: Resampled, interpolation: str, fill: str) -> None:
    """The same map through scipy.ndimage.affine_transform, in every mode and interpolation, within 1e-3 of 255."""
    image = noise(1, 11, 14, 1)
    value = 77 if fill == "constant" else 0
    ours = run(replace(transform, interpolation=interpolation, fill=fill, fill_value=value), image)
    xx, xy, x0, yx, yy, y0 = transform.matrix(11, 14)
    linear, centre = np.array([[yy, yx], [xy, xx]]), np.array([5.0, 6.5])
    expected = scipy.ndimage.affine_transform(
        image[0, :, :, 0].astype(np.float64),
        linear,
        offset=centre - linear @ centre + [y0, x0],
        order=0 if interpolation == "nearest" else 1,
        mode=SCIPY_MODES[fill],
        cval=value,
    )
    assert np.allclose(ours[0, :, :, 0], expected, atol=1e-3)


@pytest.mark.parametrize(("resample", "interpolation"), [(Image.NEAREST, "nearest"), (Image.BILINEAR, "bilinear")])
@pytest.mark.parametrize("degrees", [12, -75])
def test_rotation_agrees_with_pillow(degrees: float, resample: int, interpolation: str) -> None:
    """Pillow's rotate turns the same way about the same centre; inside the image within 0.01 of 255."""
    image = noise(1, 21, 21, 1)
    expected = np.asarray(Image.fromarray(image[0, :, :, 0]).rotate(degrees, resample=resample))
    ours = run(Rotate(degrees, interpolation=interpolation), image)[0, :, :, 0]
    inside = np.hypot(*np.mgrid[-10:11, -10:11]) < 9
    assert np.allclose(ours[inside], expected[inside], atol=0.01)


def test_shear_agrees_with_pillow() -> None:
    """The lean has the sign of the usual ShearX: output x reads the source at x + tan(angle) y."""
    image, lean = noise(1, 21, 21, 1), math.tan(math.radians(15))
    matrix = (1, lean, -lean * 10.5, 0, 1, 0)
    expected = Image.fromarray(image[0, :, :, 0]).transform((21, 21), Image.AFFINE, matrix, Image.BILINEAR)
    ours = run(Shear(15), image)[0, :, :, 0]
    assert np.allclose(ours[2:-2, 4:-4], np.asarray(expected)[2:-2, 4:-4], atol=0.01)


@pytest.mark.parametrize(("axis", "level"), [("x", 0.3), ("x", -0.1), ("y", 0.22), ("y", -0.3)])
def test_shear_about_the_corner_agrees_with_pillow(axis: str, level: float) -> None:
    """AutoAugment's ShearX and ShearY: coefficients (1, level, 0, 0, 1, 0) and (1, 0, 0, level, 1, 0)."""
    image = noise(1, 17, 21, 1)
    matrix = (1, level, 0, 0, 1, 0) if axis == "x" else (1, 0, 0, level, 1, 0)
    pillow = Image.fromarray(image[0, :, :, 0]).transform((21, 17), Image.AFFINE, matrix, Image.NEAREST)
    degrees = math.degrees(math.atan(level))
    ours = run(Shear(degrees, axis=axis, anchor="top_left", interpolation="nearest", fill="constant"), image)
    assert np.array_equal(ours[0, :, :, 0], np.asarray(pillow))


@pytest.mark.parametrize("size", [(14, 20), (5, 6)])
def test_resize_has_half_pixel_centres(size: tuple[int, int]) -> None:
    """Upwards as Pillow's BILINEAR; downwards, where Pillow averages, as scipy.ndimage at the same places."""
    image = noise(1, 7, 10, 1)
    ours = resize(image, size)[0, :, :, 0]
    places = np.meshgrid(
        *((np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(size, (7, 10), strict=True)), indexing="ij"
    )
    assert np.allclose(
        ours, scipy.ndimage.map_coordinates(image[0, :, :, 0], places, order=1, mode="nearest"), atol=1e-3
    )
    if size == (14, 20):
        upwards = Image.fromarray(image[0, :, :, 0]).resize((20, 14), Image.BILINEAR)
        assert np.allclose(ours, np.asarray(upwards), atol=1e-3)


@pytest.mark.parametrize(
    "transform", [Rotate(0), Shift(0, 0), Zoom(1), Shear(0), Rotate(-0.0), Shift(0, 0, fill="wrap")]
)
def test_no_ops_say_so(transform: Resampled) -> None:
    """Parameters that change nothing make the identity, whatever the fill."""
    assert transform.is_identity()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Rotate(181), r"degrees must be a number in \(-180, 180\], got 181"),
        (lambda: Rotate(float("nan")), "degrees must be a number"),
        (lambda: Zoom(0), r"factor must be a number in \(0, inf\), got 0"),
        (lambda: Shear(90), "degrees must be a number"),
        (
            lambda: Shift(1, 0, fill="nearest"),
            "fill must be one of constant, edge, reflect, wrap, mirror, got 'nearest'",
        ),
        (lambda: Shift(1, 0, fill="edge", fill_value=3), "fill_value=3 has a meaning with fill=constant only"),
        (lambda: Shift(float("inf"), 0), "dx must be a number"),
    ],
)
def test_wrong_parameters_are_refused(make: object, said: str) -> None:
    """A value out of its range never becomes a transform."""
    with pytest.raises(ValueError, match=said):
        make()
