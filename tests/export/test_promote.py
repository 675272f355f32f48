"""Promotion: a policy becomes a version of a registered model, once, with what is known of it as tags."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from harness.export.job import open_job

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Recorded = Callable[[str], np.ndarray]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(arguments: list[str], *, ping: str, folder: Path, **environment: str) -> Iterator[None]:
    """`mlflow ARGUMENTS` in a process of its own, from when it answers until the end of the block."""
    uvicorn = find_spec("uvicorn")
    assert uvicorn is not None and uvicorn.origin is not None
    scripts = [sysconfig.get_path("scripts"), str(Path(uvicorn.origin).parents[4] / "bin")]
    keep = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    path = os.pathsep.join([*scripts, keep.get("PATH", "")])
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments],
            cwd=folder,
            env={**keep, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(ping, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)


def post(url: str, value: Any) -> Any:
    """The answer to a JSON request."""
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_a_policy_becomes_a_version_once(
    harness: Callable[..., Any], copied: Path, database: Path, tmp_path: Path
) -> None:
    """Tags, description and links; a verdict that is not `ship` is said; the second time nothing is done."""
    uri = f"sqlite:///{database}"
    job = open_job(copied)
    record = job.record.policy("hflip")
    first = harness("promote", str(copied), "--policy", "hflip", "--name", "shades", f"tracking.uri={uri}")
    assert first.code == 0, first.err
    assert first.out.startswith(f"shades version 1 in {uri}\n")
    assert (f"the verdict on hflip is: {record.verdict}" in first.err) == (record.verdict != "ship")
    again = harness("promote", str(copied), "--policy", "hflip", "--name", "shades", f"tracking.uri={uri}")
    assert (again.code, again.out) == (0, "shades version 1 is hflip of this job already; nothing was done\n")
    other = harness("promote", str(copied), "--policy", "augtta", "--name", "shades", f"tracking.uri={uri}")
    assert other.out.startswith("shades version 2")

    client = MlflowClient(uri, registry_uri=uri)
    version = client.get_model_version("shades", "1")
    assert version.tags["tta.policy"] == "hflip"
    assert version.tags["tta.job"] == job.record.job_id
    assert version.tags["tta.model_digest"] == job.record.model.digest
    assert version.tags["tta.verdict"] == record.verdict
    for tag, metric in (("tta.accuracy", "test/accuracy"), ("tta.gain_lower", "gain/accuracy_lower")):
        assert float(version.tags[tag]) == pytest.approx(record.metrics[metric], abs=1e-6)
    assert float(version.tags["tta.temperature"]) == pytest.approx(record.temperature, rel=1e-5)
    assert "calibrated probabilities" in version.description and "mlflow models serve" in version.description
    run = client.get_run(version.run_id)
    assert run.data.tags["tta.role"] == "job"
    ids = [client.get_model_version("shades", number).source.removeprefix("models:/") for number in ("1", "2")]
    logged = client.get_logged_model(ids[0])
    assert (str(logged.status), logged.source_run_id) == ("READY", version.run_id)
    assert {output.model_id for output in run.outputs.model_outputs} == set(ids)
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("policy", "name", "message"),
    [("nobody", "shades", "unknown policy of"), ("hflip", "a/b", "--name must be a name without any of / :")],
)
def test_a_mistake_registers_nothing(
    policy: str, name: str, message: str, harness: Callable[..., Any], copied: Path, database: Path
) -> None:
    """One line, exit code 2, and no registered model."""
    uri = f"sqlite:///{database}"
    answer = harness("promote", str(copied), "--policy", policy, "--name", name, f"tracking.uri={uri}")
    assert answer.code == 2
    assert message in answer.error
    assert list(MlflowClient(uri, registry_uri=uri).search_registered_models()) == []


@pytest.mark.slow
def test_a_promoted_model_is_served(
    harness: Callable[..., Any], copied: Path, recorded: Recorded, database: Path, tmp_path: Path
) -> None:
    """Through a tracking server: registered over REST, served by its name, an image posted, the job's probability."""
    port, serving = free_port(), free_port()
    store = ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(tmp_path / "artifacts")]
    server = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *store]
    uri = f"http://127.0.0.1:{port}"
    with running(server, ping=f"{uri}/health", folder=tmp_path, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"):
        answer = harness("promote", str(copied), "--policy", "rotations", "--name", "s", f"tracking.uri={uri}")
        assert answer.code == 0, answer.err
        assert answer.out.startswith(f"s version 1 in {uri}\n")
        again = harness("promote", str(copied), "--policy", "rotations", "--name", "s", f"tracking.uri={uri}")
        assert "s version 1 is rotations of this job already" in again.out
        serve = [
            "models",
            "serve",
            "-m",
            "models:/s/1",
            "--env-manager",
            "local",
            "-h",
            "127.0.0.1",
            "-p",
            str(serving),
        ]
        address = f"http://127.0.0.1:{serving}"
        (tmp_path / "serve").mkdir()
        with running(serve, ping=f"{address}/ping", folder=tmp_path / "serve", MLFLOW_TRACKING_URI=uri):
            job = open_job(copied)
            image = job.dataset.test.images.read(np.array([5]))
            (probs,) = np.array(post(f"{address}/invocations", {"inputs": image.tolist()})["predictions"])
    predicted, probability = recorded("rotations")[5]
    assert int(probs.argmax()) == predicted
    assert probs[job.dataset.test.labels[5]] == pytest.approx(probability, abs=1e-5)
