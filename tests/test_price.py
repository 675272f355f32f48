"""`harness price`: a job's policies timed as deployed models, never from stored logits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.commands import price
from harness.export import deployable
from harness.latency import LEAST
from harness.latency_record import read_latency
from tests.conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def job(
    harness: Command, tiny: tuple[str, ...], database: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Command, Path, list[str]]:
    """A finished job that is in MLflow, its folder, and the policies that are turned into models to be timed."""
    monkeypatch.setattr(price, "SECONDS", 0.0)
    assert database.exists()
    # A random view and an exit, beside what is plain: the first cannot be deployed.
    policies = (
        "{flips: {views: [identity, vertical_flip]}, random: {views: [identity, {kind: random_flip, copies: 2}]}}"
    )
    answer = harness("run", *tiny, f"+tta={policies}", "tta=hflip")
    assert answer.code == 0, answer.err
    (folder,) = Path("results").iterdir()
    made: list[str] = []
    build = deployable.deployable

    def counted(opened: Any, name: str) -> Any:
        made.append(name)
        return build(opened, name)

    monkeypatch.setattr(deployable, "deployable", counted)
    return harness, folder, made


def test_policies_are_timed_beside_identity(job: tuple[Command, Path, list[str]]) -> None:
    """Each named one and identity, alone and in batches; the numbers are kept, shown, on the page and in MLflow."""
    harness, folder, made = job
    answer = harness("price", folder.name, "--policy", "hflip", "--serving-batch", "8")
    assert answer.code == 0, answer.err
    assert made == ["identity", "hflip"]
    latency = read_latency(folder)
    assert latency is not None
    assert [(one.policy, one.batch, one.queries) for one in latency.timings] == [
        ("identity", 1, LEAST),
        ("hflip", 1, LEAST),
        ("identity", 8, LEAST),
        ("hflip", 8, LEAST),
    ]
    assert all(set(one.milliseconds) == {"p50"} and one.milliseconds["p50"] > 0 for one in latency.timings)
    assert "hflip" in answer.out
    assert latency.machine.split(",")[0] in answer.out
    client = MlflowClient("sqlite:///mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'tta'")
    runs = client.search_runs([experiment.experiment_id], "tags.`tta.role` = 'policy'")
    timed = {run.info.run_name: run.data.metrics.get("cost/latency_ms_p50") for run in runs}
    assert timed["hflip"] == pytest.approx(latency.timings[1].milliseconds["p50"], rel=1e-5)


def test_what_cannot_be_a_model_is_said(job: tuple[Command, Path, list[str]]) -> None:
    """The others are timed all the same; `--json` holds what the file holds."""
    harness, folder, _ = job
    answer = harness("price", str(folder), "--policy", "random", "--policy", "flips", "--json", "tracking=none")
    assert answer.code == 0, answer.err
    printed = json.loads(answer.out)
    assert {one["policy"] for one in printed["timings"]} == {"identity", "flips"}
    assert any(note.startswith("random is not timed: ") for note in printed["notes"])
    assert printed == json.loads((folder / "latency.json").read_text(encoding="utf-8"))


def test_mistakes_are_one_line(job: tuple[Command, Path, list[str]]) -> None:
    """Said before anything is loaded, with the nearest name."""
    harness, folder, made = job
    for arguments, message in (
        (["--policy", "hflop"], "unknown policy of .*'hflop'.*hflip"),
        (["--serving-batch", "1"], "expected 2 images or more, got 1"),
    ):
        answer = harness("price", str(folder), *arguments)
        assert answer.code == 2
        assert re.search(message, answer.error)
    assert made == []
