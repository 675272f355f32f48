"""What is loaded when: heavy libraries come in when they are needed and not before."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"tensorflow", "keras", "mlflow", "sklearn", "pandas", "altair", "vl_convert", "scipy", "pyarrow", "sqlalchemy"}
HYDRA = {"hydra", "omegaconf"}


def loaded(*arguments: str, folder: Path) -> set[str]:
    """The top-level packages that `harness ARGUMENTS` loads in a process of its own."""
    command = [sys.executable, "-X", "importtime", "-m", "harness", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    names = (line.split("|")[-1].strip() for line in done.stderr.splitlines() if "import time:" in line)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("--version",)])
def test_help_loads_next_to_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`--help` and `--version` answer without any library of numbers, configuration or tracking."""
    assert loaded(*arguments, folder=tmp_path) & (HEAVY | HYDRA | {"numpy", "pydantic", "rich"}) == set()


@pytest.mark.parametrize("arguments", [("list",), ("list", "policies")])
def test_list_is_light(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`list` reads YAML and our tables; it needs neither Hydra nor any of the heavy libraries."""
    assert loaded(*arguments, folder=tmp_path) & (HEAVY | HYDRA) == set()


REPORT = "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"


def run(process: Any, folder: Path, *arguments: str) -> tuple[str, set[str]]:
    """What the command prints, and what it had loaded at its end."""
    done = process(*arguments, folder=folder, after=REPORT)
    assert done.returncode == 0, done.stderr
    text, _, names = done.stdout.partition("LOADED ")
    return text, set(names.split())


def test_a_job_whose_passes_are_stored_loads_no_tensorflow(
    harness: Any, process: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    """A plan, the same job again, and one with another aggregation, do without TensorFlow and Keras.

    Numbers that are on disk already need no pictures either.
    """
    harness("run", *tiny, "tta=[hflip,d4]", "tracking=none")
    for command, change in (("plan", ()), ("run", ()), ("run", ("tta.d4.aggregation=vote",))):
        text, names = run(process, tmp_path, command, *tiny, "tta=[hflip,d4]", "tracking=none", *change)
        assert names & {"tensorflow", "keras", "mlflow", "sklearn"} == set(), command
        assert command == "plan" or re.search(r"models trained: 0, forward passes run: 0", text)
        assert change or names & {"altair", "vl_convert", "jinja2"} == set()
