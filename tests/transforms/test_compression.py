"""JPEG is what Pillow writes and reads."""

import io

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.transforms.compression import Jpeg


def pictures(channels: int) -> np.ndarray:
    """Three images with smooth parts and noise, 19 x 26 so that blocks are cut, uint8."""
    y, x = np.mgrid[:19, :26]
    smooth = np.stack([8 * y + 3 * x, 200 - 5 * y, 9 * x], axis=-1)[..., :channels]
    noise = np.random.default_rng(0).integers(-20, 21, (3, 19, 26, channels))
    return np.clip(smooth + noise * np.array([0, 1, 3])[:, None, None, None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [1, 10, 50, 95, 100])
def test_is_a_file_written_and_read(quality: int, channels: int) -> None:
    """The pixels of a JPEG file that Pillow wrote with this quality and opened again, all of them."""
    images = pictures(channels)
    result = Jpeg(quality)(images.astype(np.float32), np.arange(3))
    for image, ours in zip(images, result, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
        with Image.open(io.BytesIO(file.getvalue())) as opened:
            assert np.array_equal(ours, np.asarray(opened).reshape(image.shape))


def test_a_plain_block_by_hand() -> None:
    """Of plain grey only the mean of a block is kept: 8 (100 - 128) = -224 in steps of 16 at quality 50 is exact.

    103 is not: -200 / 16 = -12.5 goes to -13 or -12, so 102 or 104 comes back.
    """
    plain = np.full((1, 8, 8, 1), 100, np.float32)
    assert (Jpeg(50)(plain, np.arange(1)) == 100).all()
    assert np.unique(Jpeg(50)(plain + 3, np.arange(1))).tolist() in ([102], [104])


def test_less_quality_is_further_away() -> None:
    """The error grows from 95 over 50 to 5."""
    images = pictures(3).astype(np.float32)
    errors = [np.abs(Jpeg(quality)(images, np.arange(3)) - images).mean() for quality in (95, 50, 5)]
    assert errors == sorted(errors)
    assert errors[0] < errors[2] / 2


def test_levels_are_rounded_first() -> None:
    """95.6 is level 96."""
    images = pictures(3).astype(np.float32)
    near = np.clip(images + np.float32(0.4), 0, 255)
    assert np.array_equal(Jpeg(60)(near, np.arange(3)), Jpeg(60)(images, np.arange(3)))


def test_two_channels_are_refused() -> None:
    """One clear line for images that no JPEG holds."""
    with pytest.raises(DataError, match=r"jpeg\(50\) needs grey or RGB images with 1 or 3 channels, got 2; leave it"):
        Jpeg(50)(np.zeros((1, 8, 8, 2), np.float32), np.arange(1))
    with pytest.raises(ValueError, match=r"quality must be an integer in \[1, 100\]"):
        Jpeg(0)
