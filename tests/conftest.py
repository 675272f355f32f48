"""Values that the tests of several rooms share."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.cli import main
from harness.records import (
    DatasetRecord,
    JobRecord,
    ModelRecord,
    PolicyRecord,
    Reliability,
    SplitRecord,
)
from harness.selection import Recommendation
from harness.tracking.server import open_client

MakeJob = Callable[..., JobRecord]
PAGES = Path(__file__).parents[1] / "docs" / "mlflow_pages.py"


def _policy(name: str, *, gain: float, passes: int, p_value: float) -> PolicyRecord:
    metrics = {
        "test/accuracy": 0.88 + gain,
        "test/nll": 0.4 - gain,
        "test/nll_calibrated": 0.35 - gain,
        "test/brier": 0.17,
        "test/ece": 0.03,
        "validation/nll_calibrated": 0.36 - gain,
        "optimism/nll_calibrated": -0.01,
        "cost/passes": float(passes),
    }
    if name != "identity":
        metrics |= {
            "gain/accuracy": gain,
            "gain/accuracy_lower": gain - 0.01,
            "gain/accuracy_upper": gain + 0.01,
            "gain/p_value_adjusted": p_value,
            "gain/corrected": 31.0,
            "gain/corrupted": 12.0,
        }
    views = tuple(f"view{index}" for index in range(passes))
    verdict = "" if name == "identity" else "ship" if gain > 0 else "do not ship"
    return PolicyRecord(name, "mean_probs", views, views, float(passes), metrics, 1.25, verdict)


def _job(gains: Sequence[float] = (0.02, -0.03), *, chosen: int = 1, **changes: object) -> JobRecord:
    names = ["identity", *(f"policy_{index}" for index in range(1, len(gains) + 1))]
    policies = [_policy("identity", gain=0.0, passes=1, p_value=1.0)]
    policies += [
        _policy(name, gain=gain, passes=index + 2, p_value=0.0001 if abs(gain) > 0.015 else 0.5)
        for index, (name, gain) in enumerate(zip(names[1:], gains, strict=True))
    ]
    bins = Reliability((0.0, 0.5, 1.0), (0.3, 0.9), (0.2, 0.8), (40, 160))
    splits = {"train": SplitRecord("1" * 64, 800), "validation": SplitRecord("2" * 64, 100)}
    record = JobRecord(
        job_id="ab" * 32,
        name="digits-net-0",
        question="Does it pay – and how much?",
        started="2025-03-01T12:00:00+00:00",
        finished="2025-03-01T12:01:00+00:00",
        dataset=DatasetRecord("digits", ("0", "1"), {**splits, "test": SplitRecord("3" * 64, 200)}, ("a note",)),
        model=ModelRecord("net", "small_cnn", "cd" * 32, None, "here", (8, 8, 1), 2, "logits", "x / 16", True, None),
        seed=0,
        policies=tuple(policies),
        recommendation=Recommendation(names[chosen], "ship", "It gains.", "A rule.", "nll_calibrated"),
        command="harness run dataset=digits",
        params={"dataset": "digits", "model": "net", "seed": 0, "rate": 1e-3},
        history={"loss": (1.0, 0.5), "val_loss": (1.1, 0.7)},
        job_metrics={"train/seconds": 2.5, "cost/passes_computed": 3.0},
        reliability=dict.fromkeys(("identity", names[chosen]), bins),
        warnings=("careful",),
        versions={"numpy": "2"},
        study="first",
        sweep="monday",
        commit="e" * 40,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


@pytest.fixture
def make_job() -> MakeJob:
    """Makes a job's record: identity and one policy per gain, with every optional field filled."""
    return _job


