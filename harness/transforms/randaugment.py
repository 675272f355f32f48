"""RandAugment as greedy policy search uses it: a few operations, drawn once for all images."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.filters import Sharpness
from harness.transforms.geometric import Rotate
from harness.transforms.photometric import Brightness, Contrast, Saturation
from harness.transforms.pixels import check_channels
from harness.transforms.random import RandomTransform, Seed, uniform
from harness.transforms.resample import Interpolation, Matrix, resample
from harness.transforms.tonal import Autocontrast, Posterize, Solarize

Operation = Callable[[np.ndarray, float, np.ndarray], np.ndarray]  # images, level -1.5..1.5, draws [n, 2] -> images


@dataclass(frozen=True)
class RandAugment(RandomTransform):
    """A sub-policy of `num_ops` operations, each with its strength: the same ones for every image, others in each copy.

    Operations are drawn with replacement; strengths are uniform within -magnitude..magnitude, and below 0.5 nothing
    is done. On the scale of the paper 30 is the full strength of this table, with m the strength over 30:

        identity                    the image
        shear_x, shear_y            by 0.5 |m| (tangent), about the edge at the top (left) or at the bottom (right)
        translate_x, translate_y    by 0.45 |m| of the side, in whole pixels
        rotate                      by 40 |m| degrees
        autocontrast                cutoff 10 |m| percent
        solarize, solarize_add      threshold 256 - 128 |m|; the second is the mean of image and result
        posterize                   8 - 6 |m| bits, truncated, at least 1
        contrast, color, brightness, sharpness    factor 1 + 0.8 m, 0.9 m, 0.8 m, 0.9 m, at least 0
        cutout                      a black square of 0.5 |m| of the width, its middle anywhere

    Directions of the geometric operations and the place of the cutout are drawn for each image; what comes in at the
    edges is mirrored. Source: Molchanov et al. 2020 (UAI), SamsungLabs/gps-augment `utils/randaugment.py` with
    `--fix_sign --true_m0`; RandAugment is Cubuk et al. 2020. Bilinear here, bicubic there; where their strengths
    beyond 30 lead to fewer than 1 bit (black) or a factor below 0 (a negative), the bounds above hold here.

    Attributes:
        num_ops: operations one after the other (their N).
        magnitude: the largest strength (their M).
        seed, copy: which draw.
    """

    num_ops: Annotated[int, Range(1)] = 3
    magnitude: Annotated[float, Range(0, 45)] = 45.0
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "rand_augment"
    needs_rgb: ClassVar[bool] = True

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, 3]` float32 through the sub-policy.

        Raises:
            DataError: where the images have other than three channels.
        """
        check_channels(self, images)
        draws = uniform(indices, 2 * self.num_ops, salt=f"{self.kind}.images", seed=self.seed, copy=self.copy)
        for place, (name, strength) in enumerate(self.sub_policy()):
            if abs(strength) >= 0.5:
                images = OPERATIONS[name](images, strength / 30, draws[:, 2 * place : 2 * place + 2])
        return images

    def sub_policy(self) -> tuple[tuple[str, float], ...]:
        """The operations in order, each with its strength within -magnitude..magnitude."""
        draws = uniform(np.arange(self.num_ops), 2, salt=self.kind, seed=self.seed, copy=self.copy).tolist()
        names = list(OPERATIONS)
        return tuple((names[int(len(names) * which)], self.magnitude * (2 * u - 1)) for which, u in draws)

    def is_identity(self) -> bool:
        """True where every operation drawn does nothing."""
        return all(name == "identity" or abs(strength) < 0.5 for name, strength in self.sub_policy())


def _shear_x(images: np.ndarray, level: float, draws: np.ndarray) -> np.ndarray:
    tangent, reach = 0.5 * abs(level), images.shape[1] / 2
    return _moved(images, draws, lambda lean, slide: (1.0, lean * tangent, slide * tangent * reach, 0.0, 1.0, 0.0))


def _shear_y(images: np.ndarray, level: float, draws: np.ndarray) -> np.ndarray:
    tangent, reach = 0.5 * abs(level), images.shape[2] / 2
    return _moved(images, draws, lambda lean, slide: (1.0, 0.0, 0.0, lean * tangent, 1.0, slide * tangent * reach))


def _translate_x(images: np.ndarray, level: float, draws: np.ndarray) -> np.ndarray:
    pixels = 0.45 * abs(level) * images.shape[2]
    return _moved(images, draws, lambda sign, _: (1.0, 0.0, sign * pixels, 0.0, 1.0, 0.0), "nearest")


def _translate_y(images: np.ndarray, level: float, draws: np.ndarray) -> np.ndarray:
    pixels = 0.45 * abs(level) * images.shape[1]
    return _moved(images, draws, lambda sign, _: (1.0, 0.0, 0.0, 0.0, 1.0, sign * pixels), "nearest")


def _rotate(images: np.ndarray, level: float, draws: np.ndarray) -> np.ndarray:
    h, w = images.shape[1:3]
    return _moved(images, draws, lambda sign, _: Rotate(sign * 40 * abs(level)).matrix(h, w))


def _moved(
    images: np.ndarray,
    draws: np.ndarray,
    matrix: Callable[[float, float], Matrix],
    interpolation: Interpolation = "bilinear",
) -> np.ndarray:
    """Each image through the map of its two signs, which its draws `[n, 2]` toss."""
    signs = np.where(draws < 0.5, -1.0, 1.0)
    result = np.empty_like(images)
    for pair in itertools.product((-1.0, 1.0), repeat=2):
        chosen = (signs == pair).all(axis=1)
        moved = resample(images[chosen], matrix(*pair), interpolation=interpolation, fill="mirror", fill_value=0.0)
        result[chosen] = moved
    return result


def _cutout(images: np.ndarray, level: float, draws: np.ndarray) -> np.ndarray:
    h, w = images.shape[1:3]
    reach = 0.25 * abs(level) * w
    columns = np.abs(np.arange(w) + 0.5 - w * draws[:, :1]) < reach
    rows = np.abs(np.arange(h) + 0.5 - h * draws[:, 1:]) < reach
    return np.where((rows[:, :, None] & columns[:, None, :])[..., None], np.float32(0), images)


def _solarize(images: np.ndarray, level: float) -> np.ndarray:
    return Solarize(256 - 128 * abs(level))(images, NOBODY)


def _factor(scale: float, level: float) -> float:
    return max(0.0, 1 + scale * level)


NOBODY = np.empty(0, np.int64)  # the deterministic transforms below do not look at the indices

OPERATIONS: dict[str, Operation] = {
    "identity": lambda images, _level, _draws: images,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "autocontrast": lambda images, level, _: Autocontrast(10 * abs(level))(images, NOBODY),
    "solarize": lambda images, level, _: _solarize(images, level),
    "solarize_add": lambda images, level, _: (images + _solarize(images, level)) / np.float32(2),
    "posterize": lambda images, level, _: Posterize(max(1, int(8 - 6 * abs(level))))(images, NOBODY),
    "contrast": lambda images, level, _: Contrast(_factor(0.8, level))(images, NOBODY),
    "color": lambda images, level, _: Saturation(_factor(0.9, level))(images, NOBODY),
    "brightness": lambda images, level, _: Brightness(_factor(0.8, level))(images, NOBODY),
    "sharpness": lambda images, level, _: Sharpness(_factor(0.9, level))(images, NOBODY),
    "cutout": _cutout,
}
