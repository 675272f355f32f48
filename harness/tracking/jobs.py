"""A job's folder told to MLflow: one parent run, a child run per policy; told again, nothing is doubled.

A run that was wholly logged carries the tag `tta.logged`, written together with its last numbers. What a killed
process left behind without it is deleted and made again.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, Run

from harness.latency_record import LATENCY, read_latency
from harness.record_files import (
    CONFIG,
    ENVIRONMENT,
    FITTED,
    FRAME,
    GALLERY,
    HARDEST,
    LEADERBOARD,
    PAGE,
    PLOTS,
    PREDICTIONS,
    RECORD,
    TABLES,
    read_record,
)
from harness.records import JobRecord, PolicyRecord
from harness.report import shown
from harness.tracking import entries
from harness.tracking.arrangement import arrange
from harness.tracking.artifacts import log_present
from harness.tracking.children import children
from harness.tracking.latency import write_latency_metrics
from harness.tracking.location import Marker, public_uri, write_marker
from harness.tracking.model import ensure_model
from harness.tracking.server import LOCK_SECONDS, ensure_experiment, open_client

FILES = (PAGE, RECORD, CONFIG, ENVIRONMENT, LEADERBOARD, FRAME, PREDICTIONS, FITTED, HARDEST, LATENCY)
FOLDERS = (PLOTS, TABLES, GALLERY)
CHILD_RUNS = 200
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"


def log_job(folder: Path, *, uri: str, experiment: str, child_runs: int = CHILD_RUNS, arranged: bool = True) -> str:
    """Log a finished job's folder and return the parent run's id.

    A job that the experiment already holds is not logged again; one that was broken off is continued. The folder's
    marker says `pending` before and `logged` after.

    Args:
        folder: a job's folder with its `record.json`.
        uri: a tracking URI as `resolve_uri` gives it.
        experiment: the experiment's name; made where it is missing.
        child_runs: so many policies get a run of their own, the best ranked, identity and the chosen one among them.
        arranged: whether the experiment gets saved views and a description.

    Raises:
        DataError: where the folder holds no record.
        TrackingError: where the tracker does not answer or refuses; the folder stays as it is, for later.
    """
    record = read_record(folder)
    marker = Marker("pending", public_uri(uri), experiment)
    write_marker(folder, marker)
    with open_client(uri) as client, FileLock(folder / ".tracking.lock", timeout=LOCK_SECONDS):
        experiment_id = ensure_experiment(client, experiment, uri=uri)
        policies = shown(record, limit=child_runs)
        run_id = _log_job(client, record, policies, folder=folder, experiment_id=experiment_id, uri=uri)
        if arranged:
            arrange(client, experiment_id, dataset=record.dataset.name)
    write_marker(folder, replace(marker, status="logged", run_id=run_id, child_runs=len(policies)))
    return run_id


def _log_job(
    client: MlflowClient,
    record: JobRecord,
    policies: Sequence[PolicyRecord],
    *,
    folder: Path,
    experiment_id: str,
    uri: str,
) -> str:
    """The parent run's id; `policies` are those that get a child run, ranked."""
    found = _find_parent(client, record, experiment_id)
    if found is not None and found.info.status == FINISHED:
        return str(found.info.run_id)
    parent = found or client.create_run(
        experiment_id,
        start_time=entries.milliseconds(record.started),
        tags=entries.job_tags(record, tables=[name for name in (HARDEST,) if (folder / name).is_file()]),
        run_name=record.name,
    )
    run_id = str(parent.info.run_id)
    try:
        model_id = ensure_model(client, record, experiment_id=experiment_id, run_id=run_id, uri=uri)
        models = [LoggedModelInput(model_id)] if model_id else []
        _log_parent(client, parent, record, models=models, child_runs=len(policies))
        _log_children(client, record, policies, experiment_id=experiment_id, parent_run_id=run_id, models=models)
        log_present(client, run_id, folder, (*FILES, *FOLDERS))
        client.log_text(run_id, entries.table_json(record), entries.TABLE)
        latency = read_latency(folder)
        if latency is not None:
            write_latency_metrics(client, run_id, latency)
    except BaseException as error:
        status = FAILED if isinstance(error, Exception) else KILLED
        _break_off(client, run_id, experiment_id=experiment_id, status=status)
        raise
    client.set_terminated(run_id, FINISHED, end_time=entries.milliseconds(record.finished))
    return run_id


