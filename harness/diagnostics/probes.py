"""Does an aggregation treat each example by itself? One that looks at its neighbours is scored by the order of a split.

Probes run with every job, on a few examples, and tell what they find in sentences; they raise nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.policies.base import Fitted
from harness.policies.logits import ViewLogits

EXAMPLES = 256  # probed at most
ALONE = 32  # of these, given one at a time
TOLERANCE = 1e-9
_VALUES = 1 << 22  # logits probed at most: with 50 views of 1,000 classes there are fewer examples


@dataclass(frozen=True)
class Probe:
    """What was found.

    Attributes:
        findings: one sentence for each promise that is broken.
        examples: how many were probed.
    """

    findings: tuple[str, ...]
    examples: int

    @property
    def passed(self) -> bool:
        """True where nothing was found."""
        return not self.findings


def probe_aggregation(fitted: Fitted, logits: ViewLogits, *, seed: int, duplicates: bool = False) -> Probe:
    """Probe an aggregation on some examples, drawn with the seed.

    - Examples in another order give the same rows in that order, bit for bit, and as many passes.
    - An example alone gives what it gives among the others, within 1e-9 in log-probability (relative where that is
      below minus one), and as many passes.
    - Where `duplicates` is asked for, each view given twice changes nothing within the same tolerance: true of means
      without weights, of maximum and minimum, not of what is fitted to the number of views.
    """
    stream = np.random.default_rng(seed)
    views, total, classes = logits.shape
    examples = min(total, EXAMPLES, max(2, _VALUES // (views * classes)))
    block = logits.take(np.sort(stream.choice(total, examples, replace=False))).stacked()
    order = stream.permutation(examples)
    checks: list[Callable[[], str | None]] = [
        lambda: _order_matters(fitted, block, order),
        lambda: _company_matters(fitted, block, order[:ALONE]),
    ]
    if duplicates:
        checks.append(lambda: _duplicates_matter(fitted, block))
    findings = [finding for check in checks if (finding := _told(check)) is not None]
    return Probe(tuple(findings), examples)


def _told(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:  # an aggregation of another package can fail in any way, and a probe only tells
        return f"the aggregation cannot be probed: {type(error).__name__}: {' '.join(str(error).split())}"


def _order_matters(fitted: Fitted, block: np.ndarray, order: np.ndarray) -> str | None:
    plain, shuffled = fitted(block)[order], fitted(block[:, order])
    if not np.array_equal(plain, shuffled):
        return f"the order of the examples changes the result, by up to {_distance(plain, shuffled):.2g}"
    if not np.array_equal(fitted.passes(block)[order], fitted.passes(block[:, order])):
        return "the order of the examples changes the number of passes"
    return None


def _company_matters(fitted: Fitted, block: np.ndarray, places: np.ndarray) -> str | None:
    together, passes = fitted(block)[places], fitted.passes(block)[places]
    single = [block[:, place : place + 1] for place in places.tolist()]
    far = _distance(together, np.concatenate([fitted(one) for one in single]))
    if not far <= TOLERANCE:
        return f"an example alone gives another result than among others, by up to {far:.2g}"
    if not np.array_equal(passes, np.concatenate([fitted.passes(one) for one in single])):
        return "an example alone needs another number of passes than among others"
    return None


def _duplicates_matter(fitted: Fitted, block: np.ndarray) -> str | None:
    far = _distance(fitted(block), fitted(np.repeat(block, 2, axis=0)))
    return None if far <= TOLERANCE else f"each view given twice changes the result, by up to {far:.2g}"


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, relative where numbers are larger than one; infinite for a different shape or NaN."""
    if one.shape != other.shape or np.isnan(one).any() or np.isnan(other).any():
        return float("inf")
    differ = one != other  # minus infinity is equal to itself, but its difference from itself is no number
    if not differ.any():
        return 0.0
    a, b = one[differ], other[differ]
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(np.abs(a - b) / np.maximum(1.0, np.abs(a)), nan=np.inf, posinf=np.inf).max())
