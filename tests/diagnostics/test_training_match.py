"""Views against training augmentation: the ranges are compared with what the augmentation itself does to images."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.augmentation import build_augmentation
from harness.backend import keras
from harness.diagnostics.training_match import unseen
from harness.errors import ConfigError
from harness.models.specs import AUGMENTATIONS
from harness.transforms.registry import make_transform
from harness.views import IDENTITY, View

SIZE = (32, 32)


def view(*links: tuple[str, dict[str, Any]]) -> View:
    """A view of transforms by kind and parameters."""
    return View(tuple(make_transform(kind, params) for kind, params in links))


def seen(one: View, augmentation: str, **options: Any) -> bool:
    """True where nothing is said about the view."""
    return unseen([one], augmentation=augmentation, options=options, size=SIZE) == ()


HFLIP, VFLIP = view(("horizontal_flip", {})), view(("vertical_flip", {}))
ROTATE = view(("rotate", {"degrees": 10}))


def test_without_augmentation_one_sentence_says_it_all() -> None:
    """A model trained on the images as they are has seen identity alone."""
    found = unseen([IDENTITY, HFLIP, ROTATE], augmentation="none", size=SIZE)
    assert found == ("the model was trained without augmentation: it has seen none of the 2 views in training",)
    (single,) = unseen([HFLIP, HFLIP], augmentation="none", size=SIZE)
    assert single == "the model was trained without augmentation: it has not seen horizontal_flip in training"


def test_an_unknown_augmentation_is_said_to_be_unknown() -> None:
    """For a checkpoint of somebody else's nothing is claimed."""
    (found,) = unseen([HFLIP], augmentation=None, size=SIZE)
    assert "unknown" in found


@pytest.mark.parametrize("augmentation", [None, *AUGMENTATIONS])
def test_identity_was_always_seen(augmentation: str | None) -> None:
    """Nothing is said about the plain image, whatever the training."""
    assert unseen([IDENTITY], augmentation=augmentation, size=SIZE) == ()


def test_flips() -> None:
    """Each direction counts where training had it; half a turn is both, and a random flip is what it may do."""
    both = {"horizontal": True, "vertical": True}
    assert seen(HFLIP, "flip") and not seen(VFLIP, "flip")
    assert seen(VFLIP, "flip", horizontal=False, vertical=True) and not seen(HFLIP, "flip", horizontal=False)
    half, quarter = (view(("rotate90", {"turns": turns})) for turns in (2, 1))
    assert seen(half, "flip", **both) and not seen(half, "flip") and not seen(quarter, "flip", **both)
    assert seen(view(("random_flip", {})), "flip") and not seen(view(("random_flip", {"vertical": True})), "flip")
    assert unseen([VFLIP, HFLIP, ROTATE], augmentation="flip", size=SIZE) == (
        "views with vertical_flip: training (flip) never did that",
        "views with rotate(10): training (flip) never did that",
    )


def test_shifts_by_the_side_and_in_pixels() -> None:
    """An eighth of 32 pixels is four, of either axis; a chain is judged link by link."""
    assert seen(view(("shift", {"dx": 4, "dy": -4}), ("horizontal_flip", {})), "shift_flip")
    assert seen(view(("shift", {"dx": 0.125, "unit": "fraction"})), "shift_flip")
    assert seen(view(("pad_crop", {"pad": 4, "dx": -4, "dy": 4})), "shift_flip")
    assert not seen(view(("pad_crop", {"pad": 5, "dx": -5, "dy": 0})), "shift_flip")
    assert seen(view(("random_crop", {"pad": 4})), "shift_flip") and not seen(
        view(("random_crop", {"pad": 5})), "shift_flip"
    )
    far = [view(("shift", {"dx": float(dx)})) for dx in (5, 6, 7, 8)]
    assert unseen(far, augmentation="shift_flip", size=SIZE) == (
        "views with shift(dx=5), shift(dx=6), shift(dx=7) and 1 more: "
        "training (shift_flip) made moves to the right of -0.125 to 0.125 of the width only",
    )


def test_height_and_width_are_not_mixed_up() -> None:
    """Four pixels down are an eighth of 32 rows and a quarter of 16."""
    down = view(("shift", {"dy": 4}))
    assert unseen([down], augmentation="shift_flip", size=(32, 16)) == ()
    (found,) = unseen([down], augmentation="shift_flip", size=(16, 32))
    assert "moves down of -0.125 to 0.125 of the height" in found


