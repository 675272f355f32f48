"""Conformal prediction sets: instead of one class, a set that holds the label with a stated probability.

A score says how far down the ranking of classes one has to go to reach a class; the threshold is a quantile of the
labels' scores on calibration examples; the set of a new example is every class whose score is at most the threshold.
Where calibration and new examples are exchangeable, the set holds the label with probability at least 1 - alpha,
whatever the model. For that the policy must not have been fitted or chosen on the calibration examples: fit weights on
one half of validation and calibrate on the other (Shanmugam et al. 2025, "Test-time augmentation improves efficiency in
conformal prediction").

Letters: N examples, C classes. Ranks count from 1, the largest probability; equal ones come in the order of classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Parametrised, Range

_BLOCK = 1 << 18  # probabilities that are ranked at once: blocks that stay in the processor's cache
_CALIBRATION, _PREDICTION = 0, 1  # random numbers of the two come from streams of their own


@dataclass(frozen=True)
class AdaptiveScore(Parametrised):
    """The score of adaptive prediction sets, regularised where `penalty` is above zero.

    The class of rank r has the score p_(1) + ... + p_(r-1) + u p_(r) + penalty * max(0, r - k_reg).

    Attributes:
        penalty: lambda, added for every rank beyond `k_reg`: it keeps sets small where small probabilities are noise.
            Zero is APS: Romano, Sesia and Candes (2020), "Classification with valid and adaptive coverage".
        k_reg: ranks that are free of the penalty. Angelopoulos, Bates, Malik and Jordan (2021), "Uncertainty sets for
            image classifiers using conformal prediction" (RAPS).
        randomised: u is uniform in [0, 1), one for each example, and coverage is 1 - alpha up to 1 / (n + 1); else u is
            one, and sets are larger and cover more. A randomised set may be empty, and its coverage is a mean over u.
            This differs from the public code of RAPS, which calibrates with random u in both cases and, where sets
            are not randomised, adds the class that crosses the threshold.
    """

    kind: ClassVar[str] = "adaptive"
    penalty: Annotated[float, Range(0)] = 0.0
    k_reg: Annotated[int, Range(0)] = 5
    randomised: bool = True

    def of_ranks(self, probs: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Scores `[n, C]` float64 of the classes of rank 1 to C, from probabilities `[n, C]` and u `[n]`."""
        ordered = np.sort(probs, axis=1)[:, ::-1]
        scores = np.cumsum(ordered, axis=1)
        if self.randomised:
            scores -= (1 - u[:, None]) * ordered
        if self.penalty:
            scores += self.penalty * np.maximum(np.arange(1, probs.shape[1] + 1) - self.k_reg, 0)
        return scores


APS = AdaptiveScore()
RAPS = AdaptiveScore(penalty=0.01, k_reg=5)
"""One of the three settings (k_reg = 5; lambda = 0.01, 0.1, 1) whose set sizes the paper compares, the mildest."""


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """The sets of a policy on a split, by what they hold.

    Attributes:
        size: `[N]` int64 in [0, C], classes in the set of each example.
        covered: `[N]` bool, the set holds the label.
        class_coverage: `[C]` float64, share of covered examples of each class; NaN for a class without examples.
        threshold: of the score; infinite where every set is the set of all classes.
    """

    size: np.ndarray
    covered: np.ndarray
    class_coverage: np.ndarray
    threshold: float

    @property
    def coverage(self) -> float:
        """Share of examples whose set holds the label, in [0, 1]."""
        return float(self.covered.mean())

    @property
    def mean_size(self) -> float:
        """Mean number of classes in a set, in [0, C]."""
        return float(self.size.mean())

    @property
    def worst_class_coverage(self) -> float:
        """The smallest coverage of any class that has examples, in [0, 1]."""
        return float(np.nanmin(self.class_coverage))


def calibrate(probs: np.ndarray, labels: np.ndarray, *, alpha: float, score: AdaptiveScore, seed: int) -> float:
    """The threshold: the ceil((n + 1) (1 - alpha))-th smallest of the labels' scores on n calibration examples.

    It is infinite, and every set the set of all classes, where n < 1 / alpha - 1.
    Vovk, Gammerman and Shafer (2005), "Algorithmic learning in a random world"; split conformal prediction.

    Args:
        probs: `[n, C]` float64 whose rows sum to one, of calibration examples.
        labels: `[n]` int64 in [0, C).
        alpha: accepted share of sets that miss the label, in (0, 1).
        score: `APS`, `RAPS` or another setting.
        seed: of u, the same for all policies.

    Raises:
        ValueError: for an alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, got {alpha}")
    examples = len(labels)
    of_labels = np.empty(examples)
    for part, scores in _scored(probs, score, [seed, _CALIBRATION]):
        ranks = _ranks(probs[part], labels[part])
        of_labels[part] = np.take_along_axis(scores, ranks[:, None] - 1, axis=1)[:, 0]
    # n + 1 - floor((n + 1) alpha) is the ceiling; the small number undoes rounding such as 0.3 * 10 > 3.
    place = examples + 1 - int(np.floor((examples + 1) * alpha + 1e-9))
    return float(np.partition(of_labels, place - 1)[place - 1]) if place <= examples else float("inf")


def conformal_sets(
    probs: np.ndarray, labels: np.ndarray, *, threshold: float, score: AdaptiveScore, seed: int
) -> ConformalSets:
    """The sets of all classes whose score is at most the threshold, and whether they hold the labels.

    Args:
        probs: `[N, C]` float64 whose rows sum to one, of other examples than those calibrated on.
        labels: `[N]` int64 in [0, C): used for coverage only.
        threshold: of `calibrate`, with the same score.
        score: as calibrated.
        seed: of u, the same for all policies; its numbers differ from those of calibration.
    """
    size, covered = np.empty(len(labels), np.int64), np.empty(len(labels), bool)
    for part, scores in _scored(probs, score, [seed, _PREDICTION]):
        # Scores grow with the rank, so that a set is the first classes of the ranking.
        size[part] = (scores <= threshold).sum(axis=1)
        covered[part] = _ranks(probs[part], labels[part]) <= size[part]
    classes = probs.shape[1]
    with np.errstate(invalid="ignore"):
        by_class = np.bincount(labels, covered, classes) / np.bincount(labels, minlength=classes)
    return ConformalSets(size, covered, by_class, threshold)


def _scored(probs: np.ndarray, score: AdaptiveScore, seed: list[int]) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of examples with the scores `[n, C]` of their ranks."""
    u = np.random.default_rng(seed).random(len(probs))
    step = max(1, _BLOCK // probs.shape[1])
    for start in range(0, len(probs), step):
        part = slice(start, start + step)
        yield part, score.of_ranks(probs[part], u[part])


def _ranks(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rank `[n]` int64 from 1 to C of each label."""
    of_label = np.take_along_axis(probs, labels[:, None], axis=1)
    equal_before = (probs == of_label) & (np.arange(probs.shape[1]) < labels[:, None])
    ranks: np.ndarray = 1 + (probs > of_label).sum(axis=1) + equal_before.sum(axis=1)
    return ranks