def _break_off(client: MlflowClient, run_id: str, *, experiment_id: str, status: str) -> None:
    """Leave nothing RUNNING, as far as the tracker still answers: the first error is the one to report."""
    with contextlib.suppress(Exception):
        for run in children(client, run_id, experiment_id=experiment_id):
            if run.info.status == RUNNING:
                client.set_terminated(run.info.run_id, status)
        client.set_terminated(run_id, status)


def _find_parent(client: MlflowClient, record: JobRecord, experiment_id: str) -> Run | None:
    """The job's run, a finished one before any other."""
    query = f"tags.`tta.fingerprint` = '{record.job_id}' and tags.`tta.role` = 'job'"
    runs = list(client.search_runs([experiment_id], filter_string=query, max_results=100))
    return next((run for run in runs if run.info.status == FINISHED), runs[0] if runs else None)


def _log_parent(
    client: MlflowClient, parent: Run, record: JobRecord, *, models: list[LoggedModelInput], child_runs: int
) -> None:
    if entries.LOGGED in parent.data.tags:
        return
    run_id = parent.info.run_id
    # The UI's table shows the first one; 75 corrupted copies of test would bury the others.
    splits = sorted((name for name in record.dataset.splits if "@" not in name), key=lambda name: name != "test")
    client.log_inputs(run_id, entries.dataset_inputs(record, splits), models)
    # A broken-off attempt may have logged some of the numbers; the same number twice would show as a curve.
    present = set(parent.data.metrics)
    metrics = [metric for metric in entries.job_metrics(record) if metric.key not in present]
    tags = entries.run_tags(entries.finished_tags(record, run_id=run_id, child_runs=child_runs))
    client.log_batch(run_id, metrics=metrics, params=entries.job_params(record), tags=tags)


def _log_children(
    client: MlflowClient,
    record: JobRecord,
    policies: Sequence[PolicyRecord],
    *,
    experiment_id: str,
    parent_run_id: str,
    models: list[LoggedModelInput],
) -> None:
    done = _keep_complete(client, record, experiment_id=experiment_id, parent_run_id=parent_run_id)
    # The UI lists the newest run first: each is a millisecond younger than the one that ranks below it.
    for offset, policy in enumerate(reversed(policies)):
        if policy.name not in done:
            run = client.create_run(
                experiment_id,
                start_time=entries.milliseconds(record.started) + offset,
                tags=entries.policy_tags(record, parent_run_id=parent_run_id),
                run_name=policy.name,
            )
            _log_child(client, run.info.run_id, record, policy=policy, models=models)


def _log_child(
    client: MlflowClient, run_id: str, record: JobRecord, *, policy: PolicyRecord, models: list[LoggedModelInput]
) -> None:
    client.log_inputs(run_id, entries.dataset_inputs(record, ["test"]), models)
    client.log_batch(
        run_id,
        metrics=entries.policy_metrics(record, policy),
        params=entries.policy_params(record, policy),
        tags=entries.run_tags({entries.LOGGED: "1"}),
    )
    client.set_terminated(run_id, FINISHED, end_time=entries.milliseconds(record.finished))


def _keep_complete(client: MlflowClient, record: JobRecord, *, experiment_id: str, parent_run_id: str) -> set[str]:
    """The policies whose child runs are complete; the others' runs are deleted."""
    done: set[str] = set()
    for run in children(client, parent_run_id, experiment_id=experiment_id):
        if entries.LOGGED not in run.data.tags:
            client.delete_run(run.info.run_id)
            continue
        done.add(str(run.info.run_name))
        if run.info.status != FINISHED:
            client.set_terminated(run.info.run_id, FINISHED, end_time=entries.milliseconds(record.finished))
    return done
