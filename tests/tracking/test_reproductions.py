"""A logged job is fetched as data, and its reproduction is logged beside it: both runs name each other."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from harness.errors import ConfigError, TrackingError
from harness.record_files import read_record
from harness.records import JobRecord
from harness.tracking import jobs
from harness.tracking.reproductions import Verdict, fetch_original, log_reproduction

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]

VERDICT = Verdict("identical", "from nothing", "2025-03-02", "a note", '{"verdict": "identical"}')


@pytest.fixture
def run_id(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> str:
    """A logged job."""
    return jobs.log_job(make_folder(make_job()), uri=uri, experiment="tta")


def test_both_runs_name_each_other(run_id: str, make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """The second run is finished, in the first one's experiment, has a role of its own, no children and the verdict."""
    again = log_reproduction(make_folder(make_job(), "again"), reproduces=run_id, verdict=VERDICT, uri=uri)
    client = MlflowClient(uri)
    first, second = client.get_run(run_id), client.get_run(again)
    assert first.data.tags["tta.reproduced_by"] == again
    assert first.data.tags["tta.reproduced"] == "identical (2025-03-02, from nothing)"
    assert second.data.tags["tta.reproduces"] == run_id
    assert second.data.tags["tta.verdict_of_reproduction"] == "identical"
    assert (second.data.tags["tta.role"], second.info.status) == ("reproduction", "FINISHED")
    assert second.info.experiment_id == first.info.experiment_id
    assert second.data.metrics == first.data.metrics
    assert jobs.children(client, again, experiment_id=first.info.experiment_id) == []
    assert {"record.json", "config.yaml", "reproduction.json"} <= {item.path for item in client.list_artifacts(again)}


def test_a_reproduction_is_no_job(run_id: str, make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """Views of policies and of jobs do not find it, and the same job logged again is still the first run."""
    folder = make_folder(make_job(), "again")
    log_reproduction(folder, reproduces=run_id, verdict=VERDICT, uri=uri)
    client = MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'tta'")
    for role, count in (("job", 1), ("policy", 3), ("reproduction", 1)):
        found = client.search_runs([experiment.experiment_id], f"tags.`tta.role` = '{role}'")
        assert len(found) == count
    assert jobs.log_job(folder, uri=uri, experiment="tta") == run_id


def test_what_is_fetched(run_id: str, make_job: MakeJob, uri: str, tmp_path: Path) -> None:
    """The parent's files, from its own id or a child's; no plots."""
    client = MlflowClient(uri)
    experiment = client.get_run(run_id).info.experiment_id
    child = jobs.children(client, run_id, experiment_id=experiment)[0].info.run_id
    for name in (run_id, child):
        folder = tmp_path / name
        folder.mkdir()
        assert fetch_original(name, uri=uri, folder=folder) == run_id
        assert read_record(folder) == make_job()
        assert {path.name for path in folder.iterdir()} == {"record.json", "config.yaml", "predictions.parquet"}


@pytest.mark.parametrize("name", ["0" * 32, "../../etc", "no run at all", "x" * 300])
def test_a_run_that_is_not_there(name: str, uri: str, tmp_path: Path) -> None:
    """One line that names it and says what is expected."""
    with pytest.raises(ConfigError, match=r"no job .*expected the id of an MLflow run .* or a job's folder"):
        fetch_original(name, uri=uri, folder=tmp_path)


def test_no_database_is_made(tmp_path: Path) -> None:
    """To look for a run leaves nothing behind."""
    with pytest.raises(ConfigError, match="there is no tracking database"):
        fetch_original("0" * 32, uri=f"sqlite:///{tmp_path}/none.db", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_somebody_else(uri: str, tmp_path: Path) -> None:
    """A run without a record is no job; a run whose parent is a path leads nowhere."""
    client = MlflowClient(uri)
    experiment = client.create_experiment("theirs", artifact_location=(tmp_path / "theirs").as_uri())
    stranger = client.create_run(experiment).info.run_id
    with pytest.raises(ConfigError, match=rf"run {stranger} has no artifact record.json: expected a job"):
        fetch_original(stranger, uri=uri, folder=tmp_path)
    client.set_tag(stranger, "mlflow.parentRunId", "../../../etc")
    with pytest.raises(ConfigError, match="names a parent that is no run id"):
        fetch_original(stranger, uri=uri, folder=tmp_path)


def test_a_tracker_that_refuses(
    run_id: str, make_job: MakeJob, make_folder: MakeFolder, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run cannot be tagged: the error is of the tracker, and the second run does not count as finished."""

    def refused(*_: object) -> None:
        raise MlflowException("PERMISSION_DENIED: read only")

    with monkeypatch.context() as patch, pytest.raises(TrackingError, match="read only"):
        patch.setattr(MlflowClient, "set_tag", refused)
        log_reproduction(make_folder(make_job(), "again"), reproduces=run_id, verdict=VERDICT, uri=uri)
    (second,) = MlflowClient(uri).search_runs(["1"], "tags.`tta.role` = 'reproduction'")
    assert second.info.status == "FAILED"
