"""Raw splits from arrays in memory."""

import numpy as np

from harness.datasets.raw import RawSplit
from harness.types import ArrayImages


def array_split(images: np.ndarray, labels: np.ndarray) -> RawSplit:
    """A split of `images [N, h, w]` or `[N, h, w, channels]` uint8 and integer `labels [N]` or `[N, 1]`."""
    with_channels = images[..., None] if images.ndim == 3 else images
    return RawSplit(ArrayImages(np.ascontiguousarray(with_channels)), labels.reshape(-1).astype(np.int64))
