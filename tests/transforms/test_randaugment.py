"""RandAugment sub-policies, against the numbers of the program that defined them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from harness.errors import DataError
from harness.transforms.base import Transform
from harness.transforms.randaugment import OPERATIONS, RandAugment
from harness.views import View

GOLDEN = np.load(Path(__file__).parent / "golden" / "rand_augment.npz")
PHOTOMETRIC = [key for key in GOLDEN.files if key.count(":") == 1]
GEOMETRIC = [key for key in GOLDEN.files if key.count(":") == 2]
EVERY_TOSS = np.array(list(itertools.product((0.2, 0.8), repeat=2)))


def images(n: int) -> np.ndarray:
    """Colour noise of 32 x 32, float32 in [0, 255]."""
    return np.random.default_rng(5).integers(0, 256, (n, 32, 32, 3)).astype(np.float32)


def policies(magnitude: float, copies: int, num_ops: int = 3) -> list[tuple[str, float]]:
    """Every operation of many sub-policies, with its strength."""
    each = [RandAugment(num_ops, magnitude, copy=copy).sub_policy() for copy in range(copies)]
    return [step for policy in each for step in policy]


@pytest.mark.parametrize("key", PHOTOMETRIC)
def test_operations_on_values_are_the_original_s(key: str) -> None:
    """Within 1.5 grey levels of the original, which rounds to whole ones where we do not."""
    name, strength = key.split(":")
    result = OPERATIONS[name](GOLDEN["small"][None].astype(np.float32), float(strength) / 30, EVERY_TOSS[:1])
    assert np.abs(result[0] - GOLDEN[key]).max() < 1.5


@pytest.mark.parametrize("name", sorted({key.split(":")[0] for key in GEOMETRIC}))
def test_operations_on_places_are_the_original_s(name: str) -> None:
    """The outcomes of all tosses are, within one level, those of the original with bilinear interpolation."""
    expected = np.stack([GOLDEN[key] for key in GEOMETRIC if key.startswith(f"{name}:-40:")])
    batch = np.repeat(GOLDEN["image"][None, :, :, None].astype(np.float32), 4, axis=0)
    result = OPERATIONS[name](batch, -40 / 30, EVERY_TOSS)[..., 0]
    near = np.abs(result[:, None] - expected[None]).max(axis=(2, 3)) <= 1.001
    assert near.any(axis=0).all()
    assert near.any(axis=1).all()
    assert len(np.unique(result, axis=0)) == (4 if name.startswith("shear") else 2)


def test_a_cutout_is_a_black_square_about_a_drawn_place() -> None:
    """By hand: strength 24 hides 0.5 x 24/30 x 10 = 4 pixels a side; at the border what sticks out is lost."""
    white = np.full((2, 10, 10, 3), 255, np.float32)
    result = OPERATIONS["cutout"](white, 24 / 30, np.array([[0.5, 0.3], [0.0, 0.95]]))
    assert [np.argwhere(image[..., 0] == 0).min(axis=0).tolist() for image in result] == [[1, 3], [8, 0]]
    assert [np.argwhere(image[..., 0] == 0).max(axis=0).tolist() for image in result] == [[4, 6], [9, 1]]
    assert [int((image[..., 0] == 0).sum()) for image in result] == [16, 4]


def test_strengths_beyond_the_scale_stay_pictures() -> None:
    """At 45 the original leaves 0 bits of posterize (black) and negative factors; here 1 bit and factor 0."""
    pixel = np.array([[[[200, 100, 50]]]], np.float32)
    assert OPERATIONS["posterize"](pixel, 1.5, EVERY_TOSS[:1]).ravel().tolist() == [128, 0, 0]
    grey = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert OPERATIONS["color"](pixel, -1.5, EVERY_TOSS[:1]).ravel().tolist() == pytest.approx([grey] * 3, abs=1e-3)


def test_operations_and_strengths_are_uniform() -> None:
    """All fifteen equally often (chi-squared), strengths uniform within -20..20 (Kolmogorov-Smirnov; fixed seed)."""
    steps = policies(20, 1000)
    counts = [sum(name == operation for name, _ in steps) for operation in OPERATIONS]
    assert len(counts) == 15
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    assert scipy.stats.kstest([strength for _, strength in steps], scipy.stats.uniform(-20, 40).cdf).pvalue > 0.01


def test_directions_are_tossed_for_each_image() -> None:
    """One sub-policy for all images, but a shift goes either way: both happen, about evenly, and nothing else."""
    copy = next(copy for copy in range(100) if RandAugment(1, 30, copy=copy).sub_policy()[0][0] == "translate_x")
    transform = RandAugment(1, 30, copy=copy)
    batch = np.repeat(images(1), 400, axis=0)
    outcomes, counts = np.unique(transform(batch, np.arange(400)).reshape(400, -1), axis=0, return_counts=True)
    assert len(outcomes) == 2
    assert counts.min() > 160


def test_the_steps_are_done_in_their_order() -> None:
    """The whole is its operations one after the other; those weaker than 0.5 are left out."""
    copies = [RandAugment(3, 10, copy=copy) for copy in range(40)]
    fixed = {"posterize", "solarize", "solarize_add", "autocontrast", "contrast", "color", "brightness", "sharpness"}
    found = [one for one in copies if {name for name, _ in one.sub_policy()} <= fixed | {"identity"}]
    assert found
    for transform in found:
        expected = images(3)
        for name, strength in transform.sub_policy():
            if abs(strength) >= 0.5:
                expected = OPERATIONS[name](expected, strength / 30, np.zeros((3, 2)))
        assert np.array_equal(transform(images(3), np.arange(3)), expected)


def test_a_copy_is_what_it_is_alone() -> None:
    """The same magnitudes scale the same sub-policy; other copies and seeds draw others; more steps prolong it."""
    assert [name for name, _ in policies(45, 5)] == [name for name, _ in policies(20, 5)]
    assert RandAugment(5, copy=2).sub_policy()[:3] == RandAugment(3, copy=2).sub_policy()
    first = [RandAugment(seed=seed, copy=copy).sub_policy() for seed, copy in [(0, 0), (0, 1), (1, 0)]]
    assert len(set(first)) == 3


def test_without_strength_nothing_is_done() -> None:
    """Magnitude 0 is the image itself, which views leave out: what remains is the crop and the flip."""
    transform: Transform = RandAugment(3, 0)
    assert transform.is_identity()
    assert View((transform,)) == View(())
    assert np.array_equal(transform(images(2), np.arange(2)), images(2))


def test_grey_images_are_refused_by_name() -> None:
    """Colour is one of the operations: one line names the transform."""
    with pytest.raises(DataError, match="rand_augment needs RGB images with 3 channels, got 1"):
        RandAugment()(images(2)[..., :1], np.arange(2))
