"""What operations on pixel values share: whole grey levels, the luma, the clip, and the check for colour."""

from typing import cast

import numpy as np

from harness.errors import DataError
from harness.transforms.base import Transform

LUMA = (np.float32(0.299), np.float32(0.587), np.float32(0.114))  # ITU-R 601-2, as Pillow's mode L


def clipped(images: np.ndarray) -> np.ndarray:
    """Images of any shape brought into [0, 255] in place."""
    return np.clip(images, 0, 255, out=images)


def grey_levels(images: np.ndarray) -> np.ndarray:
    """Images in [0, 255] rounded to the nearest of the 256 levels, as uint8 of the same shape."""
    return cast(np.ndarray, np.rint(images).astype(np.uint8))


def luma(images: np.ndarray) -> np.ndarray:
    """The grey value of RGB images: `[n, h, w, 3]` to `[n, h, w, 1]` float32, 0.299 R + 0.587 G + 0.114 B."""
    red, green, blue = (images[..., channel : channel + 1] for channel in range(3))
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def check_channels(transform: Transform, images: np.ndarray, *, grey: bool = False) -> None:
    """Refuse images `[n, h, w, channels]` that are not RGB; with `grey` a single channel will do too.

    Raises:
        DataError: for another number of channels.
    """
    channels = images.shape[3]
    if channels == 3 or (grey and channels == 1):
        return
    wanted = "grey or RGB images with 1 or 3 channels" if grey else "RGB images with 3 channels"
    raise DataError(
        f"{transform.label()} needs {wanted}, got {channels}; leave it out of the policies for this data set"
    )
