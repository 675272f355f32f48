"""Under which conditions a job ran, for its record."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.run_conditions import code_conditions, cores, machine_conditions


def test_what_the_passes_ran_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each condition once, several where passes ran on several; settings only where they are set."""
    for name in ("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    notes = [{"device": "CPU", "threads": 2}, {"device": "GPU", "threads": 2}, {}]
    found = machine_conditions(notes)
    assert found["passes: device"] == "CPU and GPU"
    assert found["passes: threads"] == "2"
    assert {name for name in found if name.isupper()} == {"TF_ENABLE_ONEDNN_OPTS"}
    assert found["processor"] and found["cores"] == str(cores())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs the affinity of Linux")
def test_cores_are_those_that_may_be_used() -> None:
    """`taskset` gives a process fewer than the machine has, and TensorFlow as many threads."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_uncommitted_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a repository nothing is said; a changed file that git knows counts, an unknown one does not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    versions = {"evaluation": "4", "inference": "1"}
    assert code_conditions(evaluation=4, inference=1) == versions

    def git(*words: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *words], check=True, capture_output=True)

    git("init")
    Path("known").write_text("1")
    git("add", "known")
    git("commit", "-m", "first")
    Path("unknown").write_text("1")
    assert code_conditions(evaluation=4, inference=1) == {**versions, "uncommitted changes": "no"}
    Path("known").write_text("2")
    assert code_conditions(evaluation=4, inference=1) == {**versions, "uncommitted changes": "yes"}
