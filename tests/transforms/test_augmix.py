"""AugMix, against the numbers of the program that defined it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from PIL import Image

from harness.errors import ConfigError
from harness.transforms.augmix import OPERATIONS, AugMix, Drawn
from harness.transforms.registry import make_transform

GOLDEN = np.load(Path(__file__).parent / "golden" / "aug_mix.npz")


def images(n: int, channels: int = 3) -> np.ndarray:
    """Noise of 15 x 12, float32 in [0, 255]."""
    return np.random.default_rng(6).integers(0, 256, (n, 15, 12, channels)).astype(np.float32)


def only(monkeypatch: pytest.MonkeyPatch, name: str, level: float, sign: int) -> AugMix:
    """An AugMix of one chain with one operation, nothing of the image itself."""
    one = np.ones((1, 1, 1))
    drawn = Drawn(np.zeros(1), np.ones((1, 1)), OPERATIONS.index(name) * one.astype(int), level * one, sign * one)
    monkeypatch.setattr(AugMix, "draw", lambda _self, _indices: drawn)
    return AugMix(width=1, depth=1)


def test_the_blend_is_the_original_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the original's draws: half of the values within half a level, nine in ten within 2.5 of 255.

    The rest: the original rounds between operations, which a threshold turns into more, and blends no fill in.
    """
    drawn = Drawn(*(GOLDEN[name] for name in ("mix", "weights", "operations", "levels", "signs")))
    monkeypatch.setattr(AugMix, "draw", lambda _self, _indices: drawn)
    difference = np.abs(AugMix(6)(GOLDEN["images"].astype(np.float32), np.arange(10)) - GOLDEN["mixed"])
    assert np.median(difference, axis=(1, 2, 3)).max() < 0.5
    assert np.quantile(difference, 0.9, axis=(1, 2, 3)).max() < 2.5


@pytest.mark.parametrize(
    ("name", "level", "sign", "data"),
    [
        ("shear_x", 4.0, 1, (1, 0.12, 0, 0, 1, 0)),
        ("shear_x", 4.0, -1, (1, -0.12, 0, 0, 1, 0)),
        ("shear_y", 9.0, 1, (1, 0, 0, 0.27, 1, 0)),
        ("translate_x", 6.0, 1, (1, 0, 2, 0, 1, 0)),
        ("translate_y", 6.0, -1, (1, 0, 0, 0, 1, -3)),
    ],
)
def test_maps_are_those_of_pillow(
    monkeypatch: pytest.MonkeyPatch, name: str, level: float, sign: int, data: tuple[float, ...]
) -> None:
    """Pillow's AFFINE with the published matrix, within 1e-3 of 255 wherever no fill comes in."""
    batch = images(1)
    result = only(monkeypatch, name, level, sign)(batch, np.arange(1))[0, :, :, 0]
    source, white = Image.fromarray(batch[0, :, :, 0]), Image.new("F", (12, 15), 1.0)
    expected, there = (
        np.asarray(image.transform((12, 15), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))
        for image in (source, white)
    )
    inside = scipy.ndimage.minimum_filter(there, 3, mode="constant") == 1
    assert inside.sum() > 40
    assert np.allclose(result[inside], expected[inside], atol=1e-3)


def test_levels_are_cut_to_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, severity 1: at most 2 degrees, 4 bits, no shift of a small image, thresholds from 231 on."""
    batch = images(1)
    assert np.array_equal(only(monkeypatch, "translate_x", 0.99, 1)(batch, np.arange(1)), batch)
    assert np.array_equal(only(monkeypatch, "rotate", 0.33, 1)(batch, np.arange(1)), batch)
    assert np.array_equal(only(monkeypatch, "posterize", 0.99, 1)(batch, np.arange(1)), batch // 16 * 16)
    solarized = only(monkeypatch, "solarize", 0.99, 1)(batch, np.arange(1))
    assert np.array_equal(solarized, np.where(batch < 231, batch, 255 - batch))


def test_what_comes_in_is_the_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole pixels move exactly: four columns of the fill at the right."""
    moved = replace(only(monkeypatch, "translate_x", 10.0, 1), fill_value=128.0)(images(1), np.arange(1))
    assert np.array_equal(moved[:, :, :8], images(1)[:, :, 4:])
    assert (moved[:, :, 8:] == 128).all()


@pytest.mark.parametrize("alpha", [0.5, 1.0, 4.0])
def test_shares_have_their_distributions(alpha: float) -> None:
    """The share is Beta(a, a); the weights sum to one and each is Beta(a, 2a), as in a Dirichlet (fixed seed)."""
    drawn = AugMix(alpha=alpha).draw(np.arange(3000))
    assert scipy.stats.kstest(drawn.mix, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01
    assert np.allclose(drawn.weights.sum(axis=1), 1)
    for weights in drawn.weights.T:
        assert scipy.stats.kstest(weights, scipy.stats.beta(alpha, 2 * alpha).cdf).pvalue > 0.01


def test_chains_have_their_distributions() -> None:
    """One, two or three steps equally often, nine operations, both signs; levels uniform in 0.1..5 (fixed seed)."""
    drawn = AugMix(5).draw(np.arange(3000))
    depths = (drawn.operations >= 0).sum(axis=2).ravel()
    assert scipy.stats.chisquare(np.bincount(depths)[1:]).pvalue > 0.01
    assert (np.diff((drawn.operations >= 0).astype(int), axis=2) <= 0).all()
    assert scipy.stats.chisquare(np.bincount(drawn.operations[drawn.operations >= 0], minlength=9)).pvalue > 0.01
    assert scipy.stats.binomtest(int((drawn.signs > 0).sum()), drawn.signs.size).pvalue > 0.01
    assert scipy.stats.kstest(drawn.levels.ravel(), scipy.stats.uniform(0.1, 4.9).cdf).pvalue > 0.01


def test_a_given_depth_is_that_of_every_chain() -> None:
    """depth=2 and width=4: four chains of two operations each."""
    assert (AugMix(depth=2, width=4).draw(np.arange(50)).operations >= 0).all()
    assert AugMix(depth=2, width=4).draw(np.arange(50)).operations.shape == (50, 4, 2)


def test_copies_and_seeds_differ_and_grey_images_work() -> None:
    """Each copy and each seed is another view; one channel is as good as three; values stay in [0, 255]."""
    batch = images(20, channels=1)
    views = [AugMix(10, seed=seed, copy=copy)(batch, np.arange(20)) for seed, copy in [(0, 0), (0, 1), (1, 0)]]
    assert len({view.tobytes() for view in views}) == 3
    assert all(view.shape == batch.shape and view.min() >= 0 and view.max() <= 255 for view in views)


def test_nothing_is_drawn_for_nobody() -> None:
    """An empty batch stays one."""
    assert AugMix()(images(0), np.arange(0)).shape == (0, 15, 12, 3)


@pytest.mark.parametrize(
    ("params", "message"), [({"depth": 0}, "depth must be at least 1, or -1"), ({"severity": 11}, r"in \[1, 10\]")]
)
def test_wrong_parameters_are_refused(params: dict[str, object], message: str) -> None:
    """One line that says what is wrong."""
    with pytest.raises(ConfigError, match=message):
        make_transform("aug_mix", params)