@pytest.mark.parametrize(
    ("kind", "params", "inside"),
    [
        ("rotate", {"degrees": -15}, True), ("rotate", {"degrees": 16}, False), ("rotate90", {"turns": 1}, False),
        ("shear", {"degrees": -10}, True), ("shear", {"degrees": 11}, False),
        ("shear", {"degrees": 5, "axis": "y"}, False), ("shear", {"degrees": 5, "anchor": "top_left"}, True),
        ("zoom", {"factor": 1.1}, True), ("zoom", {"factor": 0.92}, True), ("zoom", {"factor": 0.9}, False),
        ("crop", {"position": "center", "fraction": 0.95}, True),
        ("crop", {"position": "center", "fraction": 0.8}, False),
        ("crop", {"position": "top_left", "fraction": 0.95}, True),
        ("random_affine", {"rotation_range": 15, "zoom_range": 0.1, "width_shift_range": 3}, True),
        ("random_affine", {"rotation_range": 20}, False), ("random_affine", {"vertical_flip": True}, False),
        ("brightness", {"factor": 1.1}, False), ("gaussian_noise", {"std": 5}, False),
    ],
)  # fmt: skip
def test_the_tutorials_ranges(kind: str, params: dict[str, Any], inside: bool) -> None:
    """Turns, shears, zooms and shifts within the ranges of training were seen, others and all colours were not."""
    assert seen(view((kind, params)), "tutorial") == inside


def test_a_range_of_zero_is_not_had() -> None:
    """Parameters are those of the model's own training, not the defaults."""
    assert not seen(ROTATE, "tutorial", rotation_range=0)
    assert seen(view(("rotate", {"degrees": 90})), "tutorial", rotation_range=90)
    assert seen(view(("rotate90", {"turns": 3})), "tutorial", rotation_range=90)


@pytest.mark.parametrize(
    ("kind", "params", "inside"),
    [
        ("rotate", {"degrees": 30}, True), ("rotate", {"degrees": -30}, False), ("rotate", {"degrees": 40}, False),
        ("shift", {"dx": 3, "dy": 3}, True), ("shift", {"dx": -3}, False), ("horizontal_flip", {}, False),
        ("shear", {"degrees": -5}, True), ("shear", {"degrees": 7}, False), ("contrast", {"factor": 1.1}, True),
        ("gaussian_blur", {"sigma": 1}, False),
    ],
)  # fmt: skip
def test_randaugment(kind: str, params: dict[str, Any], inside: bool) -> None:
    """Its operations were seen, in the one direction in which Keras turns and moves; its colours by kind."""
    assert seen(view((kind, params)), "randaugment") == inside


def spot_moves(augment: Callable[[np.ndarray], Any], *, right: int = 0) -> np.ndarray:
    """How far right and down a spot, `right` pixels off the centre, is moved, in shares of the side: `[n, 2]`."""
    images = np.zeros((512, 33, 33, 3), np.float32)
    images[:, 16, 16 + right] = 255
    found = np.asarray(augment(images))[..., 0].reshape(len(images), -1).argmax(axis=1)
    y, x = np.unravel_index(found, (33, 33))
    return (np.stack([x, y], axis=1) - [16 + right, 16]) / 33


def test_shifts_of_training_are_as_large_as_is_claimed() -> None:
    """What the augmentation really does to a spot fills the range that views are compared with, and no more."""
    augment = build_augmentation("shift_flip", {"shift": 0.25, "horizontal": False})
    moves = spot_moves(lambda images: augment(images, (0,)))
    np.testing.assert_allclose(moves.min(axis=0), -0.25, atol=0.02)
    np.testing.assert_allclose(moves.max(axis=0), 0.25, atol=0.02)


def test_zooms_of_training_are_as_large_as_is_claimed() -> None:
    """A spot ten pixels off the centre comes to lie between 10 / 1.4 and 10 / 0.6 pixels off it."""
    only_zoom = {"zoom_range": 0.4, "rotation_range": 0, "shear_range": 0, "horizontal_flip": False}
    augment = build_augmentation("tutorial", {**only_zoom, "width_shift_range": 0, "height_shift_range": 0})
    off = 10 + 33 * spot_moves(lambda images: augment(images, (0,)), right=10)[:, 0]
    assert (off.min(), off.max()) == pytest.approx((10 / 1.4, 16), abs=1)  # the edge is at 16


def test_randaugment_turns_and_moves_one_way() -> None:
    """Keras' layer moves to the right and down, and turns counter-clockwise, only: by up to its factor."""
    layer = keras.layers.RandAugment(value_range=(0, 255), num_ops=1, factor=0.2, seed=0)
    moves = spot_moves(lambda images: layer.random_translation(images, training=True))
    assert moves.min() >= 0 and moves.max() == pytest.approx(0.2, abs=0.02)
    turned = 33 * spot_moves(lambda images: layer.random_rotation(images, training=True), right=10)
    degrees = np.degrees(np.arctan2(-turned[:, 1], 10 + turned[:, 0]))
    assert degrees.min() > -4 and degrees.max() == pytest.approx(72, abs=4)


def test_unknown_augmentations_are_refused() -> None:
    """A misspelt augmentation is no augmentation."""
    with pytest.raises(ConfigError, match="flips"):
        unseen([HFLIP], augmentation="flips", size=SIZE)
