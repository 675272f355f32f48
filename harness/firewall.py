"""The wall between the examples that policies are fitted and chosen on, and those that they are judged on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import DataError
from harness.fingerprint import fingerprint


@dataclass(frozen=True, eq=False)
class Examples:
    """Which examples a number is about, and their labels.

    Attributes:
        ids: `[N]` strings, an example's name within the data set.
        labels: `[N]` int64 in [0, C).
    """

    ids: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))
        if self.ids.shape != self.labels.shape or self.ids.ndim != 1:
            raise DataError(f"expected one id a label, got {self.ids.shape} and {self.labels.shape}")
        if len(np.unique(self.ids)) < len(self.ids):
            raise DataError(f"{len(self.ids) - len(np.unique(self.ids))} ids of examples occur twice in one split")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """Fingerprint of the ids, in order, 64 hex digits."""
        return fingerprint(self.ids.tolist())


@dataclass(frozen=True)
class Provenance:
    """Which examples a policy's numbers come from: each the digest of their ids.

    Attributes:
        fit: fitted on, folds of which are left out in turn for the validation numbers. select: chosen on.
        report: reported on.
    """

    fit: str
    select: str
    report: str


def require_disjoint(splits: Mapping[str, Examples]) -> None:
    """Refuses splits that share an example.

    Raises:
        DataError: one line with the two splits, how many examples they share, and the first.
    """
    names = list(splits)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            shared = np.intersect1d(splits[name].ids, splits[other].ids)
            if len(shared):
                raise DataError(
                    f"splits {name} and {other} share {len(shared):,} examples, the first is {shared[0]}; "
                    "nothing may be fitted or chosen on what it is judged by: give splits that are disjoint"
                )
