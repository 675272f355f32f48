"""A finished job by what a person calls it: its folder, the folder's name, or the id of its MLflow run."""

import importlib
import os
from pathlib import Path

from harness.errors import ConfigError, TrackingError
from harness.record_files import FETCHED, RECORD
from harness.tracking.location import read_marker


def find_job(name: str, *, output: Path, store: Path, uri: str) -> Path:
    """The folder of a finished job, fetched from the tracker where it is not on this disk.

    Args:
        name: a folder, the name of one below `output`, or the id of a parent or child run.
        output: where jobs are.
        store: where fetched ones are kept.
        uri: the tracker, as `resolve_uri` gives it.

    Raises:
        ConfigError: where there is no such job, on disk or in the tracker.
    """
    folder = job_folder(name, output=output)
    if folder is not None:
        return folder
    here = _logged_as(name, output)
    if here is not None:
        return here
    reading = importlib.import_module("harness.tracking.reading")
    try:
        parent = reading.parent_run(name, uri=uri)
        return _logged_as(parent, output) or reading.fetch_job(parent, uri=uri, folder=store / FETCHED)
    except TrackingError as error:
        raise ConfigError(
            f"no job {name!r}: expected a folder with {RECORD}, the name of one below {output}, or the id of an MLflow "
            f"run ({error})"
        ) from error


def job_folder(name: str, *, output: Path) -> Path | None:
    """A finished job's folder by its path, or by its name below `output`; None where it is neither."""
    folders = (Path(name).expanduser(), output / name)
    # Path.is_file raises for a name that is too long.
    return next((folder for folder in folders if os.path.isfile(folder / RECORD)), None)  # noqa: PTH113


def _logged_as(run_id: str, output: Path) -> Path | None:
    """The folder below `output` that was logged as this parent run."""
    for record in sorted(output.rglob(RECORD)):
        marker = read_marker(record.parent)
        if marker is not None and marker.run_id == run_id:
            return record.parent
    return None
