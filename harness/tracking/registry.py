"""A policy's model as a version of a registered model, linked to the run of its job."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from harness.errors import ConfigError
from harness.tracking.model import READY, model_name
from harness.tracking.server import open_client

DESCRIPTION_LENGTH = 5000
FORBIDDEN = "/:%\"'"


@dataclass(frozen=True)
class Candidate:
    """A policy that is to be registered: its name, the job's fingerprint, the network's digest."""

    policy: str
    job_id: str
    model_digest: str

    @property
    def tags(self) -> dict[str, str]:
        """What tells one promotion from another."""
        return {"tta.policy": self.policy, "tta.job": self.job_id, "tta.model_digest": self.model_digest}


def check_name(name: str) -> None:
    """Refuses a name that MLflow would not take.

    Raises:
        ConfigError: with what is allowed.
    """
    if not name.strip() or any(letter in name for letter in FORBIDDEN):
        raise ConfigError(f"--name must be a name without any of {' '.join(FORBIDDEN)}, got {name!r}")


def registered_version(candidate: Candidate, *, name: str, uri: str) -> str | None:
    """The version under which this policy of this job is registered already, None where it is not.

    Raises:
        TrackingError: where the tracker does not answer.
    """
    with open_client(uri) as client:
        found = [one for one in _versions(client, name) if candidate.tags.items() <= one.tags.items()]
    return max((str(one.version) for one in found), key=int, default=None)


def register(
    folder: Path, candidate: Candidate, *, name: str, run_id: str, scores: Mapping[str, str], page: str, uri: str
) -> str:
    """Logs an MLflow model's folder as a model of a run, registers it, and returns the new version.

    Args:
        folder: as `package_policy` writes it; its `MLmodel` gets the logged model's id.
        candidate: what it is.
        name: of the registered model; made where it is missing.
        run_id: the job's parent run.
        scores: further tags of the version, e.g. `tta.verdict`.
        page: Markdown for people.
        uri: the tracker.

    Raises:
        TrackingError: where the tracker does not answer or refuses; nothing is registered then.
    """
    with open_client(uri) as client:
        model_id = _logged(client, folder, candidate, run_id=run_id)
        try:
            _ensure_registered(client, name)
            version = client.create_model_version(
                name,
                source=f"models:/{model_id}",
                run_id=run_id,
                tags={**candidate.tags, **scores},
                description=page[:DESCRIPTION_LENGTH],
                model_id=model_id,
            )
        except BaseException:
            client.delete_logged_model(model_id)
            raise
    return str(version.version)


def _logged(client: MlflowClient, folder: Path, candidate: Candidate, *, run_id: str) -> str:
    experiment_id = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(
        experiment_id,
        name=model_name(candidate.policy),
        source_run_id=run_id,
        tags=candidate.tags,
        params={"policy": candidate.policy},
        model_type="classifier",
    )
    model_id = str(logged.model_id)
    try:
        description = Model.load(str(folder))
        description.model_id = model_id
        description.run_id = run_id
        description.save(str(folder / "MLmodel"))
        client.log_model_artifacts(model_id, str(folder))
        client.finalize_logged_model(model_id, READY)
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    except BaseException:
        client.delete_logged_model(model_id)
        raise
    return model_id


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    found, token = [], None
    while True:
        page: Any = client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found
