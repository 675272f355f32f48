"""Values that the tests of several rooms share."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from harness.records import (
    DatasetRecord,
    JobRecord,
    ModelRecord,
    PolicyRecord,
    Reliability,
    SplitRecord,
)
from harness.selection import Recommendation

MakeJob = Callable[..., JobRecord]


def _policy(name: str, *, gain: float, passes: int, p_value: float) -> PolicyRecord:
    metrics = {
        "test/accuracy": 0.88 + gain,
        "test/nll": 0.4 - gain,
        "test/nll_calibrated": 0.35 - gain,
        "test/brier": 0.17,
        "test/ece": 0.03,
        "validation/nll_calibrated": 0.36 - gain,
        "cost/passes": float(passes),
    }
    if name != "identity":
        metrics |= {
            "gain/accuracy": gain,
            "gain/accuracy_lower": gain - 0.01,
            "gain/accuracy_upper": gain + 0.01,
            "gain/p_value_adjusted": p_value,
            "gain/corrected": 31.0,
            "gain/corrupted": 12.0,
        }
    views = tuple(f"view{index}" for index in range(passes))
    return PolicyRecord(name, "mean_probs", views, views, passes, metrics, 1.25)


def _job(gains: Sequence[float] = (0.02, -0.03), *, chosen: int = 1, **changes: object) -> JobRecord:
    names = ["identity", *(f"policy_{index}" for index in range(1, len(gains) + 1))]
    policies = [_policy("identity", gain=0.0, passes=1, p_value=1.0)]
    policies += [
        _policy(name, gain=gain, passes=index + 2, p_value=0.0001 if abs(gain) > 0.015 else 0.5)
        for index, (name, gain) in enumerate(zip(names[1:], gains, strict=True))
    ]
    bins = Reliability((0.0, 0.5, 1.0), (0.3, 0.9), (0.2, 0.8), (40, 160))
    splits = {"train": SplitRecord("1" * 64, 800), "validation": SplitRecord("2" * 64, 100)}
    record = JobRecord(
        job_id="ab" * 32,
        name="digits-net-0",
        question="Does it pay – and how much?",
        started="2025-03-01T12:00:00+00:00",
        finished="2025-03-01T12:01:00+00:00",
        dataset=DatasetRecord("digits", ("0", "1"), {**splits, "test": SplitRecord("3" * 64, 200)}, ("a note",)),
        model=ModelRecord("net", "small_cnn", "cd" * 32, None, "here", (8, 8, 1), 2, "logits", "x / 16", True, None),
        seed=0,
        policies=tuple(policies),
        recommendation=Recommendation(names[chosen], "ship", "It gains.", "A rule.", "nll_calibrated"),
        command="harness run dataset=digits",
        params={"dataset": "digits", "model": "net", "seed": 0, "rate": 1e-3},
        history={"loss": (1.0, 0.5), "val_loss": (1.1, 0.7)},
        job_metrics={"train/seconds": 2.5, "cost/passes_computed": 3.0},
        reliability=dict.fromkeys(("identity", names[chosen]), bins),
        warnings=("careful",),
        versions={"numpy": "2"},
        study="first",
        sweep="monday",
        commit="e" * 40,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


@pytest.fixture
def make_job() -> MakeJob:
    """Makes a job's record: identity and one policy per gain, with every optional field filled."""
    return _job
