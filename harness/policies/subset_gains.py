"""What the policies of a subset search gain over a single view on test, example by example, all of them at once.

Letters: S policies, N examples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.intervals import paired_intervals
from harness.policies.linear import linear_nll, score_linear
from harness.policies.logits import ViewLogits
from harness.policies.subsets import SubsetTable, subset_means
from harness.policies.weighted import Space
from harness.significance import mcnemar_exact
from harness.types import Estimate

_HELD = 1 << 24  # numbers of policies x examples that are held at once


@dataclass(frozen=True, eq=False)
class SubsetGains:
    """The policies of a table on test, in its order. Gains are over the reference, positive where the policy is better.

    Attributes:
        accuracy: `[S]` float64 in [0, 1].
        nll_calibrated: `[S]` float64, in nats, each after its own temperature from validation.
        accuracy_gains, nll_calibrated_gains: one a policy, over the same resamples.
        corrected: `[S]` int64, examples that the reference gets wrong and the policy right.
        corrupted: `[S]` int64, the reverse.
        p_values: `[S]` float64, exact two-sided McNemar p, not corrected for how many were tried.
    """

    accuracy: np.ndarray
    nll_calibrated: np.ndarray
    accuracy_gains: tuple[Estimate, ...]
    nll_calibrated_gains: tuple[Estimate, ...]
    corrected: np.ndarray
    corrupted: np.ndarray
    p_values: np.ndarray


def subset_gains(
    table: SubsetTable,
    logits: ViewLogits,
    labels: np.ndarray,
    *,
    reference: int = 0,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> SubsetGains:
    """Every policy of `table` on test, compared with the single view at place `reference`.

    Args:
        table: of the search on validation, over the same views.
        logits: [V, N, C] of test, finite.
        labels: `[N]` int64 in [0, C).
        reference: the view that stands for no augmentation.
        resamples: of the paired bootstrap.
        seed: of the same.
        level: of the intervals.
    """
    first = table.views.index((reference,))
    ((_, correct, nll),) = _scored(table, logits, labels, which=np.array([first]))
    columns, gains = np.empty((4, len(table))), np.empty((2, len(table)), object)
    for which, right, values in _scored(table, logits, labels, which=np.arange(len(table))):
        columns[:, which] = [
            right.mean(axis=1),
            values.mean(axis=1, dtype=np.float64),
            (right & ~correct).sum(axis=1),
            (~right & correct).sum(axis=1),
        ]
        changed = (right.astype(np.int8) - correct.astype(np.int8)).T
        gains[0, which] = paired_intervals(changed, resamples=resamples, seed=seed, level=level)
        gains[1, which] = paired_intervals((nll - values).T, resamples=resamples, seed=seed, level=level)
    accuracy, nll_calibrated = columns[:2]
    corrected, corrupted = columns[2:].astype(np.int64)
    p_values = mcnemar_exact(corrected, corrupted)
    return SubsetGains(
        accuracy, nll_calibrated, tuple(gains[0].tolist()), tuple(gains[1].tolist()), corrected, corrupted, p_values
    )


def _scored(
    table: SubsetTable, logits: ViewLogits, labels: np.ndarray, *, which: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The policies `which`, some at a time: which `[s]`, right or wrong `[s, N]`, and calibrated NLL `[s, N]`."""
    step = max(1, _HELD // len(labels))
    spaces: tuple[Space, ...] = ("probs", "logits")
    for space in spaces:
        places = which[[table.spaces[place] == space for place in which]]
        for start in range(0, len(places), step):
            some = places[start : start + step]
            policies = subset_means([table.views[place] for place in some], space, views=len(logits))
            correct = score_linear(policies, logits, labels=labels).correct
            yield some, correct, linear_nll(policies, logits, labels=labels, temperatures=table.temperatures[some])
