"""What a job's folder holds, as artifacts of a run."""

from collections.abc import Iterable
from pathlib import Path

from mlflow import MlflowClient


def log_present(client: MlflowClient, run_id: str, folder: Path, names: Iterable[str]) -> None:
    """Copies those of the files and folders that are there; a second copy replaces the first."""
    for name in names:
        if (folder / name).is_dir():
            client.log_artifacts(run_id, str(folder / name), name)
        elif (folder / name).is_file():
            client.log_artifact(run_id, str(folder / name))
