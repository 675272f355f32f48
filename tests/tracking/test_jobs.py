"""A job's folder in MLflow: complete, once, and the same whatever was interrupted."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from harness.errors import TrackingError
from harness.record_files import read_record
from harness.records import JobRecord
from harness.report import ranked
from harness.tracking import jobs, location
from harness.tracking.reading import fetch_job

# MLflow's own use of SQLAlchemy; it is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]


def runs_of(uri: str, experiment: str = "tta") -> tuple[list[Run], list[Run]]:
    """The parent runs and the child runs that are not deleted."""
    client = MlflowClient(uri, registry_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], run_view_type=ViewType.ACTIVE_ONLY, max_results=1000)
    return ([run for run in runs if run.data.tags["tta.role"] == "job"],
            [run for run in runs if run.data.tags["tta.role"] == "policy"])  # fmt: skip


def picture(uri: str) -> list[object]:
    """All that a reader sees of the runs, without ids."""
    client = MlflowClient(uri, registry_uri=uri)
    seen = []
    for run in [run for group in runs_of(uri) for run in group]:
        tags = {
            name: value.replace(run.info.run_id, "RUN")
            for name, value in run.data.tags.items()
            if name != "mlflow.parentRunId"
        }
        histories = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        inputs = sorted((item.tags[0].value, item.dataset.digest) for item in run.inputs.dataset_inputs)
        files = sorted(item.path for item in client.list_artifacts(run.info.run_id))
        times = (run.info.start_time, run.info.end_time)
        seen.append([run.info.run_name, run.info.status, times, tags, run.data.params, histories, inputs, files])
    return sorted(seen, key=lambda item: str(item[0]))


def test_parent_and_children_hold_what_the_contract_names(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """One parent, one child per policy, with roles, params repeated, metrics, true times, artifacts and data sets."""
    record = make_job()
    run_id = jobs.log_job(make_folder(record), uri=uri, experiment="tta")
    (parent,), children = runs_of(uri)
    assert parent.info.run_id == run_id
    assert {run.info.run_name for run in children} == {"identity", "policy_1", "policy_2"}
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert (parent.info.end_time - parent.info.start_time) == 60_000
    shared = {"tta.fingerprint": record.job_id, "tta.model_digest": "cd" * 32, "tta.schema": str(record.schema),
              "tta.sweep": "monday", "tta.study": "first", "mlflow.source.git.commit": "e" * 40}  # fmt: skip
    for run in [parent, *children]:
        assert shared.items() <= run.data.tags.items()
        assert {"dataset": "digits", "model": "net", "seed": "0", "rate": "0.001"}.items() <= run.data.params.items()
    child = next(run for run in children if run.info.run_name == "policy_1")
    assert child.data.tags["mlflow.parentRunId"] == run_id
    assert child.data.params["aggregation"] == "mean_probs"
    assert child.data.params["views"] == "view0 view1"
    assert child.data.metrics == pytest.approx(dict(record.policies[1].metrics), rel=1e-5)
    assert [(item.dataset.name, item.dataset.digest, item.tags[0].value) for item in child.inputs.dataset_inputs] == [
        ("digits", "3" * 12, "test")
    ]
    client = MlflowClient(uri, registry_uri=uri)
    assert {item.path for item in client.list_artifacts(run_id)} == {
        "record.json", "config.yaml", "environment.txt", "leaderboard.csv", "predictions.parquet", "plots",
        "leaderboard.json"}  # fmt: skip
    curve = [(point.step, point.value) for point in client.get_metric_history(run_id, "train/loss")]
    assert curve == [(1, 1.0), (2, 0.5)]
    assert parent.data.tags["mlflow.note.content"].startswith("**Ship policy_1**")
    table = json.loads(Path(client.download_artifacts(run_id, "leaderboard.json")).read_text())
    assert [row[0] for row in table["data"]] == [policy.name for policy in ranked(record)]


def test_tables_are_named_where_the_evaluation_view_looks(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """The leaderboard always, the hardest images where the folder has them; page and gallery are artifacts."""
    bare, full = make_folder(make_job(), "bare"), make_folder(make_job(job_id="ef" * 32), "full")
    (full / "hardest_images.json").write_text('{"columns": [], "data": []}')
    (full / "report.html").write_text("<p>")
    (full / "gallery").mkdir()
    (full / "gallery" / "gallery.json").write_text("{}")
    client = MlflowClient(uri, registry_uri=uri)
    tables = {}
    for folder in (bare, full):
        run = client.get_run(jobs.log_job(folder, uri=uri, experiment="tta"))
        tables[folder.name] = [one["path"] for one in json.loads(run.data.tags["mlflow.loggedArtifacts"])]
        logged = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert ({"hardest_images.json", "report.html", "gallery"} <= logged) == (folder is full)
    assert tables == {"bare": ["leaderboard.json"], "full": ["leaderboard.json", "hardest_images.json"]}


def test_a_job_that_is_there_is_not_logged_again(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """The same run comes back and nothing is added."""
    folder = make_folder(make_job())
    first = jobs.log_job(folder, uri=uri, experiment="tta")
    before = picture(uri)
    assert jobs.log_job(folder, uri=uri, experiment="tta") == first
    assert picture(uri) == before
    assert location.read_marker(folder) == location.Marker("logged", uri, "tta", first, child_runs=3)


@pytest.mark.parametrize("method", ["create_run", "log_inputs", "log_batch", "set_terminated", "log_artifact"])
@pytest.mark.parametrize("calls", [1, 3])
def test_what_breaks_off_is_continued_without_duplicates(
    make_job: MakeJob,
    make_folder: MakeFolder,
    uri: str,
    empty_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    calls: int,
) -> None:
    """Interrupted after any call, and issued again: what a reader sees equals an uninterrupted logging."""
    folder = make_folder(make_job())
    original, count = getattr(MlflowClient, method), 0

    def breaking(self: MlflowClient, *args: object, **options: object) -> object:
        nonlocal count
        count += 1
        result = original(self, *args, **options)
        if count == calls:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, method, breaking)
        jobs.log_job(folder, uri=uri, experiment="tta")
    if (method, calls) != ("create_run", 1):  # There nobody has heard of the run yet.
        assert "RUNNING" not in {run.info.status for group in runs_of(uri) for run in group}
    assert location.pending_jobs(tmp_path / "results") == [folder]
    jobs.log_job(folder, uri=uri, experiment="tta")
    interrupted = picture(uri)
    whole = f"sqlite:///{shutil.copyfile(empty_store, tmp_path / 'whole.db')}"
    jobs.log_job(folder, uri=whole, experiment="tta")
    assert interrupted == picture(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from mlflow import MlflowClient
from harness.tracking import jobs
calls, original = 0, MlflowClient.log_batch
def dying(self, *args, **options):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *args, **options)
MlflowClient.log_batch = dying
jobs.log_job(Path(sys.argv[1]), uri=sys.argv[2], experiment="tta")
"""


