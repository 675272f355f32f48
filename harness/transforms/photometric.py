"""Operations on pixel values: brightness, contrast, saturation, gamma, noise, blur.

All compute in floating point and clip to [0, 255]; nothing is rounded to whole grey levels in between, so results
may differ by up to one level from libraries that work on uint8.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.pixels import check_channels, clipped, luma
from harness.transforms.random import RandomTransform, Seed, uniform
from harness.transforms.resample import Operator, Taps, apply, blocks, folded, operator_of

Factor = Annotated[float, Range(0)]


@dataclass(frozen=True)
class Brightness(Transform):
    """Every value times a factor: 0 is black, 1 the image itself.

    Pillow's `ImageEnhance.Brightness`, and the `Multiply` of ttach and tta_wrapper.
    """

    factor: Factor
    kind: ClassVar[str] = "brightness"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 times `factor`, clipped."""
        return clipped(images * np.float32(self.factor))

    def is_identity(self) -> bool:
        """True for factor one."""
        return self.factor == 1


@dataclass(frozen=True)
class Contrast(Transform):
    """Distance from the image's own mean grey times a factor: 0 is plain grey, 1 the image itself.

    result = mean + factor * (image - mean), with the mean of the luma (0.299 R + 0.587 G + 0.114 B) over the image,
    not rounded: torchvision's `adjust_contrast`. Pillow's `ImageEnhance.Contrast` is the same with the mean rounded.
    Without three channels the mean is taken over all values.

    Attributes:
        factor: what the distance is multiplied by.
        per_channel: each channel about its own mean, as `tf.image.adjust_contrast` (tta_wrapper's contrast) does.
    """

    factor: Factor
    per_channel: bool = False
    kind: ClassVar[str] = "contrast"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 with their contrast changed, clipped."""
        mean = self._means(images)
        return clipped(mean + np.float32(self.factor) * (images - mean))

    def is_identity(self) -> bool:
        """True for factor one."""
        return self.factor == 1

    def _means(self, images: np.ndarray) -> np.ndarray:
        """`[n, 1, 1, 1 or channels]` float32."""
        if self.per_channel:
            planes = images.transpose(0, 3, 1, 2)
        else:
            planes = (luma(images) if images.shape[3] == 3 else images)[:, None]
        # A plain row each, summed in one order, so that a mean has the same bits in every batch.
        rows = np.ascontiguousarray(planes).reshape(*planes.shape[:2], -1)
        means: np.ndarray = rows.mean(axis=2, dtype=np.float64).astype(np.float32)
        return means[:, None, None, :]


@dataclass(frozen=True)
class Saturation(Transform):
    """Distance of each pixel from its own luma times a factor: 0 is greyscale (Pillow's `ImageEnhance.Color`)."""

    factor: Factor
    kind: ClassVar[str] = "saturation"
    needs_rgb: ClassVar[bool] = True

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, 3]` float32 with their saturation changed, clipped.

        Raises:
            DataError: where the images have other than three channels.
        """
        check_channels(self, images)
        grey = luma(images)
        return clipped(grey + np.float32(self.factor) * (images - grey))

    def is_identity(self) -> bool:
        """True for factor one."""
        return self.factor == 1


@dataclass(frozen=True)
class Gamma(Transform):
    """Power law on values scaled to [0, 1]: 255 (value / 255)^gamma; above one darkens."""

    gamma: Annotated[float, Range(0, open_low=True)]
    kind: ClassVar[str] = "gamma"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 through the power law."""
        return clipped(np.float32(255) * np.power(images / np.float32(255), np.float32(self.gamma)))

    def is_identity(self) -> bool:
        """True for gamma one."""
        return self.gamma == 1


@dataclass(frozen=True)
class GaussianNoise(RandomTransform):
    """Independent normal noise on every value, the same for an example whenever it is asked for.

    Attributes:
        std: standard deviation in grey levels, before clipping.
        seed, copy: which draw; see `harness.transforms.random`.
    """

    std: Annotated[float, Range(0)]
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "gaussian_noise"

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 plus noise, clipped."""
        from scipy.special import ndtri  # scipy is slow to import, and listing the transforms needs none of it

        result = np.empty_like(images)
        size = int(np.prod(images.shape[1:]))
        for block in blocks(len(images), size):
            draws = uniform(indices[block], size, salt=self.kind, seed=self.seed, copy=self.copy)
            noise = self.std * ndtri(np.maximum(draws, 2.0**-54))  # a draw of 0 would be minus infinity
            result[block] = images[block] + noise.astype(np.float32).reshape(images[block].shape)
        return clipped(result)

    def is_identity(self) -> bool:
        """True for no noise."""
        return self.std == 0


@dataclass(frozen=True)
class GaussianBlur(Transform):
    """Gaussian blur, cut off at four standard deviations, reflecting at the edges (`scipy.ndimage.gaussian_filter`).

    Attributes:
        sigma: standard deviation in pixels.
    """

    sigma: Annotated[float, Range(0, 100)]
    kind: ClassVar[str] = "gaussian_blur"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, blurred down the columns and then along the rows."""
        n, h, w, channels = images.shape
        # A column of pixels is an image of width 1 whose channels are the row's values; a row is one of height 1.
        columns = images.reshape(n, h, 1, w * channels)
        blurred = apply(_blur_operator(h, float(self.sigma)), columns, (h, 1))
        rows = blurred.reshape(n * h, 1, w, channels)
        return apply(_blur_operator(w, float(self.sigma)), rows, (1, w)).reshape(images.shape)

    def is_identity(self) -> bool:
        """True for no blur."""
        return self.sigma == 0


@lru_cache(maxsize=64)
def _blur_operator(length: int, sigma: float) -> Operator:
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    indices = folded(np.arange(length)[:, None] + offsets, length, "reflect")
    weights = np.tile((kernel / kernel.sum()).astype(np.float32), (length, 1))
    return operator_of(Taps(indices, weights, np.zeros(length, np.float32)), length)
