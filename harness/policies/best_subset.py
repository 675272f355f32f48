"""The best small subset of views: what exhaustive search over stored logits ends at."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from harness.parameters import Range
from harness.policies.base import Aggregation, Fitted
from harness.policies.linear_temperatures import Criterion
from harness.policies.logits import ViewLogits
from harness.policies.subsets import search_subsets
from harness.policies.weighted import WeightedMean


@dataclass(frozen=True)
class BestSubset(Aggregation):
    """The best mean, of probabilities or of logits, over any subset of at most `size` views.

    Every subset is tried; among equals the fewest views win, then the first. GPS (`gps`) tries far fewer and may repeat
    a view.

    Attributes:
        size: the most views, and so forward passes.
        criterion: what is best.
    """

    size: Annotated[int, Range(1)]
    criterion: Criterion = "nll_calibrated"
    kind: ClassVar[str] = "best_subset"
    learns: ClassVar[bool] = True
    anchored: ClassVar[bool] = True  # the gains of all subsets are over the first view

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> Fitted:
        """The winner as a mean with equal weights.

        Raises:
            ConfigError: for more subsets than can be tried.
        """
        table = search_subsets(logits, labels, up_to=self.size)
        place = table.pareto(self.criterion)[-1]
        chosen, weights = table.views[place], [0.0] * len(logits)
        for view in chosen:
            weights[view] = 1 / len(chosen)
        return WeightedMean(table.spaces[place], tuple(weights))
