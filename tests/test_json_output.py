"""What `--json` prints is one strict JSON value on standard output, and everything else is on standard error."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.json_output import print_json


def strict(text: str) -> Any:
    """The one JSON value of a text; NaN and Infinity, which are none, are refused."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_none_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and the infinities are null wherever they stand; tuples are lists, and text keeps its characters."""
    print_json({"a": [float("nan"), 1.5, (float("inf"), 2)], "b": {"c": -float("inf")}, "ü": "→"})
    assert strict(capsys.readouterr().out) == {"a": [None, 1.5, [None, 2]], "b": {"c": None}, "ü": "→"}


def test_a_job(harness: Any, tiny: tuple[str, ...]) -> None:
    """`run --json` holds the folder, the recommendation, a row a policy with its metrics, and what was done.

    The numbers are those of `record.json`; the plan and the progress are on standard error.
    """
    answer = harness("run", *tiny, "tta=[hflip,d4]", "tracking=none", "--json")
    found = strict(answer.out)
    record = json.loads((Path(found["folder"]) / "record.json").read_text())
    assert (answer.code, found["models_trained"], found["passes_computed"]) == (0, 0, 16)
    assert found["recommendation"]["policy"] == record["recommendation"]["policy"]
    assert [row["policy"] for row in found["leaderboard"] if row["chosen"]] == [found["recommendation"]["policy"]]
    metrics = {policy["name"]: policy["metrics"] for policy in record["policies"]}
    assert {row["policy"] for row in found["leaderboard"]} == {"identity", "hflip", "d4"}
    for row in found["leaderboard"]:
        assert row["metrics"]["test/accuracy"] == metrics[row["policy"]]["test/accuracy"]
        assert row["metrics"]["gain/nll_calibrated_lower"] == metrics[row["policy"]]["gain/nll_calibrated_lower"]
    assert (found["run_id"], found["tracking_error"]) == (None, None)
    assert "forward passes" in answer.err


def test_a_sweep_is_a_list_with_a_cell_each(harness: Any, tiny: tuple[str, ...]) -> None:
    """One cell a job; a job that fails has its exit code and line, and no result; the sweep's exit code is 3."""
    answer = harness("run", "-m", "--json", *tiny, "tta=hflip", "tracking=none", "evaluation.folds=5,999")
    good, bad = strict(answer.out)
    assert answer.code == 3
    assert (good["job"], good["exit_code"], good["error"]) == ("evaluation.folds=5", 0, None)
    assert {row["policy"] for row in good["result"]["leaderboard"]} == {"identity", "hflip"}
    assert (bad["exit_code"], bad["result"], "fewer than" in bad["error"]) == (2, None, True)


def test_an_error_stays_one_line_and_prints_no_json(harness: Any) -> None:
    """With --json a mistake is one line on standard error, its exit code, and nothing on standard output."""
    answer = harness("run", "--json", "datset=digits")
    assert (answer.code, answer.out) == (2, "")
    assert "datset" in answer.error


def test_a_plan_and_a_configuration(harness: Any, tiny: tuple[str, ...]) -> None:
    """`plan --json` counts as the plan does; `run --cfg --json` is the configuration."""
    planned = strict(harness("plan", *tiny, "tta=[hflip,d4]", "tracking=none", "--json").out)
    assert {key: planned[key] for key in ("views", "passes", "passes_asked", "to_compute", "examples")} == {
        "views": 8, "passes": 16, "passes_asked": 22, "to_compute": 16, "examples": 8 * (60 + 75),
    }  # fmt: skip
    assert [len(policy["views"]) for policy in planned["policies"]] == [1, 2, 8]
    assert (planned["finished"], planned["trains"]) == (False, False)
    config = strict(harness("run", *tiny, "--cfg", "--json").out)
    assert config["training"]["epochs"] == 2


def test_listings(harness: Any) -> None:
    """One listing is a list of names and texts, all of them a mapping of such lists."""
    one, everything = strict(harness("list", "datasets", "--json").out), strict(harness("list", "--json").out)
    assert everything["datasets"] == one
    assert {"name": "digits"}.items() <= {entry["name"]: entry for entry in one}["digits"].items()
    assert len(everything) == 9


def test_a_combination(harness: Any, tiny: tuple[str, ...]) -> None:
    """`combine --json` has the rows of its tables: the mean accuracy is that of the two jobs."""
    folders = [
        strict(harness("run", *tiny, "tta=hflip", "tracking=none", "training.epochs=0", f"seed={seed}", "--json").out)
        for seed in (0, 1)
    ]
    (found,) = strict(harness("combine", "--json").out)
    alone = [{row["policy"]: row["metrics"]["test/accuracy"] for row in one["leaderboard"]}["hflip"] for one in folders]
    rows = {row["policy"]: row for row in found["policies"]}
    assert (found["seeds"], found["examples"]) == ([0, 1], 75)
    assert rows["hflip"]["accuracy"] == pytest.approx(sum(alone) / 2)
    assert {row["policy"] for row in found["variance"]} == {"hflip"}
