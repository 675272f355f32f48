"""Random windows: whole-pixel shifts and resized crops."""

import math

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from harness.errors import ConfigError
from harness.transforms.crops import PadCrop
from harness.transforms.random_crop import RandomCrop, RandomResizedCrop
from harness.transforms.registry import make_transform
from harness.transforms.resample import Fill
from harness.views import View

MODES: dict[str, str] = {"edge": "edge", "reflect": "symmetric", "mirror": "reflect", "wrap": "wrap"}


def images(n: int, h: int = 6, w: int = 9) -> np.ndarray:
    """Images without symmetry, float32 in [1, 255)."""
    return np.random.default_rng(3).uniform(1, 255, (n, h, w, 3)).astype(np.float32)


def test_a_shift_is_the_picture_moved_by_what_was_drawn() -> None:
    """By hand: content goes right by dx and down by dy, and zeros come in where it left."""
    batch = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1).repeat(200, axis=0)
    crop = RandomCrop(1)
    dx, dy = crop.draw(np.arange(200))
    example = int(np.flatnonzero((dx == 1) & (dy == -1))[0])
    assert crop(batch, np.arange(200))[example, :, :, 0].tolist() == [[0, 4, 5], [0, 7, 8], [0, 0, 0]]


@pytest.mark.parametrize("fill", MODES)
def test_fills_are_those_of_numpy(fill: Fill) -> None:
    """Exactly the window of `numpy.pad` with the mode of the same meaning; the input is left as it was."""
    batch, crop = images(60), RandomCrop(4, fill=fill, seed=5)
    before = batch.copy()
    dx, dy = crop.draw(np.arange(60))
    padded = np.pad(batch, ((0, 0), (4, 4), (4, 4), (0, 0)), mode=MODES[fill])  # type: ignore[call-overload]
    expected = [padded[i, 4 - dy[i] : 10 - dy[i], 4 - dx[i] : 13 - dx[i]] for i in range(60)]
    assert np.array_equal(crop(batch, np.arange(60)), np.stack(expected))
    assert np.array_equal(batch, before)


def test_each_example_is_one_of_the_support() -> None:
    """What is drawn is, bit for bit, what one of the deterministic chains gives, and all of them are reached."""
    crop = RandomCrop(2, fill="constant", fill_value=7)
    batch = np.repeat(images(1), 1000, axis=0)
    outcomes = crop.support()
    assert len(outcomes) == 25
    assert outcomes.count(()) == 1
    expected = {View(chain)(batch[:1], np.arange(1), size=(6, 9)).tobytes() for chain in outcomes}
    assert {image.tobytes() for image in crop(batch, np.arange(1000))} == expected
    assert outcomes[0] == (PadCrop(2, -2, -2, "constant", 7),)


def test_shifts_are_uniform_and_independent() -> None:
    """Chi-squared over the 81 shifts of four pixels (fixed seed: no chance here)."""
    dx, dy = RandomCrop(4).draw(np.arange(8100))
    counts = np.histogram2d(dx, dy, bins=[np.arange(-4.5, 5), np.arange(-4.5, 5)])[0]
    assert counts.sum() == 8100
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 0.01


def test_copies_and_seeds_differ() -> None:
    """Each copy and each seed moves the examples in its own way."""
    draws = [RandomCrop(4, seed=seed, copy=copy).draw(np.arange(50))[0] for seed, copy in [(0, 0), (0, 1), (1, 0)]]
    assert len({draw.tobytes() for draw in draws}) == 3


def test_a_window_is_seen_as_by_pillow() -> None:
    """Pillow's EXTENT transform of the drawn window, bilinear, within 1e-3 of 255."""
    batch, crop = images(20, 24, 30), RandomResizedCrop(seed=2)
    result = crop(batch, np.arange(20))
    for i, (left, top, columns, rows) in enumerate(crop.draw(np.arange(20), (24, 30)).T):
        box = (left, top, left + columns, top + rows)
        image = Image.fromarray(batch[i, :, :, 1])
        seen = np.asarray(image.transform((30, 24), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR))
        assert np.allclose(result[i, :, :, 1], seen, atol=1e-3)


def test_windows_keep_to_their_ranges() -> None:
    """Inside the image; share and shape within the ranges, but for the rounding to whole pixels."""
    left, top, columns, rows = RandomResizedCrop().draw(np.arange(4000), (200, 300))
    assert min(left.min(), top.min()) == 0
    assert (left + columns).max() == 300
    assert (top + rows).max() == 200
    assert 0.079 < (columns * rows).min() / 60000 < 0.085
    assert 0.745 < (columns / rows).min() < 0.76
    assert 1.32 < (columns / rows).max() < 1.345


def test_share_and_shape_have_their_distributions() -> None:
    """Where every window fits: the share uniform, log(shape) uniform (Kolmogorov-Smirnov, fixed seed)."""
    _, _, columns, rows = RandomResizedCrop(0.1, 0.5).draw(np.arange(4000), (2000, 2000))
    share, shape = columns * rows / 4e6, np.log(columns / rows)
    assert scipy.stats.kstest(share, scipy.stats.uniform(0.1, 0.4).cdf).pvalue > 0.01
    width = 2 * math.log(4 / 3)
    assert scipy.stats.kstest(shape, scipy.stats.uniform(-width / 2, width).cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("shape", "ratio", "window"), [((10, 40), 2.0, (10, 0, 20, 10)), ((40, 10), 0.5, (0, 10, 10, 20))]
)
def test_the_largest_window_where_none_fits(shape: tuple[int, int], ratio: float, window: tuple[int, ...]) -> None:
    """The whole area of a long image fits in no allowed shape: the largest allowed one, in the centre."""
    crop = RandomResizedCrop(1.0, 1.0, ratio_low=ratio, ratio_high=ratio)
    assert crop.draw(np.arange(3), shape).T.tolist() == [list(window)] * 3


def test_a_resized_crop_ends_at_the_input_size() -> None:
    """Images larger than the model's input are resized to it, not cropped a second time; no support."""
    crop = RandomResizedCrop(1.0, 1.0, ratio_low=1, ratio_high=1)
    batch = np.round(images(2, 12, 12)).astype(np.uint8)
    result = View((crop,))(batch, np.arange(2), size=(6, 6))
    assert np.allclose(result, batch.reshape(2, 6, 2, 6, 2, 3).mean(axis=(2, 4)), atol=1e-3)
    assert crop.support() is None


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("random_crop", {"pad": 0}, r"pad must be an integer in \[1, inf\)"),
        ("random_crop", {"pad": 2, "fill": "edge", "fill_value": 3}, "fill=constant only"),
        ("random_resized_crop", {"scale_low": 0.9, "scale_high": 0.5}, "scale_low must be at most scale_high"),
        ("random_resized_crop", {"ratio_low": 2}, "ratio_low must be at most ratio_high"),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, object], message: str) -> None:
    """One line that says what is wrong."""
    with pytest.raises(ConfigError, match=message):
        make_transform(kind, params)
