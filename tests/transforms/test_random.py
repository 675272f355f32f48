"""Random transforms: what an example draws depends on seed, copy and example alone."""

import hashlib

import numpy as np
import pytest
import scipy.stats

from harness.transforms.flips import HorizontalFlip
from harness.transforms.random import RandomAffine, RandomFlip, uniform
from harness.views import View

TUTORIAL = {
    "rotation_range": 25,
    "width_shift_range": 0.2,
    "height_shift_range": 0.1,
    "shear_range": 15,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "vertical_flip": True,
}


def images(n: int, side: int = 12) -> np.ndarray:
    """Images without symmetry, float32 in [0, 255)."""
    return np.random.default_rng(3).uniform(0, 255, (n, side, side, 3)).astype(np.float32)


def test_draws_are_the_stream_of_pcg64() -> None:
    """Example i reads numbers i k to i k + k - 1 of NumPy's own generator on the same stream."""
    draws = uniform(np.arange(5), 3, salt="x", seed=7, copy=2)
    word = int.from_bytes(hashlib.sha256(b"x").digest()[:4], "little")
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([word, 7, 2])))
    assert np.array_equal(draws, generator.random((5, 3)))


def test_draws_do_not_depend_on_who_else_is_asked() -> None:
    """Rows of a shuffled, gapped, repeated selection are the rows of the whole."""
    whole = uniform(np.arange(100), 4, salt="x", seed=0, copy=0)
    some = np.array([99, 3, 4, 5, 5, 0, 50])
    assert np.array_equal(uniform(some, 4, salt="x", seed=0, copy=0), whole[some])
    assert uniform(np.arange(0), 4, salt="x", seed=0, copy=0).shape == (0, 4)


def test_draws_differ_by_salt_seed_and_copy() -> None:
    """Each of the three alone gives other numbers."""
    keys = [("x", 0, 0), ("y", 0, 0), ("x", 1, 0), ("x", 0, 1)]
    firsts = {uniform(np.arange(1), 1, salt=salt, seed=seed, copy=copy)[0, 0] for salt, seed, copy in keys}
    assert len(firsts) == 4


def test_draws_are_uniform() -> None:
    """Kolmogorov-Smirnov over examples, and no correlation between neighbours (fixed seed: no chance here)."""
    draws = uniform(np.arange(5000), 1, salt="x", seed=0, copy=0)[:, 0]
    assert scipy.stats.kstest(draws, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.04


def test_random_flip_flips_or_does_not() -> None:
    """Every example is itself or its mirror image, about half of them each."""
    batch = images(400, side=4)
    result = RandomFlip()(batch, np.arange(400))
    mirrored = HorizontalFlip()(batch, np.arange(400))
    same = (result == batch).all(axis=(1, 2, 3))
    assert np.array_equal(result[same], batch[same])
    assert np.array_equal(result[~same], mirrored[~same])
    assert 160 < same.sum() < 240


def test_random_flip_in_two_directions_reaches_all_four() -> None:
    """Horizontal and vertical are tossed for separately; the input is left as it was."""
    batch = np.tile(np.array([[1, 2], [3, 4]], np.float32)[None, :, :, None], (100, 1, 1, 1))
    result = RandomFlip(vertical=True)(batch, np.arange(100))
    assert {tuple(row) for row in result.reshape(100, 4).tolist()} == {
        (1, 2, 3, 4), (2, 1, 4, 3), (3, 4, 1, 2), (4, 3, 2, 1),
    }  # fmt: skip
    assert (batch.reshape(100, 4) == [1, 2, 3, 4]).all()


@pytest.mark.parametrize(("horizontal", "vertical", "outcomes"), [(True, False, 2), (False, True, 2), (True, True, 4)])
def test_random_flip_offers_all_that_it_may_draw(horizontal: bool, vertical: bool, outcomes: int) -> None:
    """The chains of the support are, bit for bit, the images that are drawn; an affine draw has no finite support."""
    flip = RandomFlip(horizontal, vertical)
    batch = np.repeat(images(1), 200, axis=0)
    expected = {View(chain)(batch[:1], np.arange(1), size=(12, 12)).tobytes() for chain in flip.support()}
    assert len(flip.support()) == len(expected) == outcomes
    assert {image.tobytes() for image in flip(batch, np.arange(200))} == expected
    assert RandomAffine(rotation_range=5).support() is None


def test_a_copy_does_not_know_how_many_there_are() -> None:
    """Seven copies are the first seven of sixteen, and all differ."""
    batch, indices = images(8), np.arange(8)
    sixteen = [RandomAffine(**TUTORIAL, copy=copy)(batch, indices) for copy in range(16)]
    seven = [RandomAffine(**TUTORIAL, copy=copy)(batch, indices) for copy in range(7)]
    assert all(np.array_equal(a, b) for a, b in zip(seven, sixteen, strict=False))
    assert len({array.tobytes() for array in sixteen}) == 16


def test_affine_draws_stay_in_their_ranges() -> None:
    """Each drawn number fills its range, in pixels of the own side."""
    drawn = RandomAffine(**TUTORIAL).draw(np.arange(3000), (50, 100))
    limits = {
        "theta": (-25, 25),
        "tx": (-20, 20),
        "ty": (-5, 5),
        "shear": (-15, 15),
        "zx": (0.8, 1.2),
        "zy": (0.8, 1.2),
    }
    for name, (low, high) in limits.items():
        assert low <= drawn[name].min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < drawn[name].max() <= high
    assert not np.array_equal(drawn["zx"], drawn["zy"])


def test_affine_shift_counts_in_pixels_from_one_on() -> None:
    """A range of 3 is three pixels, a range of 0.3 is three tenths of the side."""
    pixels = RandomAffine(width_shift_range=3).draw(np.arange(50), (10, 10))["tx"]
    fraction = RandomAffine(width_shift_range=0.3).draw(np.arange(50), (10, 10))["tx"]
    assert np.allclose(pixels, fraction)


def test_affine_without_ranges_is_a_no_op() -> None:
    """Nothing to draw: left out of views; flips alone give the image or its mirror image exactly."""
    assert RandomAffine().is_identity()
    flips = RandomAffine(horizontal_flip=True)
    assert not flips.is_identity()
    batch = images(20)
    tossed = flips.draw(np.arange(20), (12, 12))["flip_horizontal"][:, None, None, None]
    assert np.array_equal(flips(batch, np.arange(20)), np.where(tossed, batch[:, :, ::-1], batch))


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")
@pytest.mark.parametrize("fill", ["edge", "reflect"])
def test_affine_agrees_with_keras(fill: str) -> None:
    """What was drawn, handed to Keras' ImageDataGenerator.apply_transform, gives the image within 1e-3 of 255.

    Square images: on others Keras turns about a place off the centre. The one test here that imports TensorFlow.
    """
    legacy = pytest.importorskip("keras.src.legacy.preprocessing.image")
    generator = legacy.ImageDataGenerator(fill_mode={"edge": "nearest", "reflect": "reflect"}[fill])
    batch, indices = images(12), np.arange(100, 112)
    transform = RandomAffine(**TUTORIAL, fill=fill, seed=4)
    drawn = transform.draw(indices, (12, 12))
    expected = [
        generator.apply_transform(image.copy(), {name: values[i].item() for name, values in drawn.items()})
        for i, image in enumerate(batch)
    ]
    assert {True, False} == set(drawn["flip_horizontal"].tolist()) == set(drawn["flip_vertical"].tolist())
    assert np.allclose(transform(batch, indices), np.stack(expected), atol=1e-3)
