"""Two records of one job compared: identical, within tolerance, or different, and in what."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.records import JobRecord, PolicyRecord

# Float rounding of another machine, thread count or TensorFlow build moves a mean NLL by less than this; one image that
# changes sides moves an accuracy by 1/N, which is more for any N below 100,000.
TOLERANCE = 1e-5

Verdict = Literal["identical", "within tolerance", "different"]


@dataclass(frozen=True)
class Difference:
    """One number, or one fact, that is not the same: where, before, after."""

    where: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.where}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Comparison:
    """The verdict on a reproduction.

    Attributes:
        verdict: `identical` when every metric has the same bits, `within tolerance` when none is off by more than
            `TOLERANCE`, else `different`.
        metrics: metrics that differ, the largest difference first.
        facts: digests and versions that differ; they explain and do not decide.
        compared: how many metrics were compared.
    """

    verdict: Verdict
    metrics: tuple[Difference, ...]
    facts: tuple[Difference, ...]
    compared: int


def compare(before: JobRecord, after: JobRecord) -> Comparison:
    """Compares every metric of every policy, and what they rest on."""
    old = {policy.name: policy for policy in before.policies}
    new = {policy.name: policy for policy in after.policies}
    off: list[tuple[float, Difference]] = [
        (math.inf, Difference(f"policy {name}", _there(name in old), _there(name in new)))
        for name in sorted(old.keys() ^ new.keys())
    ]
    compared = 0
    for name in sorted(old.keys() & new.keys()):
        compared += len(_numbers(old[name]).keys() | _numbers(new[name]).keys())
        off.extend(_metrics_off(old[name], new[name]))
    off.sort(key=lambda item: -item[0])
    worst = off[0][0] if off else 0.0
    verdict: Verdict = "identical" if not off else "within tolerance" if worst <= TOLERANCE else "different"
    return Comparison(verdict, tuple(item for _, item in off), tuple(_facts(before, after)), compared)


def _numbers(policy: PolicyRecord) -> dict[str, float]:
    """Every number of a policy."""
    return {**policy.metrics, "temperature": math.nan if policy.temperature is None else policy.temperature}


def _metrics_off(old: PolicyRecord, new: PolicyRecord) -> list[tuple[float, Difference]]:
    found, before, after = [], _numbers(old), _numbers(new)
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name, math.nan), after.get(name, math.nan)
        if a == b or (math.isnan(a) and math.isnan(b)):
            continue
        size = math.inf if math.isnan(a) or math.isnan(b) else abs(a - b)
        found.append((size, Difference(f"{old.name} {name}", repr(a), repr(b))))
    return found


def _facts(before: JobRecord, after: JobRecord) -> list[Difference]:
    pairs = [("model digest", before.model.digest[:12], after.model.digest[:12])]
    for name in sorted(before.dataset.splits.keys() | after.dataset.splits.keys()):
        old, new = before.dataset.splits.get(name), after.dataset.splits.get(name)
        pairs.append((f"{name} digest", old.digest[:12] if old else "absent", new.digest[:12] if new else "absent"))
    for name in sorted(before.versions.keys() | after.versions.keys()):
        pairs.append((name, before.versions.get(name, "absent"), after.versions.get(name, "absent")))
    pairs.append(("git commit", before.commit or "unknown", after.commit or "unknown"))
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def _there(present: bool) -> str:
    return "present" if present else "absent"
