"""A tracking store made once, because an empty SQLite file takes seconds to become one, and jobs' folders."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness import record_files
from harness.records import JobRecord, PolicyPredictions
from harness.report import write_leaderboard_csv
from harness.tracking.server import open_client


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty, migrated store."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with open_client(f"sqlite:///{file}"):
        pass
    return file


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path) -> str:
    """The URI of a store of the test's own."""
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a record's folder, with all that a job leaves behind."""

    def make(record: JobRecord, name: str = "job") -> Path:
        folder = tmp_path / "results" / name
        zeros = np.zeros(3)
        predictions = [
            PolicyPredictions(policy.name, zeros.astype(str), zeros, zeros, zeros, zeros, zeros == 0, zeros)
            for policy in record.policies
        ]
        record_files.write_text(folder / record_files.CONFIG, "seed: 0\n")
        record_files.write_text(folder / record_files.ENVIRONMENT, "numpy==2\n")
        record_files.write_text(folder / record_files.PLOTS / "gains.png", "no picture")
        write_leaderboard_csv(record, folder / record_files.LEADERBOARD)
        record_files.write_job(folder, record, predictions=predictions)
        return folder

    return make
