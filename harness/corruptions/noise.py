"""Noise of a sensor: gaussian, shot and impulse. Values are independent of one another, channels included."""

from functools import lru_cache

import numpy as np

from harness.corruptions.base import Draw, normal


def gaussian_noise(images: np.ndarray, draw: Draw, *, std: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 plus normal noise of standard deviation 255 `std`."""
    noise = normal(draw(images[0].size)).reshape(images.shape)
    return images + 255 * std * noise


def shot_noise(images: np.ndarray, draw: Draw, *, photons: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 as counts of light: 255 P / photons, P ~ Poisson(photons image / 255).

    The variance at grey level v is 255 v / photons. The count is the quantile of one uniform draw, from one table for
    all 256 grey levels; at `photons` and above the value is white, so the table ends there.
    """
    top = int(photons)
    draws = draw(images[0].size).reshape(images.shape)
    counts = np.searchsorted(_poisson(top), images + draws, side="right") - images.astype(np.int64) * top
    return counts * (255 / photons)


def impulse_noise(images: np.ndarray, draw: Draw, *, share: float) -> np.ndarray:
    """Images `[n, h, w, channels]` uint8 where a value turns black with chance `share` / 2, white with the same."""
    draws = draw(images[0].size).reshape(images.shape)
    return np.where(draws < share, np.where(draws < share / 2, 0, 255), images)


@lru_cache(maxsize=16)
def _poisson(top: int) -> np.ndarray:
    """One rising row of v + F(k; top v / 255), v = 0..255, k = 0..top-1, F the Poisson distribution function."""
    from scipy.special import pdtr  # scipy is slow to import

    grey = np.arange(256)[:, None]
    table: np.ndarray = (grey + pdtr(np.arange(top)[None, :], top * grey / 255)).ravel()
    return table
