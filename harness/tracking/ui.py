"""The MLflow UI on loopback, and the link under which it shows the runs."""

import os
import sys
import urllib.parse

from harness.errors import TrackingError
from harness.tracking.arrangement import KEY, arrange
from harness.tracking.location import public_uri
from harness.tracking.server import ensure_experiment, open_client

DEFAULT_PORT = 5000
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
    base = public_uri(uri).rstrip("/") if uri.startswith("http") else f"http://127.0.0.1:{port}"
    return f"{base}/#/experiments/{experiment_id}/runs?{urllib.parse.urlencode(VIEW, quote_via=urllib.parse.quote)}"


def serve_ui(uri: str, *, port: int = DEFAULT_PORT, host: str = "127.0.0.1") -> None:
    """Become the MLflow server of a database: this process is replaced and does not return.

    Raises:
        TrackingError: where the URI is a server already.
    """
    if uri.startswith("http"):
        raise TrackingError(f"{public_uri(uri)} is a server already: open it in a browser")
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    # By environment, so that no password stands in the list of processes.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    os.execve(sys.executable, command, environment)
