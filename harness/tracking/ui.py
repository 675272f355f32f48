"""The MLflow UI on loopback, and the links under which it shows the answer."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import TrackingError
from harness.tracking.arrangement import arrange
from harness.tracking.location import public_uri
from harness.tracking.saved_views import POLICIES, runs_query
from harness.tracking.server import ensure_experiment, open_client

DEFAULT_PORT = 5000
HOST = "127.0.0.1"
WORKFLOW = {"workflowType": "machine_learning"}
VIEW = {"viewStateShareKey": POLICIES}
CHARTS = {"compareRunsMode": "CHART"}
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Links:
    """Addresses of one experiment: its table of policies, and the same policies as charts."""

    leaderboard: str
    charts: str


def ui_links(uri: str, *, experiment: str, port: int = DEFAULT_PORT, arranged: bool = True) -> Links:
    """The addresses that show the policies' runs, on the tracking server itself or on loopback.

    Without `workflowType` a fresh browser lands on an empty page for language models; without a saved view or a query
    the table shows the jobs alone, folded, and none of their numbers.

    Args:
        uri: a tracking URI as `resolve_uri` gives it.
        experiment: its name; made where it is missing.
        port: of the UI on loopback.
        arranged: write the saved view and link to it; without, the address says which runs and in which order.

    Raises:
        TrackingError: where the tracker does not answer.
    """
    with open_client(uri) as client:
        experiment_id = ensure_experiment(client, experiment, uri=uri)
        if arranged:
            arrange(client, experiment_id)
    base = public_uri(uri).rstrip("/") if uri.startswith("http") else f"http://{HOST}:{port}"
    query = WORKFLOW | (VIEW if arranged else runs_query())
    return Links(*(f"{base}/#/experiments/{experiment_id}/runs?{_encoded(query | mode)}" for mode in ({}, CHARTS)))


def check_port(port: int) -> None:
    """Checks that nothing else listens on a loopback port.

    Raises:
        TrackingError: where something does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(f"port {port} is taken (another UI?): choose one with --port") from error


def serve_ui(uri: str, *, port: int = DEFAULT_PORT, ready: Callable[[], None] = lambda: None) -> None:
    """Serves the MLflow UI of a database on loopback until Ctrl-C; what the server says is shown only if it fails.

    Args:
        uri: of the database.
        port: to listen on.
        ready: called once, as soon as the server answers.

    Raises:
        TrackingError: where the URI is a server already, the port is taken, or the server ends by itself.
    """
    if uri.startswith("http"):
        raise TrackingError(f"{public_uri(uri)} is a server already: open it in a browser")
    check_port(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    # By environment, so that no password stands in the list of processes.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with tempfile.TemporaryFile() as said:
        # A session of its own, so that Ctrl-C reaches us alone and we end it in order.
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            while server.poll() is None and not _answers(port):
                time.sleep(POLL_SECONDS)
            if server.poll() is None:
                ready()
            code = server.wait()
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise TrackingError(f"the MLflow server ended with code {code}: {public_uri(' '.join(last))}")
        except KeyboardInterrupt:
            return
        finally:
            server.terminate()
            server.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
            return True
    except OSError:
        return False


def _encoded(query: dict[str, str]) -> str:
    return urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
