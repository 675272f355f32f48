"""AugMix: an image blended with several randomly changed versions of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.transforms.base import Transform
from harness.transforms.geometric import Grey, Rotate
from harness.transforms.random import RandomTransform, Seed, uniform
from harness.transforms.resample import Matrix, blocks, resample_each
from harness.transforms.tonal import Autocontrast, Equalize, Posterize, Solarize

GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = ("autocontrast", "equalize", "posterize", "solarize", *GEOMETRIC)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What n examples drew.

    Attributes:
        mix: `[n]` float64, the share of the image itself.
        weights: `[n, width]` float64, the chains' shares of the rest.
        operations: `[n, width, steps]` int64, places in `OPERATIONS`; -1 for none.
        levels: `[n, width, steps]` float64, how strong.
        signs: `[n, width, steps]` int64, -1 or 1.
    """

    mix: np.ndarray
    weights: np.ndarray
    operations: np.ndarray
    levels: np.ndarray
    signs: np.ndarray


@dataclass(frozen=True)
class AugMix(RandomTransform):
    """m times the image plus 1 - m times a weighted mean of `width` chains of operations, all drawn for each example.

    result = m x + (1 - m) sum_i w_i chain_i(x), with w from a Dirichlet and m from a Beta distribution, both with
    parameter alpha. A chain is drawn from nine operations with replacement, each with its own level s, uniform in
    0.1..severity:

        autocontrast, equalize      without a level
        posterize                   4 - floor(0.4 s) bits
        solarize                    threshold 256 - floor(25.6 s)
        rotate                      floor(3 s) degrees, either way
        shear_x, shear_y            by 0.03 s (tangent), about the top (left) edge, either way
        translate_x, translate_y    by floor(s side / 30) whole pixels, either way

    Source: Hendrycks et al. 2020 (ICLR), google-research/augmix; MEMO (Zhang et al. 2022) takes severity 1 after a
    random crop and flip. Values are not rounded between the operations. The quantiles of the two distributions are
    SciPy's, so the bits of a draw are those of its version.

    Attributes:
        severity: the largest level, 1 to 10.
        width: how many chains.
        depth: operations in a chain; -1 draws 1, 2 or 3 for each.
        alpha: evenness of the weights: large for equal ones, small for one that counts.
        fill_value: what comes in at the edges, in [0, 255].
        seed, copy: which draw.
    """

    severity: Annotated[float, Range(1, 10)] = 3.0
    width: Annotated[int, Range(1)] = 3
    depth: Annotated[int, Range(-1)] = -1
    alpha: Annotated[float, Range(0.1, 100)] = 1.0
    fill_value: Grey = 0.0
    seed: Seed = 0
    copy: Seed = 0
    kind: ClassVar[str] = "aug_mix"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth == 0:
            raise ValueError("depth must be at least 1, or -1 to draw it, got 0")

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32, each blended with its own chains."""
        drawn = self.draw(indices)
        mixed: np.ndarray = _column(drawn.mix) * images
        for chain in range(self.width):
            changed = images
            for step in range(drawn.levels.shape[2]):
                choice = drawn.operations[:, chain, step], drawn.levels[:, chain, step], drawn.signs[:, chain, step]
                changed = self._step(changed, *choice)
            mixed += _column((1 - drawn.mix) * drawn.weights[:, chain]) * changed
        return np.clip(mixed, 0, 255, out=mixed)

    def draw(self, indices: np.ndarray) -> Drawn:
        """What each of the examples draws."""
        from scipy.special import betaincinv, gammaincinv  # slow to import, and only those who draw need it

        n, width, steps = len(indices), self.width, 3 if self.depth == -1 else self.depth
        draws = uniform(indices, 1 + width * (2 + 3 * steps), salt=self.kind, seed=self.seed, copy=self.copy)
        gammas = gammaincinv(self.alpha, np.maximum(draws[:, 1 : 1 + width], 2.0**-54))  # all zero has no shares
        depths = np.floor(3 * draws[:, 1 + width : 1 + 2 * width]) + 1 if self.depth == -1 else np.full((n, 1), steps)
        which, levels, signs = np.moveaxis(draws[:, 1 + 2 * width :].reshape(n, width, steps, 3), 3, 0)
        operations = np.floor(len(OPERATIONS) * which).astype(np.int64)
        return Drawn(
            mix=betaincinv(self.alpha, self.alpha, draws[:, 0]),
            weights=gammas / gammas.sum(axis=1, keepdims=True),
            operations=np.where(np.arange(steps) < depths[:, :, None], operations, -1),
            levels=0.1 + (self.severity - 0.1) * levels,
            signs=np.where(signs < 0.5, -1, 1),
        )

    def _step(self, images: np.ndarray, operations: np.ndarray, levels: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """Each image through its own operation."""
        names = np.array([*OPERATIONS, "none"])[operations]
        result = images.copy()
        _apply_where(names == "autocontrast", result, np.zeros(len(images)), lambda _: Autocontrast())
        _apply_where(names == "equalize", result, np.zeros(len(images)), lambda _: Equalize())
        _apply_where(names == "posterize", result, 4 - np.floor(0.4 * levels), lambda bits: Posterize(int(bits)))
        _apply_where(names == "solarize", result, 256 - np.floor(25.6 * levels), Solarize)
        moved = np.flatnonzero(np.isin(names, GEOMETRIC))
        for block in blocks(len(moved), 8 * images.shape[1] * images.shape[2]):
            chosen = moved[block]
            places = zip(names[chosen].tolist(), (levels * signs)[chosen].tolist(), strict=True)
            maps = np.array([_matrix(name, level, images.shape[1:3]) for name, level in places]).T[:, :, None, None]
            result[chosen] = resample_each(
                result[chosen], tuple(maps), interpolation="bilinear", fill="constant", fill_value=self.fill_value
            )
        return result


def _apply_where(
    chosen: np.ndarray, images: np.ndarray, values: np.ndarray, make: Callable[[float], Transform]
) -> None:
    """Replaces the chosen images by what the transform of their value makes of them."""
    for value in np.unique(values[chosen]).tolist():
        places = np.flatnonzero(chosen & (values == value))
        images[places] = make(value)(images[places], places)


def _matrix(name: str, level: float, shape: tuple[int, int]) -> Matrix:
    """The inverse map of a geometric operation; the level's sign is the direction, `shape` is (h, w)."""
    h, w = shape
    lean = 0.03 * level
    if name == "rotate":
        return Rotate(float(int(3 * level))).matrix(h, w)
    if name == "shear_x":
        return 1.0, lean, lean * h / 2, 0.0, 1.0, 0.0
    if name == "shear_y":
        return 1.0, 0.0, 0.0, lean, 1.0, lean * w / 2
    if name == "translate_x":
        return 1.0, 0.0, float(int(level * w / 30)), 0.0, 1.0, 0.0
    return 1.0, 0.0, 0.0, 0.0, 1.0, float(int(level * h / 30))


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, None, None, None]
