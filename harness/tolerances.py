"""How far a number of a job may lie from the same number of a second run before rounding no longer explains it.

Another order of summation, other kernels or another processor move logits by 1e-6 of their size. What that does to a
number depends on what kind of number it is; what was measured stands in `docs/decisions/0021-reproduction.md`.
"""

from dataclasses import dataclass

import numpy as np

EXACT = "verdict or choice"
MEAN = "mean"
SHARE = "share of images"
P_VALUE = "p value"
TEMPERATURE = "temperature"
IMAGE = "prediction of one image"
STATISTIC = "diagnostic"

Kind = str

MEAN_LIMIT = 1e-4
IMAGES_LIMIT = 2
P_LIMIT, P_FLOOR = 1e-2, 1e-6
TEMPERATURE_LIMIT = 1e-4
IMAGE_LIMIT = 1e-3

KINDS: dict[Kind, str] = {
    EXACT: "none: people act on it",
    MEAN: f"{MEAN_LIMIT:g}, or that share of it above 1: rounding moves each image's score a little, and what is "
    "learned from them more",
    SHARE: f"{IMAGES_LIMIT} images, one of the policy and one of identity: rounding decides a tie, for an image as a "
    "whole",
    IMAGE: f"{IMAGE_LIMIT:g}, or that share of it above 1, where the model predicts alone; an aggregation such as a "
    "vote may make any change of rounding",
    TEMPERATURE: f"{TEMPERATURE_LIMIT:g} of it: the optimum of a flat curve",
    P_VALUE: f"{P_LIMIT:g} of it, and {P_FLOOR:g}: it falls exponentially with what it tests",
    STATISTIC: "any: one tie that goes the other way moves it far; what it is made of is judged instead",
}
"""Each kind's tolerance and its reason, what matters most to people first."""

SHARES = (
    "accuracy", "top5_accuracy", "risk_at_80", "ece", "ece_equal_mass", "classwise_ece", "aurc",
    "brier_reliability", "brier_resolution", "brier_within_bins", "coverage", "worst_class_coverage", "aps_coverage",
    "raps_coverage", "aps_size", "raps_size", "aps_worst_class_coverage", "raps_worst_class_coverage",
    "corrected", "corrupted", "passes", "identity", "best_view", "oracle", "mean_accuracy", "worst_accuracy",
    "mean_gain", "worst_gain", "gain", "difference", "lower", "upper", "limit", "lowest", "highest",
)  # fmt: skip
STATISTICS = ("auroc_errors", "passes_p95", "passes_max", "standard_error", "accuracy_sd", "break_even", "percentile")
OF_A_CLASS = ("worst_class_coverage", "aps_worst_class_coverage", "raps_worst_class_coverage")


@dataclass(frozen=True)
class Sizes:
    """What a number is made of: examples of validation and of test, classes, and views of the policy, where it has."""

    validation: int
    test: int
    classes: int
    views: int = 1


def kind_of(subject: str, name: str) -> Kind:
    """The kind of a number by where it stands: `policy hflip` and `test/nll`, or `table views: identity` and a column.

    What is not known to be another kind is a mean, which is the strictest of numbers.
    """
    last = name.rpartition("/")[2]
    if "p_value" in last:
        # McNemar's p is a function of two counts, and steps with them.
        return P_VALUE if "nll" in last else STATISTIC
    if last == "temperature":
        return TEMPERATURE
    if last in STATISTICS or subject.startswith("table error_correlation"):
        return STATISTIC
    if subject.startswith("table agreement") or _stem(last) in SHARES:
        return SHARE
    return MEAN


def allowed(kind: Kind, before: np.ndarray | float) -> np.ndarray:
    """How far a number, or each of an array, may move; not for shares, whose steps depend on how many images there are.

    Args:
        kind: one of `KINDS`.
        before: the numbers of the first run.
    """
    size = np.abs(np.asarray(before, np.float64))
    if kind == STATISTIC:
        return np.full_like(size, np.inf)
    if kind == P_VALUE:
        return P_LIMIT * size + P_FLOOR
    if kind == TEMPERATURE:
        return TEMPERATURE_LIMIT * size
    limit = {MEAN: MEAN_LIMIT, IMAGE: IMAGE_LIMIT, EXACT: 0.0}[kind]
    return limit * np.maximum(size, 1.0)


def allowed_share(subject: str, name: str, sizes: Sizes) -> float:
    """What `IMAGES_LIMIT` images are worth in a share, a count, a mean number of passes or of classes."""
    last = name.rpartition("/")[2]
    if last in ("corrected", "corrupted"):
        return float(IMAGES_LIMIT)
    on_validation = name.startswith("validation") or subject.startswith("table views")
    images = sizes.validation if on_validation else sizes.test
    if last.startswith("optimism") or name.startswith("optimism"):
        images = min(sizes.validation, sizes.test)
    of_a_class = last in OF_A_CLASS or "_by_class" in subject
    worth = sizes.classes if of_a_class or last.endswith("_size") else sizes.views if last == "passes" else 1
    return IMAGES_LIMIT * worth / max(images, 1)


def _stem(name: str) -> str:
    """`accuracy` of `accuracy_lower` and of `validation_accuracy`."""
    stem = name.removesuffix("_lower").removesuffix("_upper")
    return stem.removeprefix("validation_").removeprefix("test_")
