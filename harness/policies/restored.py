"""A fitted aggregation from plain data: the inverse of `Fitted.parameters`, for what a job has written down."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.errors import ConfigError, DataError
from harness.policies.accuracy_preserving import MATTA, VATTA, AnchoredMixture
from harness.policies.adaptive import INNER, EarlyExit, FittedSelective, Selective
from harness.policies.augtta import AugTTA
from harness.policies.base import Aggregation, Fitted
from harness.policies.best_subset import BestSubset
from harness.policies.classtta import AugOrClassTTA, Chosen, ClassTTA, ClassWeights
from harness.policies.covariance import CovarianceWeights, SignedMean
from harness.policies.fixed import MeanProbs
from harness.policies.greedy import Gps, GreedyMean
from harness.policies.learned_exit import FittedEarlyExit, LearnedEarlyExit
from harness.policies.loss_ridge import LossRidge, LossRidgeFit
from harness.policies.stacking import LogisticStack, Stacking
from harness.policies.weighted import WeightedMean

Learned = Mapping[str, Any]


def restored(aggregation: Aggregation, learned: Learned) -> Fitted:
    """The aggregation as it came out of its fit.

    Args:
        aggregation: what was asked for.
        learned: what `parameters` of its fit gave, perhaps through JSON; empty for a fixed aggregation.

    Raises:
        DataError: where that is not what this aggregation learns.
        ConfigError: for a learned aggregation of another package, which only that package could restore.
    """
    if not aggregation.learns:
        # A fixed aggregation is its own fit, and looks at nothing.
        return aggregation.fit(None, None)  # type: ignore[arg-type]
    restore = RESTORERS.get(type(aggregation))
    if restore is None:
        raise ConfigError(
            f"aggregation {aggregation.kind} of another package cannot be restored from what it has learned: "
            f"take one of {', '.join(cls.kind for cls in RESTORERS)}, or a fixed one"
        )
    try:
        return restore(learned)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"what {aggregation.kind} has learned is damaged ({error!r}): run the job again") from error


def _weighted(learned: Learned) -> Fitted:
    return WeightedMean(learned["space"], _numbers(learned["weights"]))


def _greedy(learned: Learned) -> Fitted:
    return GreedyMean(learned["space"], _numbers(learned["weights"]), tuple(map(int, learned["chosen"])))


def _of_covariance(learned: Learned) -> Fitted:
    weights = _numbers(learned["weights"])
    return WeightedMean("probs", weights) if min(weights) >= 0 else SignedMean(weights)


def _of_class(learned: Learned) -> Fitted:
    return ClassWeights(tuple(map(_numbers, learned["weights"])))


def _chosen(learned: Learned) -> Fitted:
    fitted = {"augtta": _weighted, "classtta": _of_class}[learned["kept"]](learned)
    accuracies = learned["held_out_accuracy"]
    return Chosen(learned["kept"], fitted, (float(accuracies["augtta"]), float(accuracies["classtta"])))


def _anchored(learned: Learned) -> Fitted:
    return AnchoredMixture(_array(learned["weights"], 2), float(learned["omega"]))


def _loss_ridge(learned: Learned) -> Fitted:
    return LossRidgeFit(int(learned["k"]), _array(learned["coefficients"], 2), _array(learned["intercept"], 1))


def _stack(learned: Learned) -> Fitted:
    return LogisticStack(_array(learned["coefficients"], 2), _array(learned["intercept"], 1))


def _selective(learned: Learned) -> Fitted:
    return FittedSelective(float(learned["threshold"]), INNER[learned["aggregation"]], learned["uncertainty"])


def _exit(learned: Learned) -> Fitted:
    confidence = learned["confidence"]
    inner = MeanProbs() if confidence is None else EarlyExit(float(confidence))
    return FittedEarlyExit(tuple(map(int, learned["order"])), inner)


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(map(float, values))


def _array(values: Any, dimensions: int) -> np.ndarray:
    array = np.array(values, np.float64)
    if array.ndim != dimensions:
        raise ValueError(f"expected {dimensions} dimensions, got {array.ndim}")
    return array


RESTORERS: dict[type[Aggregation], Callable[[Learned], Fitted]] = {
    AugTTA: _weighted,
    ClassTTA: _of_class,
    AugOrClassTTA: _chosen,
    CovarianceWeights: _of_covariance,
    Gps: _greedy,
    BestSubset: _weighted,
    MATTA: _anchored,
    VATTA: _anchored,
    LossRidge: _loss_ridge,
    Stacking: _stack,
    Selective: _selective,
    LearnedEarlyExit: _exit,
}
