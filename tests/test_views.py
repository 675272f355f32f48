"""Views: chains, products, names and keys, and how they end at the model's input size."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from harness.errors import ConfigError, DataError
from harness.fingerprint import fingerprint
from harness.transforms.base import Transform
from harness.transforms.crops import Crop
from harness.transforms.flips import HorizontalFlip, Rotate90, VerticalFlip
from harness.transforms.geometric import Rotate, Shift, Zoom
from harness.transforms.photometric import Brightness
from harness.transforms.random import RandomAffine, RandomFlip
from harness.views import IDENTITY, ForwardPass, View, chain, product, unique

HFLIP, VFLIP = View((HorizontalFlip(),)), View((VerticalFlip(),))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)
INDICES = np.arange(3)


@dataclass(frozen=True)
class Sloppy(Transform):
    """A transform that forgets its promise."""

    kind: ClassVar[str] = "sloppy"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Double precision."""
        return images.astype(np.float64)


def test_identity_is_the_images_themselves() -> None:
    """uint8 to float32 of the same values, contiguous."""
    result = IDENTITY(IMAGES, INDICES, size=(8, 10))
    assert np.array_equal(result, IMAGES)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous


def test_larger_images_are_cropped_about_the_centre() -> None:
    """Without a crop in the chain the ordinary evaluation preprocessing: the middle at load resolution."""
    assert np.array_equal(IDENTITY(IMAGES, INDICES, size=(4, 7)), IMAGES[:, 2:6, 1:8])
    flipped = HFLIP(IMAGES, INDICES, size=(4, 6))
    assert np.array_equal(flipped, IMAGES[:, 2:6, 2:8][:, :, ::-1])
    assert flipped.flags.c_contiguous


def test_a_crop_of_the_input_size_is_not_touched() -> None:
    """Crops that fit are exact."""
    view = View((Crop("top_left", 0.5),))
    assert np.array_equal(view(IMAGES, INDICES, size=(4, 5)), IMAGES[:, :4, :5])


def test_a_crop_of_another_size_is_resized() -> None:
    """Smaller windows are enlarged as by Pillow's bilinear resize, not cropped again and not refused."""
    view = View((Crop("bottom_right", 0.5),))
    result = view(IMAGES, INDICES, size=(8, 10))
    window = Image.fromarray(IMAGES[0, 4:, 5:, 0].astype(np.float32))
    assert result.shape == IMAGES.shape
    assert np.allclose(result[0, :, :, 0], np.asarray(window.resize((10, 8), Image.BILINEAR)), atol=1e-3)


def test_smaller_images_are_refused_with_both_sizes() -> None:
    """One line that says what was there and what was needed."""
    with pytest.raises(DataError, match="images of 8x10 are smaller than the model's input of 8x12"):
        IDENTITY(IMAGES, INDICES, size=(8, 12))
    with pytest.raises(DataError, match="images of 10x8 are smaller"):
        View((Rotate90(1),))(IMAGES, INDICES, size=(8, 10))


def test_a_transform_that_breaks_its_promise_is_named() -> None:
    """Other packages' transforms are checked where they return."""
    with pytest.raises(DataError, match=r"transform sloppy must return .* float32, got .* float64"):
        View((Sloppy(),))(IMAGES, INDICES, size=(8, 10))


def test_transforms_run_in_order() -> None:
    """Flip then shift is not shift then flip."""
    flip_shift = View((HorizontalFlip(), Shift(3, 0)))(IMAGES, INDICES, size=(8, 10))
    assert np.array_equal(flip_shift[:, :, 3:], IMAGES[:, :, ::-1][:, :, :7])


def test_a_view_does_not_depend_on_the_batch() -> None:
    """A chain of a random, a geometric and a photometric transform: one at a time equals all at once."""
    view = View((RandomAffine(rotation_range=30, zoom_range=0.2), Rotate(5), Brightness(1.1), HorizontalFlip()))
    whole = view(IMAGES, INDICES, size=(6, 6))
    singles = [view(IMAGES[i : i + 1], INDICES[i : i + 1], size=(6, 6)) for i in range(3)]
    assert np.array_equal(np.concatenate(singles), whole)


def test_no_ops_are_dropped() -> None:
    """Views that do the same are equal, hash alike and have one key."""
    view = View((Rotate(0), HorizontalFlip(), Shift(0, 0), Brightness(1), Zoom(1)))
    assert view == HFLIP
    assert hash(view) == hash(HFLIP)
    assert view.key == HFLIP.key
    assert View((Rotate(0), RandomAffine())) == IDENTITY


def test_ten_and_ten_point_zero_are_one_view() -> None:
    """Equal numbers, one view, one key; other interpolation or fill, another view."""
    assert View((Rotate(10),)) == View((Rotate(10.0),))
    assert View((Rotate(10),)).key == View((Rotate(10.0),)).key
    others = [View((Rotate(10, **more),)) for more in ({}, {"interpolation": "nearest"}, {"fill": "wrap"})]
    assert len({view.key for view in others}) == len(set(others)) == 3


def test_names_and_keys() -> None:
    """The name is the labels in order; the key is the fingerprint of the spec."""
    assert IDENTITY.name == "identity"
    assert View((HorizontalFlip(), Rotate(10), Shift(1, 0))).name == "horizontal_flip+rotate(10)+shift(dx=1)"
    assert HFLIP.spec == [{"kind": "horizontal_flip"}]
    assert HFLIP.key == fingerprint([{"kind": "horizontal_flip"}])
    assert chain(HFLIP, VFLIP).key != chain(VFLIP, HFLIP).key


def test_chain_and_unique() -> None:
    """Chains join in order and identity adds nothing; the first of equals stays in its place."""
    assert chain(HFLIP, IDENTITY, VFLIP) == View((HorizontalFlip(), VerticalFlip()))
    assert chain() == IDENTITY
    assert unique([VFLIP, HFLIP, VFLIP, IDENTITY]) == (VFLIP, HFLIP, IDENTITY)


def test_product_has_identity_first_and_no_duplicates() -> None:
    """Each factor offers identity; the last varies fastest; order is the same every time."""
    turns = [View((Rotate90(turns),)) for turns in range(4)]
    d4 = product([[HFLIP], turns])
    assert len(d4) == 8
    assert d4[0] == IDENTITY
    assert [view.name for view in d4[3:6]] == ["rotate90(3)", "horizontal_flip", "horizontal_flip+rotate90(1)"]
    assert product([]) == (IDENTITY,)
    assert product([[HFLIP], [HFLIP]]) == (IDENTITY, HFLIP, chain(HFLIP, HFLIP))


def test_the_eight_of_d4_are_eight_pictures() -> None:
    """On a square image without symmetry no two of them look alike."""
    square = IMAGES[:, :, :8]
    pictures = {
        view(square, INDICES, size=(8, 8)).tobytes()
        for view in product([[HFLIP], [View((Rotate90(t),)) for t in (1, 2, 3)]])
    }
    assert len(pictures) == 8


def test_forward_passes_are_values() -> None:
    """The union of passes is a set."""
    assert (
        len(
            {
                ForwardPass("test", HFLIP),
                ForwardPass("test", View((HorizontalFlip(),))),
                ForwardPass("validation", HFLIP),
            }
        )
        == 2
    )


def test_two_random_transforms_of_one_seed_are_refused() -> None:
    """They would draw the same numbers: two flips of one seed would undo each other."""
    with pytest.raises(ConfigError, match="give its transforms two seeds"):
        View((RandomFlip(seed=1), RandomFlip(seed=1)))
    assert len(View((RandomFlip(seed=1), RandomFlip(seed=2))).transforms) == 2
