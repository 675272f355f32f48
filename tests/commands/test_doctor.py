"""`harness doctor`: its lines, its exit code, and that it changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.commands import doctor
from harness.doctor.check import Check

FINE = [Check("tensorflow", "ok", "2.21.0"), Check("devices", "ok", "no GPU")]


@pytest.fixture
def tensorflow(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What is found out about TensorFlow, which takes seconds to load; a test may change it."""
    found = list(FINE)
    monkeypatch.setattr(doctor, "check_tensorflow", lambda: found)
    return found


def test_all_is_well(harness: Any, tensorflow: list[Check]) -> None:
    """Every check is a line with its status first; exit code 0; nothing was made."""
    answer = harness("doctor")
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert [line[0] for line in lines] == ["ok"] * len(lines)
    assert [line[1] for line in lines] == [
        "python", "packages", "tensorflow", "devices", "configuration", "tracker", "store", "disk",
    ]  # fmt: skip
    assert list(Path().iterdir()) == []
    assert len(tensorflow) == 2


def test_problems_have_a_remedy_and_an_exit_code(harness: Any, tensorflow: list[Check]) -> None:
    """Without TensorFlow and with a tracker that is away, everything else is still told; exit code 6."""
    tensorflow[:] = [Check("tensorflow", "problem", "not installed", "pip install 'tta-harness[cpu]'")]
    answer = harness("doctor", "tracking.uri=http://127.0.0.1:9", "--json")
    found = json.loads(answer.out)
    checks = {one["check"]: one for one in found["checks"]}
    assert (answer.code, found["ok"]) == (6, False)
    assert {name for name, one in checks.items() if one["status"] == "problem"} == {"tensorflow", "tracker"}
    assert all(one["remedy"] for one in checks.values() if one["status"] != "ok")
    assert {"store", "disk", "packages"} <= set(checks)


def test_warnings_are_no_problem(harness: Any, tensorflow: list[Check]) -> None:
    """A warning leaves the exit code at 0."""
    tensorflow[1] = Check("devices", "warning", "no GPU found", "nvidia-smi")
    answer = harness("doctor")
    assert (answer.code, "warning" in answer.out, "nvidia-smi" in answer.out) == (0, True, True)


def test_a_configuration_that_is_broken(harness: Any, tensorflow: list[Check], tmp_path: Path) -> None:
    """A user's file that cannot be read is one problem among the lines, not the end of them."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "harness.yaml").write_text("defaults: [\n")
    answer = harness("doctor")
    assert answer.code == 6
    assert [line.split()[1] for line in answer.out.splitlines() if line.startswith("problem")] == ["configuration"]
    assert tensorflow


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_lines_fit(harness: Any, tensorflow: list[Check], monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Whatever the width, no line is wider, and nothing is cut off."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = harness("doctor").out.splitlines()
    assert max(len(line) for line in lines) <= width
    words = " ".join(lines).split()
    assert {"python", "no", "GPU", "made", "by", "job", "results,"} <= {word.rstrip(":") for word in words}
    assert tensorflow


def test_the_real_tensorflow(process: Any, tmp_path: Path) -> None:
    """In a process of its own, from the probe to the exit code, without MLflow being loaded."""
    after = "print('mlflow' in sys.modules, 'tensorflow' in sys.modules)"
    done = process("doctor", "--json", folder=tmp_path, after=after)
    text, _, loaded = done.stdout.strip().rpartition("\n")
    found = {one["check"]: one for one in json.loads(text)["checks"]}
    assert (done.returncode, found["tensorflow"]["status"], loaded) == (0, "ok", "False False")
    assert "cores" in found["devices"]["text"]
