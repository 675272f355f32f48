"""What an aggregation is: logits of several views `[V, n, C]` to one prediction `[n, C]`.

One small protocol serves fixed, learned, searched and adaptive policies: what is asked for is an `Aggregation`, a
frozen dataclass of parameters; `fit` sees validation logits and labels and returns a `Fitted`, which is frozen too and
knows nothing of labels any more. A fixed aggregation is its own `Fitted`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from harness.parameters import Parametrised
from harness.policies.logits import ViewLogits


class Fitted(Protocol):
    """An aggregation with nothing left to learn."""

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Logits `[V, n, C]` float32 to log-probabilities `[n, C]` float64 whose exponentials sum to one in each row.

        An example's result depends on its own logits alone: not on the batch, nor on its place there.
        """
        ...

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """Forward passes `[n]` int64 that each example needs: V, or fewer where views are skipped."""
        return np.full(logits.shape[1], len(logits), np.int64)

    def parameters(self) -> Mapping[str, Any]:
        """What was learned, as plain data (numbers, strings, lists), for the record; empty for a fixed aggregation."""
        return {}


class Aggregation(Parametrised, Protocol):
    """What a policy asks for, by the name `kind` in configurations.

    Attributes:
        learns: True where `fit` looks at the labels or logits it is given.
        anchored: True where the first view has to be identity, because it is treated apart from the others.
    """

    learns: ClassVar[bool] = False
    anchored: ClassVar[bool] = False

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> Fitted:
        """The frozen aggregation learned from `logits` [V, N, C] and `labels [N]` int64 in [0, C).

        The same arguments give the same result, bit for bit.
        """
        ...


class Fixed(Aggregation, Fitted, Protocol):
    """An aggregation that learns nothing and so is its own fit."""

    def fit(self, _logits: ViewLogits, _labels: np.ndarray) -> Fitted:
        """Itself."""
        return self
