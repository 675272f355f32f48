"""What MLflow holds, read back as data: a logged job's files, a logged model's file."""

import re
from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient

from harness.errors import ConfigError, ModelError, TrackingError
from harness.record_files import RECORD
from harness.tracking.children import all_runs
from harness.tracking.location import sqlite_file
from harness.tracking.server import open_client

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def parent_run(run_id: str, *, uri: str) -> str:
    """The id of a job's parent run, from its own id or that of one of its child runs.

    Looking does not make a database.

    Raises:
        TrackingError: where the tracker does not answer or has no such run.
        ConfigError: as `parent_of`.
    """
    database = sqlite_file(uri)
    if database is not None and not database.exists():
        raise TrackingError(f"there is no tracking database {database}")
    with open_client(uri) as client:
        return parent_of(client, run_id)


def parent_of(client: MlflowClient, run_id: str) -> str:
    """The id of a job's parent run, from its own id or that of one of its child runs.

    Raises:
        ConfigError: where what the tracker holds as the parent is no run id, but perhaps a path.
    """
    parent = str(client.get_run(run_id).data.tags.get("mlflow.parentRunId", run_id))
    if not RUN_ID.fullmatch(parent):
        raise ConfigError(f"run {run_id!r} names a parent that is no run id")
    return parent


def finished_jobs(experiment: str, *, uri: str) -> list[str]:
    """The ids of an experiment's finished parent runs, the newest first.

    Raises:
        TrackingError: where the tracker does not answer, or has no such experiment or no finished job in it.
    """
    with open_client(uri) as client:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise TrackingError(f"the tracker has no experiment {experiment!r}")
        query = "tags.`tta.role` = 'job' and attributes.status = 'FINISHED'"
        ids = [str(run.info.run_id) for run in all_runs(client, query, experiment_id=found.experiment_id)]
    if not ids:
        raise TrackingError(f"experiment {experiment!r} holds no finished job")
    return ids


def fetch_job(run_id: str, *, uri: str, folder: Path) -> Path:
    """The files of a job's folder from its parent run, in `folder`/<run id>.

    Raises:
        TrackingError: where the tracker does not answer, has no such run, or the run is not a job of the harness.
    """
    target = folder / run_id
    with open_client(uri) as client:
        present = [item.path for item in client.list_artifacts(run_id)]
        if RECORD not in present:
            raise TrackingError(f"run {run_id} has no artifact {RECORD}: expected a job that `harness run` logged")
        target.mkdir(parents=True, exist_ok=True)
        for path in present:
            client.download_artifacts(run_id, path, str(target))
    return target


def download_model(model_uri: str, *, uri: str, folder: Path) -> Path:
    """The model file or SavedModel folder behind MLflow's name of a model.

    Args:
        model_uri: `models:/name/version`, `models:/name@alias`, `models:/<id>` or `runs:/<id>/<path>`.
        uri: the tracking URI.
        folder: where it is fetched to.

    Raises:
        TrackingError: where the tracker does not answer or has no such model.
        ModelError: where there is no Keras model in what it has.
    """
    with open_client(uri) as client:
        location = _artifacts_of(client, model_uri)
        found = Path(mlflow.artifacts.download_artifacts(location, dst_path=str(folder), tracking_uri=uri))
    return _model_file(found, model_uri)


def _artifacts_of(client: MlflowClient, model_uri: str) -> str:
    """Where a model's files lie; MLflow itself would look `models:/` up in the process's default tracker."""
    if not model_uri.startswith("models:/"):
        return model_uri
    name, _, version = model_uri.removeprefix("models:/").partition("/")
    if version:
        return _artifacts_of(client, str(client.get_model_version(name, version).source))
    if "@" in name:
        return _artifacts_of(client, str(client.get_model_version_by_alias(*name.rsplit("@", 1)).source))
    return str(client.get_logged_model(name).artifact_location)


def _model_file(found: Path, model_uri: str) -> Path:
    if found.is_file() and found.suffix in MODEL_SUFFIXES:
        return found
    saved = sorted(path.parent for path in found.rglob("saved_model.pb"))
    files = sorted(path for path in found.rglob("*") if path.suffix in MODEL_SUFFIXES)
    if not files and not saved:
        raise ModelError(f"{model_uri} holds no Keras model: expected a .keras or .h5 file or a SavedModel folder")
    return [*files, *saved][0]
