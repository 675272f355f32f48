"""A tiny job whose policies are exported: fixed, learned, adaptive and random ones."""

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.cli import main
from harness.export.job import ExportJob, open_job

VIEWS = "[identity,horizontal_flip,vertical_flip]"
POLICIES = (
    "tta=[hflip,rotations,tutorial_limit,tutorial]",
    *(f"+tta.{kind}={{views:{VIEWS},aggregation:{kind}}}" for kind in ("augtta", "stacking", "exact_exit")),
    f"+tta.selective={{views:{VIEWS},aggregation:{{kind:selective,share:0.3}}}}",
)


def run_job(folder: Path, *overrides: str) -> Path:
    """Runs a job whose files all lie below `folder`, and returns the job's folder."""
    before = set((folder / "results").glob("*"))
    places = [f"dataset.path={folder}/tiny.npz", f"store={folder}/store", f"output={folder}/results"]
    training = ["training.epochs=2", "training.batch_size=4", "evaluation.resamples=200"]
    showwarning, on_sigterm = warnings.showwarning, signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        patch.delenv("HARNESS_STORE", raising=False)
        assert main(["run", "dataset=npz", *places, *training, *overrides]) == 0
    warnings.showwarning = showwarning
    signal.signal(signal.SIGTERM, on_sigterm)
    (job,) = set((folder / "results").glob("*")) - before
    return job


@pytest.fixture(scope="session", name="run_job")
def _run_job() -> Callable[..., Path]:
    """`run_job`, for tests that need a job of another kind."""
    return run_job


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set on which the model of a moment is often wrong: three shades in much noise."""
    folder, random, arrays = tmp_path_factory.mktemp("export"), np.random.default_rng(3), {}
    for split, count in (("train", 96), ("validation", 60), ("test", 75)):
        labels = np.arange(count) % 3
        noise = random.normal(0, 90, (count, 8, 8)) + random.normal(0, 35, (count, 1, 1))
        arrays[f"x_{split}"] = np.clip(90 + 25 * labels[:, None, None] + noise, 0, 255).astype(np.uint8)
        arrays[f"y_{split}"] = labels
    np.savez(folder / "tiny.npz", **arrays)
    return folder


@pytest.fixture(scope="session")
def job_folder(data: Path) -> Path:
    """The folder of the tiny job; nobody may change it."""
    return run_job(data, *POLICIES, "tracking=none")


@pytest.fixture(scope="session")
def job(job_folder: Path) -> ExportJob:
    """The tiny job, opened."""
    return open_job(job_folder)


@pytest.fixture
def copied(job_folder: Path, tmp_path: Path) -> Path:
    """The job's folder, to be damaged."""
    return Path(shutil.copytree(job_folder, tmp_path / "job"))


@pytest.fixture
def recorded(job_folder: Path) -> Callable[[str], np.ndarray]:
    """What the job recorded of a policy: predicted classes and the probability of the true one, `[N, 2]`."""

    def look_up(policy: str) -> np.ndarray:
        table = pq.read_table(job_folder / "predictions.parquet").to_pylist()
        rows = [row for row in table if row["policy"] == policy]
        return np.array([[row["predicted"], np.exp(-row["nll_calibrated"])] for row in rows])

    return look_up


STRANGER = """
import sys, json, numpy as np

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "harness":
            raise ImportError("the harness is not here")

sys.meta_path.insert(0, Blocked())
images, models, found = np.load("images.npy"), json.load(open("models.json")), {}
for name, (form, path) in models.items():
    if form == "keras":
        import keras
        found[name] = keras.saving.load_model(path).predict(images, verbose=0)
    elif form == "savedmodel":
        import tensorflow as tf
        found[name] = tf.saved_model.load(path)(images).numpy()
    elif form == "onnx":
        import onnxruntime
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found[name],) = session.run(["probabilities"], {"images": images})
    else:
        import mlflow
        found[name] = mlflow.pyfunc.load_model(path).predict(images)
assert "harness" not in sys.modules
np.savez("found.npz", **found)
"""


@pytest.fixture
def stranger(tmp_path: Path) -> Callable[..., dict[str, np.ndarray]]:
    """Loads models in a process that has no harness: name to (format, path), and what they say of `images`."""

    def run(models: dict[str, tuple[str, Path]], images: np.ndarray) -> dict[str, np.ndarray]:
        np.save(tmp_path / "images.npy", images)
        (tmp_path / "models.json").write_text(
            json.dumps({name: (form, str(path)) for name, (form, path) in models.items()})
        )
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_DISABLE_TELEMETRY": "true"}
        done = subprocess.run(
            [sys.executable, "-I", "-c", STRANGER],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "found.npz") as found:
            return dict(found)

    return run


Damage = Callable[[dict[str, Any]], None]


@pytest.fixture
def edit_fitted() -> Callable[[Path, Damage], None]:
    """Changes `fitted.json` of a job's folder."""

    def edit(folder: Path, damage: Damage) -> None:
        learned = json.loads((folder / "fitted.json").read_text())
        damage(learned)
        (folder / "fitted.json").write_text(json.dumps(learned))

    return edit
