"""Fractal noise, the stuff that fog and ice are made of."""

import numpy as np


def side_for(size: tuple[int, int]) -> int:
    """The smallest power of two that covers an image of `size` (h, w), at least 2."""
    return max(2, 1 << (max(size) - 1).bit_length())


def fractal(draws: np.ndarray, *, decay: float) -> np.ndarray:
    """Height maps `[n, side, side]` from 0 to 1, by the diamond-square algorithm on a torus.

    Every place is the mean of its four neighbours at twice the distance plus its own draw times an amplitude, which
    is divided by `decay`^2 each time the distance is halved, as in the code that made the official images.

    Args:
        draws: `[n, side, side]` in [0, 1), one a place; side is a power of two.
        decay: above 1; the greater, the smoother.
    """
    heights = np.zeros_like(draws)
    wobble = 2 * draws - 1
    step, amplitude = draws.shape[1], 100.0
    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        sums = corners + np.roll(corners, -1, axis=1)
        sums = sums + np.roll(sums, -1, axis=2)
        middles = sums / 4 + amplitude**2 * wobble[:, half::step, half::step]
        across = middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=2)
        down = middles + np.roll(middles, 1, axis=2) + corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, half::step] = middles
        heights[:, ::step, half::step] = across / 4 + amplitude**2 * wobble[:, ::step, half::step]
        heights[:, half::step, ::step] = down / 4 + amplitude**2 * wobble[:, half::step, ::step]
        step, amplitude = half, amplitude / decay
    heights -= heights.min(axis=(1, 2), keepdims=True)
    scaled: np.ndarray = heights / heights.max(axis=(1, 2), keepdims=True)
    return scaled
