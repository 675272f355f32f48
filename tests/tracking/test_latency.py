"""A measurement of latency reaches the runs, whether it comes after the job was logged or before."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.latency_record import LATENCY, write_latency
from harness.records import JobRecord
from harness.tracking import jobs
from harness.tracking.children import children
from harness.tracking.latency import log_latency
from tests.test_latency_record import MEASURED

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]


def costs(uri: str, run_id: str) -> dict[str, dict[str, float]]:
    """What each policy's run says of latency."""
    client = MlflowClient(uri, registry_uri=uri)
    runs = children(client, run_id, experiment_id=client.get_run(run_id).info.experiment_id)
    return {
        run.info.run_name: {
            name: value for name, value in run.data.metrics.items() if "latency" in name or "per_second" in name
        }
        for run in runs
    }


EXPECTED = {
    "identity": {
        "cost/latency_ms_p50": 1.0,
        "cost/latency_ms_p90": 1.2,
        "cost/latency_ms_p99": 2.0,
        "cost/latency_ratio": 1.0,
        "cost/images_per_second": 8000.0,
        "cost/latency_ratio_serving": 1.0,
    },
    "policy_1": {},
    "policy_2": {},
}
"""`MEASURED` holds identity alone and in batches, and a policy that this job does not have."""


def test_a_job_that_was_logged_before(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """The numbers join the policies' runs, and the file the job's."""
    folder = make_folder(make_job())
    assert log_latency(folder, uri=uri, experiment="tta") is None
    run_id = jobs.log_job(folder, uri=uri, experiment="tta")
    assert log_latency(folder, uri=uri, experiment="tta") is None
    write_latency(folder, MEASURED)
    assert log_latency(folder, uri=uri, experiment="tta") == run_id
    assert costs(uri, run_id) == EXPECTED
    files = {item.path for item in MlflowClient(uri, registry_uri=uri).list_artifacts(run_id)}
    assert LATENCY in files


def test_a_job_that_is_logged_afterwards(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """A tracker that was away hears of the latency with the rest."""
    folder = make_folder(make_job())
    write_latency(folder, MEASURED)
    run_id = jobs.log_job(folder, uri=uri, experiment="tta")
    assert costs(uri, run_id) == EXPECTED
