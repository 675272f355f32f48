"""Augmentation: Keras' random layers as functions of a key."""

import numpy as np
import pytest

from harness.augmentation import build_augmentation
from harness.errors import ConfigError
from harness.models.specs import AUGMENTATIONS, augmentation_options

RANDOM = sorted(set(AUGMENTATIONS) - {"none"})


def images(n: int = 16, channels: int = 3) -> np.ndarray:
    """Repeat one picture n times, so that a difference between outputs is a difference between draws."""
    one = np.random.default_rng(0).integers(0, 256, (1, 12, 12, channels))
    return np.repeat(one, n, axis=0).astype(np.float32)


def test_none_changes_nothing() -> None:
    """`none` gives back the very pixels."""
    np.testing.assert_array_equal(build_augmentation("none")(images(), (0, 0, 0)), images())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", RANDOM)
def test_repeats_bit_for_bit_and_differs_by_key_and_image(kind: str, channels: int) -> None:
    """Same key, same bits, also from a second function after other calls; other keys and other images differ."""
    batch = images(channels=channels)
    augment = build_augmentation(kind)
    first = np.asarray(augment(batch, (7, 1, 3)))
    other = [np.asarray(augment(batch, key)) for key in [(7, 1, 4), (7, 2, 3), (8, 1, 3)]]
    again = build_augmentation(kind)
    again(batch[:5], (0, 0, 0))
    np.testing.assert_array_equal(np.asarray(augment(batch, (7, 1, 3))), first)
    np.testing.assert_array_equal(np.asarray(again(batch, (7, 1, 3))), first)
    assert all((first != changed).any() for changed in other)
    assert len(np.unique(first.reshape(len(first), -1), axis=0)) > 1
    assert first.shape == batch.shape
    assert first.min() >= 0
    assert first.max() <= 255


def test_flip_gives_the_picture_or_its_mirror_half_of_the_time() -> None:
    """Each output of `flip` is the picture or its left-right mirror, and both come about equally often."""
    batch = images(400)
    out = np.asarray(build_augmentation("flip")(batch, (0, 0, 0)))
    kept = (out == batch).all(axis=(1, 2, 3))
    mirrored = (out == batch[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (kept ^ mirrored).all()
    assert 140 < kept.sum() < 260  # 200 plus or minus six standard deviations


def test_shift_moves_whole_pixels_and_fills_with_the_value() -> None:
    """`shift_flip` without flips moves by whole pixels up to the range, and fills with `fill_value`."""
    batch = images(64, channels=1)
    out = np.asarray(build_augmentation("shift_flip", {"shift": 0.25, "horizontal": False})(batch, (0, 0, 0)))
    padded = np.pad(batch[0], ((3, 3), (3, 3), (0, 0)))
    shifts = {(i, j): padded[i : i + 12, j : j + 12] for i in range(7) for j in range(7)}
    found = {key for image in out for key, shifted in shifts.items() if (image == shifted).all()}
    assert all(any((image == shifted).all() for shifted in shifts.values()) for image in out)
    assert len(found) > 10


def test_tutorial_with_all_ranges_at_zero_is_the_identity() -> None:
    """Every parameter of `tutorial` reaches its layer: with all of them off no pixel changes."""
    off = {key: 0.0 for key in AUGMENTATIONS["tutorial"] if key.endswith("_range")}
    augment = build_augmentation("tutorial", {**off, "horizontal_flip": False})
    np.testing.assert_array_equal(np.asarray(augment(images(), (0, 0, 0))), images())


@pytest.mark.parametrize("parameter", ["rotation_range", "width_shift_range", "shear_range", "zoom_range"])
def test_tutorial_parameters_each_do_something(parameter: str) -> None:
    """A range given alone changes the images."""
    off = {key: 0.0 for key in AUGMENTATIONS["tutorial"] if key.endswith("_range")}
    value = AUGMENTATIONS["tutorial"][parameter]
    augment = build_augmentation("tutorial", {**off, "horizontal_flip": False, parameter: value})
    assert (np.asarray(augment(images(), (0, 0, 0))) != images()).any()


def test_options_are_completed_and_cast() -> None:
    """10 and 10.0 are one request, and what is not given is filled in."""
    assert augmentation_options("tutorial", {"rotation_range": 10}) == {
        **AUGMENTATIONS["tutorial"],
        "rotation_range": 10.0,
    }
    assert isinstance(augmentation_options("tutorial", {"rotation_range": 10})["rotation_range"], float)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("flipp", {}, "did you mean flip"),
        ("flip", {"horizontl": True}, "did you mean horizontal"),
        ("shift_flip", {"shift": 3.0}, "augmentation shift_flip cannot take"),
        ("shift_flip", {"fill_mode": "mirror"}, "augmentation shift_flip cannot take"),
    ],
)
def test_mistakes_are_one_line(kind: str, options: dict[str, object], says: str) -> None:
    """An unknown name or a value out of range is a ConfigError of one line."""
    with pytest.raises(ConfigError, match=says) as caught:
        build_augmentation(kind, options)
    assert "\n" not in str(caught.value)
