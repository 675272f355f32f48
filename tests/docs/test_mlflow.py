"""The contract with MLflow names everything that is logged."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.records import JobRecord
from harness.tracking import entries, jobs

TEXT = (Path(__file__).parent.parent.parent / "docs" / "reference" / "mlflow.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([\w./-]+)`", TEXT))


@pytest.fixture
def job(make_job: Callable[..., JobRecord]) -> JobRecord:
    """A record with every optional field filled."""
    return make_job()


def test_every_tag_is_named(job: JobRecord) -> None:
    """Those of both kinds of run, and the mark of a complete one."""
    tags = {*entries.job_tags(job), *entries.policy_tags(job, parent_run_id="x"), entries.LOGGED}
    assert tags - NAMED == set()


def test_every_param_is_named(job: JobRecord) -> None:
    """The harness's own; those of the job's record are given by `job_record`."""
    params = {*entries.job_params(job), *entries.policy_params(job, job.policies[1])}
    assert {param.key for param in params} - NAMED - {"rate"} == set()  # a param of the record made up for tests


def test_every_prefix_and_file_is_named(job: JobRecord) -> None:
    """Metrics by what stands before the slash; artifacts by file or folder."""
    metrics = [
        *entries.job_metrics(job),
        *(metric for one in job.policies for metric in entries.policy_metrics(job, one)),
    ]
    assert {f"{metric.key.split('/')[0]}/" for metric in metrics} - NAMED == set()
    assert {*jobs.FILES, *(f"{folder}/" for folder in jobs.FOLDERS), entries.TABLE} - NAMED == set()
