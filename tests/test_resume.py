"""A job that was killed, at whatever point, and issued again ends as if nothing had happened."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.record_files import read_record
from harness.tracking.server import open_client

JOB = (
    "dataset=npz", "dataset.path=tiny.npz", "training.epochs=4", "training.batch_size=4",
    "evaluation.resamples=200", "tta=[d4,rotations]",
)  # fmt: skip

KILL = "import os, signal\ndone = []\n"
AFTER = "    done.append(1)\n    if len(done) == {count}:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
IN_TRAINING = """
from harness.progress import TrainingBar
on_batch = TrainingBar.on_batch
def stop(self, batch, total):
    on_batch(self, batch, total)
"""
IN_PASSES = """
from harness.store import LogitStore
put = LogitStore.put
def stop(self, *arguments, **options):
    put(self, *arguments, **options)
"""
IN_LOGGING = """
from harness.tracking import jobs
log = jobs._log_child
def stop(*arguments, **options):
    log(*arguments, **options)
"""
POINTS = {
    "in training": KILL + IN_TRAINING + AFTER.format(count=60) + "TrainingBar.on_batch = stop\n",
    "in the passes": KILL + IN_PASSES + AFTER.format(count=7) + "LogitStore.put = stop\n",
    "in logging": KILL + IN_LOGGING + AFTER.format(count=2) + "jobs._log_child = stop\n",
}


def leaderboard(folder: Path) -> bytes:
    """The only job's table."""
    (file,) = folder.glob("results/*/leaderboard.csv")
    return file.read_bytes()


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, start: Any) -> bytes:
    """The table of the job that nobody stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = start("run", *JOB, "tracking=none", folder=folder)
    assert done.returncode == 0, done.stderr
    return leaderboard(folder)


@pytest.fixture(scope="session")
def start(tiny_file: Path, run_in_process: Any) -> Any:
    """Runs the harness in a process of its own, with the tiny data in its folder."""

    def call(*arguments: str, folder: Path, prelude: str = "") -> Any:
        (folder / "tiny.npz").write_bytes(tiny_file.read_bytes())
        return run_in_process(*arguments, folder=folder, prelude=prelude)

    return call


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_and_issued_again(start: Any, uninterrupted: bytes, database: Path, tmp_path: Path, point: str) -> None:
    """Kill -9 in training, in a pass, in logging: the same command ends with the same table, byte for byte.

    In the tracker there is one job with one run a policy; no run is left running.
    """
    assert start("run", *JOB, folder=tmp_path, prelude=POINTS[point]).returncode == -9
    again = start("run", *JOB, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert leaderboard(tmp_path) == uninterrupted
    with open_client(f"sqlite:///{database}") as client:
        experiment = client.get_experiment_by_name("tta")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    names = sorted(run.info.run_name for run in runs if run.data.tags["tta.role"] == "policy")
    (record,) = (read_record(file.parent) for file in tmp_path.glob("results/*/record.json"))
    assert names == sorted(policy.name for policy in record.policies)
    assert len(runs) == len(names) + 1


@pytest.mark.slow
def test_killed_in_the_passes_runs_the_rest_only(start: Any, tmp_path: Path) -> None:
    """After seven of 24 passes and kill -9, the same command runs 17 and trains nothing."""
    assert start("run", *JOB, "tracking=none", folder=tmp_path, prelude=POINTS["in the passes"]).returncode == -9
    again = start("run", *JOB, "tracking=none", folder=tmp_path)
    assert "models trained: 0, forward passes run: 17" in again.stdout


def test_an_unfinished_folder_counts_for_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """A folder with everything but `record.json` is not a result: the job is evaluated and written again."""
    assert harness("run", *tiny, "tta=hflip", "tracking=none").code == 0
    table = leaderboard(Path())
    (folder,) = Path("results").iterdir()
    (folder / "record.json").unlink()
    (folder / "leaderboard.csv").write_text("half a ta")
    answer = harness("run", *tiny, "tta=hflip", "tracking=none")
    assert (answer.code, answer.computed) == (0, 0)
    assert leaderboard(Path()) == table


def test_a_half_written_item_counts_for_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """Logits without the side file that is written last do not exist, and are computed again."""
    harness("run", *tiny, "tta=hflip", "tracking=none")
    table = leaderboard(Path())
    side = sorted(Path(".harness/store/logits").rglob("*.json"))[0]
    side.unlink()
    array = side.with_suffix(".npy")
    np.save(array, np.zeros((3, 3), np.float32))
    (Path("results") / next(Path("results").iterdir()).name / "record.json").unlink()
    assert harness("run", *tiny, "tta=hflip", "tracking=none").computed == 1
    assert leaderboard(Path()) == table
