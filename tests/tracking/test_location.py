"""Where the tracker is, and what it has not heard of, without mlflow."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigError, TrackingError
from harness.records import JobRecord
from harness.tracking import location


def test_the_default_is_a_file_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configuration before environment before `mlflow.db`; paths come out absolute."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert location.resolve_uri(None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert location.resolve_uri(None) == "http://127.0.0.1:1"
    assert location.resolve_uri("sqlite:///sub/x.db") == f"sqlite:///{tmp_path}/sub/x.db"
    assert location.resolve_uri("sqlite:////a/x.db") == "sqlite:////a/x.db"


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "ftp://me:secret@host"])
def test_a_uri_that_mlflow_no_longer_takes_is_refused(uri: str) -> None:
    """One line that names the forms that do, without a password."""
    with pytest.raises(ConfigError, match="expected sqlite:///") as caught:
        location.resolve_uri(uri)
    assert "secret" not in str(caught.value)


def test_credentials_are_never_shown() -> None:
    """User names and passwords are cut out of addresses and of messages."""
    assert location.public_uri("https://me:se%20cret@host:5000/x") == "https://host:5000/x"
    assert location.public_uri("cannot reach postgresql+psycopg2://me:pw@db/x now") == (
        "cannot reach postgresql+psycopg2://db/x now"
    )


def test_a_server_that_is_not_there_is_noticed_at_once() -> None:
    """A closed port raises, and the line says where nobody answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TrackingError, match=r"no tracking server answers at http://127"):
        location.check_reachable(f"http://me:secret@127.0.0.1:{port}")


def test_jobs_are_pending_until_the_marker_says_logged(
    make_job: Callable[..., JobRecord], make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """A folder with a pending marker or a damaged one is pending; one without any was not to be tracked."""
    folders = [make_folder(make_job(), name) for name in ("none", "pending", "damaged", "logged")]
    location.write_marker(folders[1], location.Marker("pending", "u", "tta"))
    (folders[2] / location.MARKER).write_text("{")
    location.write_marker(folders[3], location.Marker("logged", "u", "tta", "r"))
    (tmp_path / "results" / "unfinished").mkdir()
    assert location.pending_jobs(tmp_path / "results") == folders[1:3]
    assert location.pending_jobs(tmp_path / "nowhere") == []


def test_looking_for_pending_jobs_does_not_import_mlflow() -> None:
    """It is asked by commands that have to answer at once."""
    code = "import sys, harness.tracking.location; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
