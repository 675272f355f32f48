"""What lossy files do to an image."""

import io
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.pixels import check_channels, grey_levels


@dataclass(frozen=True)
class Jpeg(Transform):
    """Written as a JPEG and read again, with Pillow's settings (colour at half the resolution).

    Values are rounded to whole grey levels first. The pixels are those of the JPEG library that Pillow brings: another
    version of it may give others.

    Attributes:
        quality: 1 is the worst, 95 the best that is worth its size.
    """

    quality: Annotated[int, Range(1, 100)]
    kind: ClassVar[str] = "jpeg"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, 1 or 3]` float32 with the losses of compression, in whole grey levels.

        Raises:
            DataError: where the images have other than one or three channels.
        """
        check_channels(self, images, grey=True)
        pixels = grey_levels(images if images.shape[3] == 3 else images[..., 0])
        result = np.empty(pixels.shape, np.float32)
        for image, into in zip(pixels, result, strict=True):
            into[:] = _reread(image, self.quality)
        return result.reshape(images.shape)


def _reread(image: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image  # only those who compress need it

    original, file = Image.fromarray(image), io.BytesIO()
    original.save(file, format="JPEG", quality=quality)
    # The decoder alone: `Image.open` would spend as long again on looking through the file.
    return np.asarray(Image.frombytes(original.mode, original.size, file.getvalue(), "jpeg", original.mode, ""))
