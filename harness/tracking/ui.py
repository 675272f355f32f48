"""The MLflow UI on loopback, and the link under which it shows the runs."""

import os
import socket
import subprocess
import sys
import tempfile
import urllib.parse

from harness.errors import TrackingError
from harness.tracking.arrangement import KEY, arrange
from harness.tracking.location import public_uri
from harness.tracking.server import ensure_experiment, open_client

DEFAULT_PORT = 5000
HOST = "127.0.0.1"
VIEW = {"workflowType": "machine_learning", "viewStateShareKey": KEY}


def ui_link(uri: str, *, experiment: str, port: int = DEFAULT_PORT) -> str:
    """The address that shows the saved view of the policies' runs, on the tracking server itself or on loopback.

    Without `workflowType` a fresh browser lands on an empty page for language models; without the saved view the
    table shows the jobs alone, folded, and none of their numbers.

    Raises:
        TrackingError: where the tracker does not answer.
    """
    with open_client(uri) as client:
        experiment_id = ensure_experiment(client, experiment, uri=uri)
        arrange(client, experiment_id)
    base = public_uri(uri).rstrip("/") if uri.startswith("http") else f"http://{HOST}:{port}"
    return f"{base}/#/experiments/{experiment_id}/runs?{urllib.parse.urlencode(VIEW, quote_via=urllib.parse.quote)}"


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


def serve_ui(uri: str, *, port: int = DEFAULT_PORT) -> None:
    """Serves the MLflow UI of a database on loopback until Ctrl-C; what the server says is shown only if it fails.

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
            code = server.wait()
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise TrackingError(f"the MLflow server ended with code {code}: {public_uri(' '.join(last))}")
        except KeyboardInterrupt:
            return
        finally:
            server.terminate()
            server.wait()
