"""Opens the tracking store: made and migrated by one process at a time, its experiment made once."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import TrackingError
from harness.tracking.location import check_reachable, public_uri, sqlite_file

LOCK_SECONDS = 300.0
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


@contextmanager
def tracking_errors(uri: str) -> Iterator[None]:
    """Turns what MLflow, its database or the network raise into one line without credentials."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = public_uri(lines[0]) if lines else type(error).__name__
        raise TrackingError(f"tracking at {public_uri(uri)} failed: {reason}") from error


@contextmanager
def open_client(uri: str) -> Iterator[MlflowClient]:
    """A client of the store at a resolved URI; errors of the body come out as TrackingError.

    Raises:
        TrackingError: where the store cannot be reached, opened or migrated.
    """
    check_reachable(uri)
    with tracking_errors(uri):
        with store_lock(uri):
            # The first call makes and migrates an empty database, which several processes cannot do at once.
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
        yield client


def store_lock(uri: str) -> FileLock | nullcontext[None]:
    """One process at a time, for a SQLite file; a server and other databases look after themselves."""
    database = sqlite_file(uri)
    if database is None:
        return nullcontext()
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(database.with_name(f".{database.name}.lock"), timeout=LOCK_SECONDS)


def ensure_experiment(client: MlflowClient, name: str, *, uri: str) -> str:
    """The id of the experiment, made where it is missing; artifacts of a database lie in `mlartifacts` beside it.

    Raises:
        TrackingError: where an experiment of this name was deleted and still takes the name.
    """
    with store_lock(uri):
        found: Experiment | None = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=_artifacts(uri), tags=EXPERIMENT_TAGS))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise TrackingError(f"experiment {name!r} was deleted in MLflow: restore it there or set tracking.experiment")
    return str(found.experiment_id)


def _artifacts(uri: str) -> str | None:
    if uri.startswith(("http://", "https://")):
        return None
    database = sqlite_file(uri)
    folder = database.parent if database else Path.cwd()
    return (folder / "mlartifacts").absolute().as_uri()
