"""Where the tracker is, whether it answers, and which jobs it has not heard of; without importing mlflow."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.errors import ConfigError, TrackingError
from harness.record_files import RECORD, write_text

MARKER = "tracking.json"
SQLITE = "sqlite:///"
DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")
PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Marker:
    """What a job's folder says about the tracker: `pending` until everything was logged.

    Attributes:
        status: `pending` or `logged`.
        uri: the tracker's address without credentials.
        experiment: its name.
        run_id: the parent run, once it is logged.
        child_runs: how many policies have a run of their own, once it is logged.
    """

    status: Literal["pending", "logged"]
    uri: str
    experiment: str
    run_id: str | None = None
    child_runs: int | None = None


def resolve_uri(configured: str | None) -> str:
    """The tracking URI: the configured one, else MLFLOW_TRACKING_URI, else `mlflow.db` in the working directory.

    Paths of SQLite files come out absolute.

    Raises:
        ConfigError: for a URI that is neither a server nor a database; MLflow no longer takes plain folders.
    """
    uri = configured or os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    if uri.startswith(SQLITE):
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
    if not uri.startswith(("http://", "https://", *DATABASES)):
        raise ConfigError(
            f"tracking.uri: expected sqlite:///<file>, a database or http(s)://<server>, got {public_uri(uri)!r}"
        )
    return uri


def public_uri(uri: str) -> str:
    """The URI, or a message that holds one, without user names and passwords."""
    return re.sub(r"(?<=://)[^/\s]*@", "", uri)


def sqlite_file(uri: str) -> Path | None:
    """The file of a resolved SQLite URI, else None."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def check_reachable(uri: str) -> None:
    """Ask a server for its health, once and briefly; a database is not asked.

    Raises:
        TrackingError: where it does not answer within five seconds.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(f"{public_uri(uri).rstrip('/')}/health", timeout=PROBE_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # It answers; whether it lets us in, the first request will say.
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(f"no tracking server answers at {public_uri(uri)} ({reason})") from error


def write_marker(folder: Path, marker: Marker) -> None:
    """Note in a job's folder how far the tracker is."""
    write_text(folder / MARKER, json.dumps(asdict(marker), indent=1) + "\n")


def read_marker(folder: Path) -> Marker | None:
    """The folder's marker, or None where there is none or it cannot be read."""
    try:
        return Marker(**json.loads((folder / MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def logged_run(folder: Path, *, uri: str, experiment: str) -> str | None:
    """The parent run of a folder that was wholly logged there, as its marker says; None where it must be logged."""
    marker, database = read_marker(folder), sqlite_file(uri)
    if marker is None or (database is not None and not database.exists()):
        return None
    same = (marker.status, marker.uri, marker.experiment) == ("logged", public_uri(uri), experiment)
    return marker.run_id if same else None


def pending_jobs(results_root: Path) -> list[Path]:
    """The folders of finished jobs that were to be tracked and are not wholly, oldest first.

    Those that were run without a tracker are none of its business.
    """
    return sorted(_pending(results_root), key=lambda folder: (folder / RECORD).stat().st_mtime)


def _pending(results_root: Path) -> Iterator[Path]:
    for record in results_root.rglob(RECORD):
        marker = read_marker(record.parent)
        tracked = (record.parent / MARKER).exists()
        if tracked and (marker is None or marker.status != "logged"):
            yield record.parent
