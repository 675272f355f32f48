"""The temperatures of thousands of policies that are weighted means of the same views, fitted together.

Letters: P policies, V views, N examples, C classes. Memory is bounded as in `harness.policies.odds`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.blas import one_thread
from harness.calibration import newton_temperatures
from harness.policies.linear import score_linear
from harness.policies.logits import ViewLogits
from harness.policies.odds import Block, Mixtures, blocks, chunks, derivatives, exact_log_probs, parts

Criterion = Literal["nll_calibrated", "nll", "accuracy"]
"""What a search looks at."""


@dataclass(frozen=True, eq=False)
class LinearCalibration:
    """Each policy's temperature, and what it gives on the examples it was fitted on.

    Attributes:
        temperatures: `[P]` float64.
        nll: `[P]` float64, mean NLL in nats after the temperature, in-sample.
    """

    temperatures: np.ndarray
    nll: np.ndarray


@one_thread()
def calibrate_linear(
    policies: Mixtures, logits: ViewLogits, *, labels: np.ndarray, start: np.ndarray | None = None
) -> LinearCalibration:
    """The temperature of each policy and its mean NLL: `calibration.fit_temperature` for all policies at once.

    The optimum is found by Newton's method in b = 1/T for all policies together, each step one pass over the logits.
    Temperatures are 1 for policies that put every label strictly first, as there.

    Args:
        policies: P of them.
        logits: [V, N, C], finite.
        labels: `[N]` int64 in [0, C).
        start: `[P]` temperatures to start from, else those of every eighth example; they decide about time only.
    """
    if start is None:
        start = _start(policies, logits, labels)
    temperatures, values = start.astype(np.float64), np.empty(len(policies))
    certain = _separable(policies, logits, labels)
    temperatures[certain] = 1.0
    if len(certain):
        values[certain] = _mean_derivatives(policies, logits, labels, which=certain, b=np.ones(len(certain)))[0]
    fitted = np.setdiff1d(np.arange(len(policies)), certain)
    temperatures[fitted], values[fitted] = newton_temperatures(
        lambda some, b: _mean_derivatives(policies, logits, labels, which=fitted[some], b=b),
        start=temperatures[fitted],
    )
    return LinearCalibration(temperatures, values)


def _start(policies: Mixtures, logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """Temperatures `[P]` fitted on an eighth of the examples, or 1 where these are few."""
    rows = np.arange(0, len(labels), 8)
    if len(rows) < 256:
        return np.ones(len(policies))
    return calibrate_linear(policies, logits.take(rows), labels=labels[rows]).temperatures


def criterion_scores(policies: Mixtures, logits: ViewLogits, *, labels: np.ndarray, criterion: Criterion) -> np.ndarray:
    """How good each policy is, `[P]` float64, larger is better: the accuracy, or minus the mean NLL in nats."""
    if criterion == "nll_calibrated":
        return -calibrate_linear(policies, logits, labels=labels).nll
    scores = score_linear(policies, logits, labels=labels)
    found: np.ndarray = (
        scores.correct.mean(axis=1) if criterion == "accuracy" else -scores.nll.mean(axis=1, dtype=float)
    )
    return found


def _mean_derivatives(
    policies: Mixtures, logits: ViewLogits, labels: np.ndarray, *, which: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """The mean NLL of the policies `which [p]` at `b [p]`, its first and its second derivative in b, `[3, p]`."""
    totals, b_of = np.zeros((3, len(policies))), np.zeros(len(policies))
    b_of[which] = b
    for some, _, odds in chunks(policies, logits, labels, which=which):
        totals[:, some] += derivatives(odds, b_of[some])
    means: np.ndarray = totals[:, which] / len(labels)
    return means


def _separable(policies: Mixtures, logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """The policies that put the label of every example strictly before all other classes, `[p]` int64."""
    left = np.arange(len(policies))
    for block in blocks(logits, labels, space=policies.space, policies=len(policies)):
        kept = [_first_in(block, policies, some, logits=logits, labels=labels) for some in parts(left)]
        left = np.concatenate(kept) if kept else left
        if not len(left):
            break
    return left


def _first_in(
    block: Block, policies: Mixtures, some: np.ndarray, *, logits: ViewLogits, labels: np.ndarray
) -> np.ndarray:
    """Those of the policies `some [p]` that put every label of the block strictly first; in float64 near a tie."""
    against = block.log_odds(policies, some).max(axis=0)
    near = np.abs(against) <= block.tolerance(policies, some)
    first = (near | (against < 0)).all(axis=1)
    for place in np.flatnonzero(first & near.any(axis=1)):
        rows = np.arange(block.rows.start, block.rows.stop)[near[place]]
        log_probs = exact_log_probs(policies, int(some[place]), logits.take(rows))
        of_label = log_probs[np.arange(len(rows)), labels[rows]]
        first[place] = ((log_probs >= of_label[:, None]).sum(axis=1) == 1).all()
    kept: np.ndarray = some[first]
    return kept