@dataclass(frozen=True)
class Answer:
    """What a command gave: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def trained(self) -> int:
        """Models that were trained, as the command says."""
        return self._count("models trained")

    @property
    def computed(self) -> int:
        """Forward passes that were run, as the command says."""
        return self._count("forward passes run")

    @property
    def error(self) -> str:
        """The one line on standard error; fails where there is more or less than one."""
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        return line

    def _count(self, what: str) -> int:
        found = re.search(rf"{what}: (\d+)", self.out)
        assert found, self.out + self.err
        return int(found[1])


Command = Callable[..., Answer]


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs a command of the harness in this process, in an empty folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("HARNESS_STORE", "MLFLOW_TRACKING_URI", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    showwarning, on_sigterm = warnings.showwarning, signal.getsignal(signal.SIGTERM)
    # A shell starts its background jobs with SIGINT ignored.
    on_sigint = signal.signal(signal.SIGINT, signal.default_int_handler)

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            code = main(arguments)
        return Answer(code, *capsys.readouterr())

    yield call
    warnings.showwarning = showwarning
    signal.signal(signal.SIGTERM, on_sigterm)
    signal.signal(signal.SIGINT, on_sigint)


def tiny_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Three classes of 8x8 images that a model can tell apart, but not always: brightness with noise."""
    random = np.random.default_rng(seed)
    arrays = {}
    for split, count in (("train", 96), ("validation", 60), ("test", 75)):
        labels = np.arange(count) % 3
        noise = random.normal(0, 45, (count, 8, 8))
        arrays[f"x_{split}"] = np.clip(60 + 60 * labels[:, None, None] + noise, 0, 255).astype(np.uint8)
        arrays[f"y_{split}"] = labels
    return arrays


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """The arrays of `tiny_arrays`."""
    return tiny_arrays()


TINY = (
    "dataset=npz",
    "dataset.path=tiny.npz",
    "training.epochs=2",
    "training.batch_size=4",
    "evaluation.resamples=200",
)
"""A job of seconds; `tracking=none` is for those who do not look at MLflow."""


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What TensorFlow and killed processes leave in the temporary folder goes away with the files of the tests."""
    folder = str(tmp_path_factory.mktemp("tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    np.savez(folder / "tiny.npz", **tiny_arrays())
    arguments = ["dataset.path=" + str(folder / "tiny.npz"), f"store={folder}/store", f"output={folder}/results"]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        patch.delenv("HARNESS_STORE", raising=False)
        showwarning, on_sigterm = warnings.showwarning, signal.getsignal(signal.SIGTERM)
        assert main(["run", *TINY, *arguments, "tta=identity", "tracking=none"]) == 0
        warnings.showwarning = showwarning
        signal.signal(signal.SIGTERM, on_sigterm)
    shutil.rmtree(folder / "store" / "logits")
    return folder


@pytest.fixture
def tiny(_trained: Path, tmp_path: Path) -> tuple[str, ...]:
    """Overrides of a tiny job whose data lie in the test's folder and whose model is trained there already."""
    shutil.copyfile(_trained / "tiny.npz", tmp_path / "tiny.npz")
    shutil.copytree(_trained / "store", tmp_path / ".harness" / "store")
    return TINY


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with open_client(f"sqlite:///{file}"):
        pass
    return file


@pytest.fixture
def database(_empty_database: Path, tmp_path: Path) -> Path:
    """An empty `mlflow.db` in the test's folder: to make one from nothing takes seconds."""
    return Path(shutil.copyfile(_empty_database, tmp_path / "mlflow.db"))


def run_process(
    *arguments: str, folder: Path, prelude: str = "", after: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`harness ARGUMENTS` in a process of its own, between the Python statements of `prelude` and `after`."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "MLFLOW_"))}
    keep.pop("PYTHONDONTWRITEBYTECODE", None)
    lines = [prelude, "import sys", "from harness.cli import main", f"code = main({list(arguments)!r})", after]
    code = "\n".join([*lines, "sys.exit(code)"])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**keep, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_process`, for tests where a process of its own matters."""
    return run_process


@pytest.fixture(scope="session")
def run_in_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_process`, for what a whole session shares."""
    return run_process


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_arrays` as a file."""
    file = tmp_path_factory.mktemp("arrays") / "tiny.npz"
    np.savez(file, **tiny_arrays())
    return file


@pytest.fixture(scope="session")
def pages() -> ModuleType:
    """The module that opens pages, which the documentation's screenshots use as well."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    specification = importlib.util.spec_from_file_location("mlflow_pages", PAGES)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser(pages: ModuleType) -> Iterator[Any]:
    """Chromium without a window; tests that need it are skipped where there is none.

    Closed after each module: while one is open, its thread cannot open another.
    """
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(pages.browser())
        except pages.NoBrowserError as error:
            pytest.skip(str(error))
        yield started
