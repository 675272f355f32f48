"""Sweeps: many jobs of one command, one after the other or side by side, over one store."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.record_files import read_record
from harness.records import JobRecord
from harness.tracking.server import open_client

JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def records(folder: Path) -> list[JobRecord]:
    """All jobs' records."""
    return [read_record(file.parent) for file in sorted(folder.glob("results/*/record.json"))]


def test_jobs_share_models_passes_and_a_tag(harness: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    """2 seeds x 2 policies are 4 jobs over 2 models: one is trained, the stored one is taken, no pass is run twice."""
    answer = harness("run", "-m", *tiny, "seed=0,1", "tta=hflip,flips", "tracking=none")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("4 jobs, 0 failed; models trained: 1, forward passes run: 16")
    found = records(tmp_path)
    assert len(found) == 4
    assert len({record.sweep for record in found}) == 1
    assert found[0].sweep
    assert sorted(record.command for record in found)[0].startswith("harness run dataset=npz dataset.path=tiny.npz")
    assert {re.search(r"seed=(\d)", record.command)[1] for record in found} == {"0", "1"}  # type: ignore[index]


def test_nothing_of_hydra_is_left_behind(harness: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    """A sweep leaves results and, out of the way, a store and what was swept; no log, no chatter of Hydra's."""
    answer = harness("run", "-m", *tiny, "seed=0", "tta=hflip,vflip", "tracking=none")
    assert {path.name for path in tmp_path.iterdir()} == {".harness", "results", "tiny.npz"}
    assert {path.name for path in (tmp_path / ".harness").iterdir()} == {"store", "sweeps"}
    assert [path.name for path in tmp_path.rglob("*") if path.name in (".hydra", "harness.log")] == []
    assert "HYDRA" not in answer.err
    assert "Future Hydra" not in answer.err


def test_the_same_sweep_again_costs_nothing_and_is_one_sweep(
    harness: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    """Issued again, it trains and runs nothing; what the first had not done would get the first one's tag."""
    line = ("run", "-m", *tiny, "seed=0", "tta=hflip,vflip", "tracking=none")
    harness(*line)
    (tag,) = {record.sweep for record in records(tmp_path)}
    removed = sorted(tmp_path.glob("results/*/record.json"))[0]
    removed.unlink()
    answer = harness(*line)
    assert "2 jobs, 0 failed; models trained: 0, forward passes run: 0" in answer.out
    assert {record.sweep for record in records(tmp_path)} == {tag}


def test_a_job_that_fails_costs_itself_only(harness: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    """The others run, the summary names the one that failed and why, exit code 3."""
    answer = harness("run", "-m", *tiny, "dataset.path=nope.npz,tiny.npz", "tta=hflip", "tracking=none")
    assert answer.code == 3
    assert "2 jobs, 1 failed" in answer.out
    (line,) = [line for line in answer.out.splitlines() if line.strip().startswith("failed")]
    assert "dataset.path=nope.npz" in line
    assert "cannot be read" in line or "no " in line
    assert len(records(tmp_path)) == 1
    assert "Traceback" not in answer.err


def test_a_defect_costs_its_own_job_only(
    harness: Any, tiny: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody foresaw ends one job, with its traceback; the others run, exit code 3."""
    from harness import runner

    choose, calls = runner.choose, []

    def broken(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        return choose(*arguments, **options)

    monkeypatch.setattr(runner, "choose", broken)
    answer = harness("run", "-m", *tiny, "tta=hflip,vflip", "tracking=none")
    assert (answer.code, "RuntimeError: a defect" in answer.out) == (3, True)
    assert len(records(tmp_path)) == 1


def test_a_misspelt_choice_stops_the_sweep_before_it_starts(
    harness: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    """What cannot be composed is found before the first job: one line, exit code 2, no result."""
    answer = harness("run", "-m", *tiny, "model=small_cnn,smal_cnn", "tta=hflip", "tracking=none")
    assert (answer.code, "did you mean small_cnn" in answer.error) == (2, True)
    assert records(tmp_path) == []


def test_a_study_is_swept_and_its_jobs_can_be_run_alone(harness: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    """A study's configuration holds in each job, and the command that a record keeps finds that record again."""
    folder = tmp_path / "experiments" / "first"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("# @package _global_\ndefaults:\n  - override /tta: [hflip]\n  - _self_\n")
    line = [*tiny, "study=first", "model.arguments={}", "seed=0", "tracking=none"]
    answer = harness("run", "-m", *line, "evaluation.seed=0,1")
    assert answer.code == 0, answer.err
    assert " evaluation.seed=1  " in answer.out
    assert [len(record.policies) for record in records(tmp_path)] == [2, 2]
    command = records(tmp_path)[0].command
    again = harness(*shlex.split(command)[1:])
    assert (again.code, again.trained, again.computed) == (0, 0, 0)
    assert len(records(tmp_path)) == 2


@pytest.mark.slow
def test_side_by_side_with_joblib(process: Any, database: Path, tmp_path: Path) -> None:
    """Two workers: as many trainings as models, the union of passes, one tag in MLflow, labelled lines, no bars."""
    line = ["dataset=fashion_mini,digits", "dataset.deny=[]", "model=small_cnn", "seed=0,1", "tta=hflip,flips", *JOBLIB]
    small = ["training.epochs=1", "dataset.limit_test=40", "evaluation.resamples=200"]
    done = process("run", "-m", *line, *small, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8 jobs, 0 failed; models trained: 4, forward passes run: 32" in done.stdout
    assert "HYDRA" not in done.stderr
    assert "\x1b" not in done.stderr
    assert all(line.startswith(("[dataset=", "warning")) for line in done.stderr.splitlines())
    (tag,) = {record.sweep for record in records(tmp_path)}
    with open_client(f"sqlite:///{database}") as client:
        experiment = client.get_experiment_by_name("tta")
        assert experiment is not None
        query = f"tags.`tta.sweep` = '{tag}' and tags.`tta.role` = 'job'"
        runs = client.search_runs([experiment.experiment_id], filter_string=query)
    assert [run.info.status for run in runs] == ["FINISHED"] * 8
    assert {path.name for path in tmp_path.iterdir()} <= {
        ".harness", ".mlflow.db.lock", "mlflow.db", "mlartifacts", "results",
    }  # fmt: skip


@pytest.mark.slow
def test_two_processes_over_one_store(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Two commands at once with different policies on one model: trained once, and the union of passes, each once."""
    np.savez(tmp_path / "tiny.npz", **arrays)
    base = ["dataset=npz", "dataset.path=tiny.npz", "training.epochs=3", "evaluation.resamples=200", "tracking=none"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "harness", "run", *base, f"tta={tta}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for tta in ("[d4,hflip,rotations]", "[flips,d4,zooms]")
    ]
    texts = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    counts = [re.search(r"models trained: (\d+), forward passes run: (\d+)", out) for out, _ in texts]
    # d4 has 8 views with those of hflip and flips among them, rotations adds 4, zooms 2; over two splits.
    assert sum(int(count[1]) for count in counts if count) == 1
    assert sum(int(count[2]) for count in counts if count) == 2 * (8 + 4 + 2)
