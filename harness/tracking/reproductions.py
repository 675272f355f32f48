"""A job that was logged, fetched to be checked; and its reproduction, logged beside it.

The second run is of a kind of its own: `tta.role` is `reproduction`, it has no child runs, and no view of policies or
jobs shows it. Both runs name each other.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from harness.errors import ConfigError
from harness.record_files import CONFIG, ENVIRONMENT, FITTED, LEADERBOARD, PREDICTIONS, RECORD, TABLES, read_record
from harness.records import JobRecord
from harness.tracking import entries
from harness.tracking.artifacts import log_present
from harness.tracking.location import public_uri, sqlite_file
from harness.tracking.reading import parent_of
from harness.tracking.server import open_client

FETCHED = (RECORD, CONFIG, PREDICTIONS, FITTED, TABLES)
FILES = (RECORD, CONFIG, ENVIRONMENT, LEADERBOARD, PREDICTIONS, FITTED, TABLES)
REPRODUCTION = "reproduction.json"
ROLE = "reproduction"
UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Verdict:
    """What is written on both runs.

    Attributes:
        word: `identical`, `within tolerance` or `different`.
        how: `from the store` or `from nothing`.
        date: ISO 8601, the day.
        note: Markdown for the second run's page.
        details: everything, as JSON.
    """

    word: str
    how: str
    date: str
    note: str
    details: str


def fetch_original(run_id: str, *, uri: str, folder: Path) -> str:
    """The files of a logged job that its reproduction is compared with, in `folder`; returns the parent run's id.

    Args:
        run_id: of the parent run, or of one of its child runs.
        uri: the tracker, as `resolve_uri` gives it.
        folder: an empty folder.

    Raises:
        ConfigError: where the tracker has no such run, or the run is not a job of the harness.
        TrackingError: where the tracker does not answer.
    """
    database = sqlite_file(uri)
    if database is not None and not database.exists():
        raise _nothing(run_id, f"there is no tracking database {database}")
    with open_client(uri) as client:
        try:
            parent = parent_of(client, run_id)
            present = {item.path for item in client.list_artifacts(parent)}
        except MlflowException as error:
            if error.error_code not in UNKNOWN:
                raise
            raise _nothing(run_id, f"{public_uri(uri)} has no such run") from error
        missing = [name for name in (RECORD, CONFIG) if name not in present]
        if missing:
            raise ConfigError(
                f"run {parent} has no artifact {missing[0]}: expected a job that `harness run` has logged to its end"
            )
        for name in FETCHED:
            if name in present:
                client.download_artifacts(parent, name, str(folder))
    return parent


def log_reproduction(folder: Path, *, reproduces: str, verdict: Verdict, uri: str) -> str:
    """Logs a second run's folder beside the first run, tags both, and returns the second run's id.

    Args:
        folder: the second job's folder.
        reproduces: the first job's parent run.
        verdict: on the two.
        uri: the tracker that holds the first run.

    Raises:
        TrackingError: where the tracker does not answer or refuses.
    """
    record = read_record(folder)
    with open_client(uri) as client:
        experiment_id = client.get_run(reproduces).info.experiment_id
        run = client.create_run(
            experiment_id,
            start_time=entries.milliseconds(record.started),
            tags=_tags(record, reproduces=reproduces, verdict=verdict),
            run_name=f"reproduction of {record.name}",
        )
        run_id = str(run.info.run_id)
        try:
            _log(client, run_id, record, folder=folder, verdict=verdict)
            client.set_terminated(run_id, "FINISHED", end_time=entries.milliseconds(record.finished))
            _tag_first(client, reproduces, {"tta.reproduced_by": run_id, "tta.reproduced": _stamp(verdict)})
        except BaseException:
            with contextlib.suppress(Exception):
                client.set_terminated(run_id, "FAILED")
            raise
    return run_id


def _log(client: MlflowClient, run_id: str, record: JobRecord, *, folder: Path, verdict: Verdict) -> None:
    client.log_batch(run_id, metrics=entries.job_metrics(record), params=entries.job_params(record))
    log_present(client, run_id, folder, FILES)
    client.log_text(run_id, verdict.details, REPRODUCTION)


def _tags(record: JobRecord, *, reproduces: str, verdict: Verdict) -> dict[str, str]:
    tags = {
        "tta.role": ROLE,
        "tta.reproduces": reproduces,
        "tta.verdict_of_reproduction": verdict.word,
        "tta.reproduced_how": verdict.how,
        "tta.fingerprint": record.job_id,
        "tta.model_digest": record.model.digest,
        "tta.schema": str(record.schema),
        "mlflow.source.name": "harness",
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": verdict.note[: entries.NOTE_LENGTH],
    }
    return tags | ({"mlflow.source.git.commit": record.commit} if record.commit else {})


def _tag_first(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    for name, value in tags.items():
        client.set_tag(run_id, name, value)


def _stamp(verdict: Verdict) -> str:
    return f"{verdict.word} ({verdict.date}, {verdict.how})"


def _nothing(run_id: str, why: str) -> ConfigError:
    return ConfigError(
        f"no job {run_id!r}: {why}; expected the id of an MLflow run (tracking.uri=… says where) or a job's folder"
    )
