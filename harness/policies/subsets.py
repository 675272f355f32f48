"""All small subsets of views, under the mean of probabilities and the mean of logits, scored as one table.

(The normalised geometric mean of probabilities is the same distribution as the mean of logits, and one view alone is
the same under both: each is there once.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from harness.errors import ConfigError
from harness.policies.linear import WeightedMeans, score_linear
from harness.policies.linear_temperatures import Criterion, calibrate_linear, criterion_scores
from harness.policies.logits import ViewLogits
from harness.policies.weighted import Space

MOST = 20_000
"""Policies that a search may try: more need long, and no correction leaves anything significant."""


@dataclass(frozen=True, eq=False)
class SubsetTable:
    """S policies and their numbers on validation, fewest views first; an array each, in the same order.

    Attributes:
        views: the places of each policy's views, rising.
        spaces: `probs` or `logits`, what each policy takes the mean of.
        passes: `[S]` int64, how many views.
        accuracy: `[S]` float64 in [0, 1].
        nll: `[S]` float64, in nats.
        nll_calibrated: `[S]` float64, in nats, after the temperature, in-sample.
        temperatures: `[S]` float64.
    """

    views: tuple[tuple[int, ...], ...]
    spaces: tuple[Space, ...]
    passes: np.ndarray
    accuracy: np.ndarray
    nll: np.ndarray
    nll_calibrated: np.ndarray
    temperatures: np.ndarray

    def __len__(self) -> int:
        return len(self.views)

    def pareto(self, criterion: Criterion) -> tuple[int, ...]:
        """The places of policies that are strictly better than every policy of fewer or as many passes before them.

        For each number of passes the best policy (the first of equal ones), where it is strictly better than every
        cheaper one; cheapest first.
        """
        worth = {"accuracy": self.accuracy, "nll": -self.nll, "nll_calibrated": -self.nll_calibrated}[criterion]
        front: list[int] = []
        for passes in np.unique(self.passes):
            level = np.flatnonzero(self.passes == passes)
            best = int(level[worth[level].argmax()])
            if not front or worth[best] > worth[front[-1]]:
                front.append(best)
        return tuple(front)


def search_subsets(logits: ViewLogits, labels: np.ndarray, *, up_to: int, most: int = MOST) -> SubsetTable:
    """Every subset of one to `up_to` views, as mean of probabilities and as mean of logits, on validation.

    The number of policies tried, the table's length, belongs into the correction for multiple testing.

    Args:
        logits: [V, N, C], finite.
        labels: `[N]` int64 in [0, C).
        up_to: the most views of a subset; more than V mean V.
        most: the most policies that may be tried.

    Raises:
        ConfigError: for an `up_to` below one, or more policies than `most`.
    """
    probs, averaged = subsets(len(logits), up_to=up_to, most=most)
    families = (subset_means(probs, "probs", views=len(logits)), subset_means(averaged, "logits", views=len(logits)))
    rows = [_rows(family, logits, labels) for family in families if len(family)]
    columns = np.concatenate(rows, axis=1)
    views = (*probs, *averaged)
    first, second = (family.space for family in families)
    spaces = (*[first] * len(probs), *[second] * len(averaged))
    order = np.argsort([len(subset) for subset in views], kind="stable").tolist()
    views, spaces = tuple(views[place] for place in order), tuple(spaces[place] for place in order)
    accuracy, nll, nll_calibrated, temperatures = columns[:, order]
    passes = np.array([len(subset) for subset in views])
    return SubsetTable(views, spaces, passes, accuracy, nll, nll_calibrated, temperatures)


Subsets = tuple[tuple[int, ...], ...]


def subsets(views: int, *, up_to: int, most: int = MOST) -> tuple[Subsets, Subsets]:
    """The subsets of one to `up_to` of V views, small ones first; then those that differ as a mean of logits.

    Raises:
        ConfigError: as `search_subsets`.
    """
    if up_to < 1:
        raise ConfigError(f"subset search needs subsets of at least one view, got up to {up_to}")
    up_to = min(up_to, views)
    count = 2 * sum(comb(views, size) for size in range(1, up_to + 1)) - views
    if count > most:
        raise ConfigError(
            f"subset search over {views} views would try {count:,} policies of up to {up_to} views, at most {most:,} "
            f"are allowed: lower the number of views of a subset, or give fewer views"
        )
    every = tuple(subset for size in range(1, up_to + 1) for subset in combinations(range(views), size))
    return every, every[views:]


def subset_means(chosen: Sequence[Sequence[int]], space: Space, *, views: int) -> WeightedMeans:
    """The plain means over the given subsets of V views."""
    weights = np.zeros((len(chosen), views))
    for row, subset in zip(weights, chosen, strict=True):
        row[list(subset)] = 1 / len(subset)
    return WeightedMeans(space, weights)


def _rows(policies: WeightedMeans, logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """Accuracy, NLL, calibrated NLL and temperature of each policy, `[4, P]`."""
    scores = score_linear(policies, logits, labels=labels)
    calibrated = calibrate_linear(policies, logits, labels=labels)
    nll = scores.nll.mean(axis=1, dtype=np.float64)
    return np.stack([scores.correct.mean(axis=1), nll, calibrated.nll, calibrated.temperatures])


def random_subset_null(
    logits: ViewLogits,
    labels: np.ndarray,
    *,
    size: int,
    subsets: int = 200,
    seed: int = 0,
    criterion: Criterion = "nll_calibrated",
    space: Space = "probs",
) -> np.ndarray:
    """How good means over random subsets of views are: what a search has to beat to be worth it.

    Subsets are drawn without replacement and each is used once; where there are no more than asked for, all are used.

    Args:
        logits: [V, N, C], finite: of the split on which the searched policy is judged.
        labels: `[N]` int64 in [0, C).
        size: distinct views of a subset, as many as the searched policy has; 1 to V.
        subsets: how many.
        seed: of the draws.
        criterion: what `scores` are.
        space: what the mean is of.

    Returns:
        `[subsets]` float64, larger is better: the accuracy, or minus the mean NLL in nats, calibrated in-sample.

    Raises:
        ValueError: for a size outside 1 to V, or no subsets.
    """
    if not 1 <= size <= len(logits) or subsets < 1:
        raise ValueError(f"expected a size from 1 to {len(logits)} and at least one subset, got {size} and {subsets}")
    chosen = _drawn(len(logits), size=size, subsets=subsets, seed=seed)
    policies = subset_means(chosen, space, views=len(logits))
    return criterion_scores(policies, logits, labels=labels, criterion=criterion)


def _drawn(views: int, *, size: int, subsets: int, seed: int) -> list[tuple[int, ...]]:
    if comb(views, size) <= subsets:
        return list(combinations(range(views), size))
    stream, chosen = np.random.default_rng(seed), dict[tuple[int, ...], None]()
    while len(chosen) < subsets:
        chosen[tuple(sorted(stream.choice(views, size, replace=False).tolist()))] = None
    return list(chosen)


def percentile(score: float, null: np.ndarray) -> float:
    """The share of `null` scores that lie below `score`, equal ones counted half; in [0, 1], larger is better."""
    return float((null < score).mean() + (null <= score).mean()) / 2
