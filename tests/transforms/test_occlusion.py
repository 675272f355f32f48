"""Cutout hides exactly its square."""

import numpy as np
import pytest

from harness.transforms.occlusion import Cutout

IMAGE = np.arange(1, 21, dtype=np.float32).reshape(1, 4, 5, 1)


def hidden(transform: Cutout, images: np.ndarray = IMAGE) -> list[list[float]]:
    """The first channel of the first image."""
    return transform(images, np.arange(len(images)))[0, :, :, 0].tolist()


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Cutout(2), [[1, 2, 3, 4, 5], [6, 0, 0, 9, 10], [11, 0, 0, 14, 15], [16, 17, 18, 19, 20]]),
        (Cutout(3), [[1, 2, 3, 4, 5], [6, 0, 0, 0, 10], [11, 0, 0, 0, 15], [16, 0, 0, 0, 20]]),
        (Cutout(1, x=0, y=1), [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15], [0, 17, 18, 19, 20]]),
        (
            Cutout(4, x=1, y=0, fill_value=77),
            [[1, 2, 77, 77, 77], [6, 7, 77, 77, 77], [11, 12, 13, 14, 15], [16, 17, 18, 19, 20]],
        ),
        (Cutout(20), [[0] * 5] * 4),
    ],
    ids=lambda value: value.label() if hasattr(value, "label") else None,
)
def test_by_hand(transform: Cutout, expected: list[list[float]]) -> None:
    """The square lies about its pixel, and is cut off at the border."""
    assert hidden(transform) == expected


def test_every_channel_is_hidden() -> None:
    """The square goes through all colours and all images."""
    batch = np.full((2, 6, 6, 3), 9, np.float32)
    result = Cutout(2, x=0.25, y=0.75)(batch, np.arange(2))
    assert (result[:, 3:5, 0:2] == 0).all()
    assert result.sum() == 9 * (batch.size - 2 * 2 * 2 * 3)


def test_a_share_means_the_pixel_that_it_says() -> None:
    """29 hundredths of 100 pixels is pixel 29, though the product of the floats lies below."""
    batch = np.ones((1, 100, 100, 1), np.float32)
    result = Cutout(1, x=0.29, y=0.57)(batch, np.arange(1))
    assert np.argwhere(result[0, :, :, 0] == 0).tolist() == [[57, 29]]


def test_wrong_parameters_are_refused() -> None:
    """A square has a side, and its place lies within the image."""
    with pytest.raises(ValueError, match="size must be an integer"):
        Cutout(0)
    with pytest.raises(ValueError, match=r"x must be a number in \[0, 1\], got 1.5"):
        Cutout(2, x=1.5)