def test_kill_9_while_logging_leaves_nothing_that_stays(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """After a kill the same call completes the set: one parent, one child a policy, none RUNNING."""
    folder = make_folder(make_job())
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder), uri], check=False, env={**os.environ})
    assert ended.returncode == -signal.SIGKILL
    assert "RUNNING" in {run.info.status for group in runs_of(uri) for run in group}
    jobs.log_job(folder, uri=uri, experiment="tta")
    (parent,), children = runs_of(uri)
    assert sorted(run.info.run_name for run in children) == ["identity", "policy_1", "policy_2"]
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}


def test_numbers_that_are_not_finite_never_reach_mlflow(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """They stay in the record; the tracker's charts are spared."""
    record = make_job(history={"loss": (1.0, math.nan)}, job_metrics={"train/seconds": math.inf})
    worst = replace(record.policies[2], metrics={**record.policies[2].metrics, "test/nll": math.inf})
    jobs.log_job(make_folder(replace(record, policies=(*record.policies[:2], worst))), uri=uri, experiment="tta")
    (parent,), children = runs_of(uri)
    numbers = [value for run in [parent, *children] for value in run.data.metrics.values()]
    assert max(abs(value) for value in numbers) < 1e6
    assert "train/seconds" not in parent.data.metrics
    assert "test/nll" not in next(run for run in children if run.info.run_name == "policy_2").data.metrics


def test_an_unreachable_server_costs_nothing_but_a_line(make_job: MakeJob, make_folder: MakeFolder) -> None:
    """The folder stays whole and is marked for later."""
    folder = make_folder(make_job())
    with pytest.raises(TrackingError, match="no tracking server answers"):
        jobs.log_job(folder, uri="http://127.0.0.1:9", experiment="tta")
    assert location.read_marker(folder) == location.Marker("pending", "http://127.0.0.1:9", "tta")


def test_a_deleted_experiment_is_named(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """MLflow keeps the name of a deleted experiment: the line says what would do."""
    client = MlflowClient(uri, registry_uri=uri)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(TrackingError, match="experiment 'gone' was deleted"):
        jobs.log_job(make_folder(make_job()), uri=uri, experiment="gone")


def test_no_mlruns_folder_appears(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Artifacts lie in `mlartifacts` beside the database, wherever one works."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    jobs.log_job(make_folder(make_job()), uri=uri, experiment="tta")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "mlruns").exists()
    assert len(list((tmp_path / "mlartifacts").rglob("record.json"))) == 1


@pytest.mark.slow
def test_four_processes_may_open_an_empty_store_at_once(
    make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """One makes and migrates it, the others wait; every job arrives in one experiment."""
    code = (
        "import sys; from pathlib import Path; from harness.tracking.jobs import log_job; "
        "log_job(Path(sys.argv[1]), uri=sys.argv[2], experiment='tta')"
    )
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    folders = [make_folder(make_job(job_id=f"{index:064d}", name=f"job{index}"), f"job{index}") for index in range(4)]
    processes = [subprocess.Popen([sys.executable, "-c", code, str(folder), fresh]) for folder in folders]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    parents, children = runs_of(fresh)
    assert (len(parents), len(children)) == (4, 12)


@pytest.mark.parametrize(("limit", "expected"), [(5, 5), (2, 2), (0, 2), (700, 31)])
def test_thousands_of_policies_stay_browsable(
    make_job: MakeJob,
    make_folder: MakeFolder,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    expected: int,
) -> None:
    """At most so many child runs, four calls each: the best, identity and the chosen one; all rows in the table."""
    record = make_job(gains=[0.001 * number for number in range(1, 31)], chosen=7)
    calls: list[str] = []
    for method in ("create_run", "log_inputs", "log_batch", "set_terminated"):
        original = getattr(MlflowClient, method)

        def counted(
            self: MlflowClient, *args: object, _name: str = method, _call: Any = original, **options: object
        ) -> Any:
            calls.append(_name)
            return _call(self, *args, **options)

        monkeypatch.setattr(MlflowClient, method, counted)
    folder = make_folder(record)
    run_id = jobs.log_job(folder, uri=uri, experiment="tta", child_runs=limit)
    assert len(calls) == 4 * (1 + expected)
    (parent,), children = runs_of(uri)
    names = {run.info.run_name for run in children}
    assert len(children) == len(names) == expected
    assert {"identity", "policy_7"} <= names
    assert names - {"identity", "policy_7"} <= {policy.name for policy in ranked(record)[:expected]}
    marker = location.read_marker(folder)
    assert marker is not None and marker.child_runs == expected
    table = json.loads(Path(MlflowClient(uri).download_artifacts(run_id, "leaderboard.json")).read_text())
    assert len(table["data"]) == 31
    said = f"{expected} of them with a run of their own" in parent.data.tags["mlflow.note.content"]
    assert said == (expected < 31)


def test_a_limit_changes_neither_job_nor_what_is_read_back(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, tmp_path: Path
) -> None:
    """The job is found under another limit and not logged again; its record has every policy."""
    record = make_job(gains=[0.001 * number for number in range(1, 31)])
    folder = make_folder(record)
    first = jobs.log_job(folder, uri=uri, experiment="tta", child_runs=3)
    assert jobs.log_job(folder, uri=uri, experiment="tta", child_runs=300) == first
    assert len(runs_of(uri)[1]) == 3
    assert read_record(fetch_job(first, uri=uri, folder=tmp_path / "fetched")) == record


def test_the_note_names_the_commands_that_start_from_its_own_run(
    make_job: MakeJob, make_folder: MakeFolder, uri: str
) -> None:
    """The recommendation first; the run's id and the policy's name, quoted for the shell, at the end."""
    record = make_job()
    odd = replace(record.policies[1], name="gps(5)")
    record = replace(
        record,
        policies=(record.policies[0], odd, record.policies[2]),
        recommendation=replace(record.recommendation, policy="gps(5)"),
    )
    run_id = jobs.log_job(make_folder(record), uri=uri, experiment="tta")
    note = runs_of(uri)[0][0].data.tags["mlflow.note.content"]
    assert note.startswith("**Ship gps(5)**")
    assert f"harness reproduce {run_id}\n" in note
    assert f"harness export {run_id} --policy 'gps(5)' --format keras --output 'gps(5).keras'\n" in note
