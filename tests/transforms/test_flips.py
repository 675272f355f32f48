"""Flips and quarter turns are exact."""

import numpy as np
import pytest

from harness.transforms.flips import HorizontalFlip, Rotate90, VerticalFlip

IMAGE = np.array([[1, 2, 3], [4, 5, 6]], np.float32)[None, :, :, None]
NOBODY = np.arange(1)


def pixels(images: np.ndarray) -> list[list[float]]:
    """The first image's first channel as nested lists."""
    return images[0, :, :, 0].tolist()


def test_horizontal_flip_swaps_left_and_right() -> None:
    """The columns come in reverse order."""
    assert pixels(HorizontalFlip()(IMAGE, NOBODY)) == [[3, 2, 1], [6, 5, 4]]


def test_vertical_flip_swaps_top_and_bottom() -> None:
    """The rows come in reverse order."""
    assert pixels(VerticalFlip()(IMAGE, NOBODY)) == [[4, 5, 6], [1, 2, 3]]


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (0, [[1, 2, 3], [4, 5, 6]]),
        (1, [[3, 6], [2, 5], [1, 4]]),
        (2, [[6, 5, 4], [3, 2, 1]]),
        (3, [[4, 1], [5, 2], [6, 3]]),
    ],
)
def test_rotate90_turns_counter_clockwise(turns: int, expected: list[list[float]]) -> None:
    """One turn brings the right column to the top."""
    assert pixels(Rotate90(turns)(IMAGE, NOBODY)) == expected


@pytest.mark.parametrize(("transform", "times"), [(HorizontalFlip(), 2), (VerticalFlip(), 2), (Rotate90(1), 4)])
def test_repeated_often_enough_it_is_the_identity(transform: HorizontalFlip, times: int) -> None:
    """Two flips, or four quarter turns, give the image back bit for bit."""
    result = IMAGE
    for _ in range(times):
        result = transform(result, NOBODY)
    assert np.array_equal(result, IMAGE)


def test_only_no_turn_is_a_no_op() -> None:
    """Rotate90(0) is the identity; the flips never are."""
    assert Rotate90(0).is_identity()
    assert not any(transform.is_identity() for transform in (Rotate90(1), HorizontalFlip(), VerticalFlip()))
