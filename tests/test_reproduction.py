"""A run again from what the tracker holds, and the verdict on it."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records import JobRecord
from harness.reproduction import TOLERANCE, compare


def changed(job: JobRecord, name: str, by: float) -> JobRecord:
    """The record with one metric of its last policy moved."""
    last = job.policies[-1]
    moved = replace(last, metrics={**last.metrics, name: last.metrics[name] + by})
    return replace(job, policies=(*job.policies[:-1], moved))


def test_same_numbers_are_identical(make_job: Callable[..., JobRecord]) -> None:
    """Equal metrics are identical, whatever the times and costs of the two runs."""
    job = make_job()
    again = replace(job, started="2030-01-01T00:00:00+00:00", job_metrics={"train/seconds": 9.0})
    found = compare(job, again)
    assert (found.verdict, found.metrics, found.facts) == ("identical", (), ())
    assert found.compared == sum(len(policy.metrics) + 1 for policy in job.policies)


@pytest.mark.parametrize(
    ("by", "verdict"), [(TOLERANCE / 2, "within tolerance"), (-TOLERANCE / 2, "within tolerance"), (1e-3, "different")]
)
def test_size_of_a_difference_decides(make_job: Callable[..., JobRecord], by: float, verdict: str) -> None:
    """A difference within the tolerance is said to be one; the line names the policy, the metric and both values."""
    job = make_job()
    found = compare(job, changed(job, "test/nll", by))
    assert found.verdict == verdict
    assert str(found.metrics[0]).startswith(f"{job.policies[-1].name} test/nll: {job.policies[-1].metrics['test/nll']}")


def test_missing_numbers_are_different(make_job: Callable[..., JobRecord]) -> None:
    """A policy, a metric or a finite number on one side only is a difference; NaN on both sides is none."""
    job = make_job()
    assert compare(job, replace(job, policies=job.policies[:-1])).verdict == "different"
    assert compare(job, changed(job, "test/ece", float("nan"))).verdict == "different"
    nan = changed(job, "test/ece", float("nan"))
    assert compare(nan, nan).verdict == "identical"


def test_largest_difference_comes_first(make_job: Callable[..., JobRecord]) -> None:
    """The list is sorted, so that its head says how bad it is."""
    job = make_job()
    found = compare(job, changed(changed(job, "test/nll", 0.1), "test/ece", -0.5))
    assert [item.where.split()[-1] for item in found.metrics] == ["test/ece", "test/nll"]


def test_facts_explain_and_do_not_decide(make_job: Callable[..., JobRecord]) -> None:
    """Another library version is listed, and the verdict stays with the numbers."""
    job = make_job()
    found = compare(job, replace(job, versions={"numpy": "3"}))
    assert (found.verdict, [str(fact) for fact in found.facts]) == ("identical", ["numpy: 2 -> 3"])


@pytest.fixture
def run_id(harness: Any, tiny: tuple[str, ...], database: Path) -> str:
    """A tiny job's run in the tracker."""
    answer = harness("run", *tiny, "tta=hflip")
    assert answer.code == 0, answer.err
    assert database.exists()
    found = re.search(r"run ([0-9a-f]{32})", answer.out)
    assert found
    return found[1]


def test_reproduce(harness: Any, run_id: str) -> None:
    """From the store nothing is trained or run, with --fresh all of it; both are identical, and neither leaves a trace.

    A record that says something else is found out: exit code 5, and the metric is named.
    """
    before = sorted(Path("results").rglob("*"))
    stored = harness("reproduce", run_id)
    assert (stored.code, stored.trained, stored.computed) == (0, 0, 0)
    assert "verdict: identical" in stored.out
    fresh = harness("reproduce", run_id, "--fresh")
    assert (fresh.code, fresh.trained, fresh.computed) == (0, 1, 4)
    assert "verdict: identical" in fresh.out
    assert sorted(Path("results").rglob("*")) == before
    (logged,) = Path("mlartifacts").rglob("record.json")
    text = logged.read_text()
    value = re.search(r'"test/nll": ([0-9.]+)', text)
    assert value
    logged.write_text(text.replace(value[0], f'"test/nll": {float(value[1]) + 0.01}', 1))
    different = harness("reproduce", run_id)
    assert (different.code, "verdict: different" in different.out) == (5, True)
    assert "identity test/nll: " in different.out


def test_reproduce_what_is_not_there(harness: Any, database: Path) -> None:
    """An unknown run is one line that holds its id."""
    answer = harness("reproduce", "0" * 32)
    assert (answer.code, "0" * 32 in answer.error) == (4, True)
    assert database.exists()
