"""The table of aggregations: kind to class, and from a configuration's plain data to a checked aggregation.

Other people's packages add kinds through the entry-point group `harness.aggregations` (name = kind). The value is a
frozen dataclass that derives `harness.policies.base.Aggregation`, or simply a function of logits `[V, n, C]` to
log-probabilities `[n, C]`. A name of our own cannot be replaced.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from harness.errors import ConfigError, unknown_name
from harness.parameters import make, parameters_text
from harness.policies import (
    accuracy_preserving,
    adaptive,
    anchored,
    augtta,
    best_subset,
    classtta,
    confident,
    covariance,
    fixed,
    greedy,
    learned_exit,
    loss_ridge,
    stacking,
    votes,
)
from harness.policies.base import Aggregation, Fixed

GROUP = "harness.aggregations"

Nature = Literal["fixed", "learned", "adaptive"]

FIXED: tuple[type[Aggregation], ...] = (
    fixed.MeanProbs,
    fixed.MeanLogits,
    fixed.GMeanProbs,
    fixed.HMeanProbs,
    fixed.PowerMeanProbs,
    fixed.LogOddsProbs,
    fixed.MaxProbs,
    fixed.MaxLogits,
    fixed.MinProbs,
    fixed.MedianProbs,
    fixed.TrimmedMeanProbs,
    votes.Vote,
    anchored.AnchorProbs,
    anchored.AnchorLogits,
    confident.EntropyWeightedProbs,
    confident.EntropySoftmaxProbs,
    confident.ConfidentVote,
)
LEARNED: tuple[type[Aggregation], ...] = (
    augtta.AugTTA,
    classtta.ClassTTA,
    classtta.AugOrClassTTA,
    covariance.CovarianceWeights,
    greedy.Gps,
    best_subset.BestSubset,
    accuracy_preserving.MATTA,
    accuracy_preserving.VATTA,
    loss_ridge.LossRidge,
    stacking.Stacking,
)
ADAPTIVE: tuple[type[Aggregation], ...] = (
    adaptive.Selective,
    adaptive.EarlyExit,
    learned_exit.LearnedEarlyExit,
    adaptive.ExactExit,
)
AGGREGATIONS: dict[str, type[Aggregation]] = {cls.kind: cls for cls in (*FIXED, *LEARNED, *ADAPTIVE)}


class Description(NamedTuple):
    """An aggregation in a listing.

    Attributes:
        kind: its name in configurations.
        summary: one sentence.
        parameters: their names with ranges and defaults.
        nature: `fixed`; `learned` from validation; or `adaptive`, where examples differ in their forward passes.
    """

    kind: str
    summary: str
    parameters: str
    nature: Nature


class _FromFunction(Fixed):
    """A function of another package. Two are equal when they have one name."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _FromFunction) and other.kind == self.kind

    def __hash__(self) -> int:
        return hash(self.kind)


def aggregation_kinds() -> tuple[str, ...]:
    """Our own kinds in the order of the table, then those that installed packages add, sorted."""
    return (*AGGREGATIONS, *sorted(_plugins()))


def aggregation_class(kind: str) -> type[Aggregation]:
    """The class of a kind, from our table or from an installed package.

    Raises:
        ConfigError: for a name that nobody has (with the nearest names), or a package whose aggregation is unusable.
    """
    if kind in AGGREGATIONS:
        return AGGREGATIONS[kind]
    found = _plugins()
    if kind not in found:
        raise ConfigError(unknown_name("aggregation", kind, [*AGGREGATIONS, *found]))
    return _load(found[kind])


def make_aggregation(kind: str, params: Mapping[str, Any]) -> Aggregation:
    """The aggregation of a kind with parameters from plain data.

    Raises:
        ConfigError: for an unknown kind or parameter, a missing one, a wrong type, or a value out of range.
    """
    return make(aggregation_class(kind), params, noun="aggregation")


def describe() -> list[Description]:
    """What there is, in the order of `aggregation_kinds`.

    Raises:
        ConfigError: for a package whose aggregation is unusable.
    """
    return [_description(aggregation_class(kind)) for kind in aggregation_kinds()]


def _description(cls: type[Aggregation]) -> Description:
    summary = (cls.__doc__ or "").strip().split("\n")[0]
    nature: Nature = "adaptive" if cls in ADAPTIVE else "learned" if cls.learns else "fixed"
    return Description(cls.kind, summary, parameters_text(cls), nature)


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in AGGREGATIONS}


def _load(entry: EntryPoint) -> type[Aggregation]:
    what = f"aggregation {entry.name!r} of an installed package"
    try:
        found: Any = entry.load()
    except Exception as error:  # other people's code can fail in any way
        raise ConfigError(f"{what} cannot be loaded: {error}") from error
    if not isinstance(found, type):
        return _from_function(entry.name, found, what)
    cls: type[Aggregation] = found
    if Aggregation in cls.__mro__ and "__dataclass_fields__" in vars(cls) and cls.kind == entry.name:
        return cls
    raise ConfigError(f"{what} must be a dataclass that derives Aggregation with kind={entry.name!r}, got {found!r}")


def _from_function(name: str, function: Callable[[np.ndarray], np.ndarray], what: str) -> type[Aggregation]:
    if not callable(function):
        raise ConfigError(f"{what} must be a function or an Aggregation, got {type(function).__name__}")

    @dataclass(frozen=True, eq=False)
    class FromFunction(_FromFunction):
        kind: ClassVar[str] = name

        def __call__(self, logits: np.ndarray, /) -> np.ndarray:
            return function(logits)

    FromFunction.__doc__ = function.__doc__ or ""
    return FromFunction
