"""What a corruption is. Letters: n examples of a batch, h and w the images' height and width."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import DataError
from harness.transforms.random import uniform
from harness.transforms.resample import blocks

# k -> `[n, k]` float64 in [0, 1), row by row the example's own. Asked once: a second call gives the same numbers.
Draw = Callable[[int], np.ndarray]
# Images `[n, h, w, channels]` uint8, a `Draw` and named parameters to the same images in grey levels, not yet clipped.
Distort = Callable[..., np.ndarray]

SMALL_SIDE = 64  # up to this many pixels the parameters of CIFAR-10-C hold, above it those of ImageNet-C
HAIR = 1e-6  # what floating point may lack to a whole grey level


@dataclass(frozen=True)
class Corruption:
    """One corruption at one severity.

    The pixels of an example depend on the kind, the severity, the seed and the example's index alone, never on the
    batch it came in or its place there. Values are truncated to whole grey levels, as in the published code.

    Attributes:
        kind: its published name, e.g. `gaussian_noise`.
        severity: 1 to 5.
        distort: the operation.
        small, large: its parameters for images up to 64 pixels a side (CIFAR-10-C) and above (ImageNet-C).
    """

    kind: str
    severity: int
    distort: Distort
    small: Mapping[str, float]
    large: Mapping[str, float]

    def __call__(self, images: np.ndarray, indices: np.ndarray, /, *, seed: int = 0) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8, corrupted; `indices [n]` are the examples' places in their split.

        Raises:
            DataError: for images that are not uint8 or have other than one or three channels.
        """
        check_images(images)
        parameters = self.parameters((images.shape[1], images.shape[2]))
        result = np.empty_like(images)
        for block in blocks(len(images), images[0].size if len(images) else 1):

            def draw(k: int, chosen: np.ndarray = indices[block]) -> np.ndarray:
                return uniform(chosen, k, salt=f"corruption {self.kind}", seed=seed, copy=self.severity)

            result[block] = truncated(self.distort(images[block], draw, **parameters))
        return result

    def parameters(self, size: tuple[int, int]) -> Mapping[str, float]:
        """The parameters that hold for images of `size` (h, w)."""
        return self.small if max(size) <= SMALL_SIDE else self.large


def check_images(images: np.ndarray) -> None:
    """Refuses what is no batch of 8-bit images.

    Raises:
        DataError: for another type or number of axes, or other than one or three channels.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(
            f"a corruption expects images [n, h, w, 1 or 3 channels] uint8, got {images.dtype} {images.shape}; "
            f"corrupt the images before anything else is done to them"
        )


def truncated(images: np.ndarray) -> np.ndarray:
    """Grey levels cut off to [0, 255] and down to whole ones, uint8; what is a hair below a whole one counts as it."""
    whole: np.ndarray = np.clip(images + HAIR, 0, 255).astype(np.uint8)
    return whole


def normal(draws: np.ndarray) -> np.ndarray:
    """Standard normal numbers from uniform ones in [0, 1), by the inverse of the normal distribution function."""
    from scipy.special import ndtri  # scipy is slow to import

    found: np.ndarray = ndtri(np.maximum(draws, 2.0**-54))  # a draw of 0 would be minus infinity
    return found
