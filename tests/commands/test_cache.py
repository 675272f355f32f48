"""`harness cache`: what a person sees of the store, its exit codes, and why a job hits or misses."""

import json
from pathlib import Path
from typing import Any

import pytest

STORE = Path(".harness/store")


def test_a_store_after_a_job(harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`ls` has a line for the model and one a pass, `du` the sums, each fits its width; `verify` finds them sound."""
    harness("run", *tiny, "tta=hflip", "tracking=none")
    lines = harness("cache", "ls").out.splitlines()
    assert [line.split() for line in lines[1:]][1][1:4] == ["test", "horizontal_flip", "75x3"]
    assert len(lines) == 1 + 1 + 4
    found = json.loads(harness("cache", "ls", "--json").out)
    total = json.loads(harness("cache", "du", "--json").out)
    assert total["bytes"] == sum(item["bytes"] for item in found)
    assert {(row["of"], row["items"]) for row in total["by"]} == {("model", 1), ("validation", 2), ("test", 2)}
    answer = harness("cache", "verify", "--json")
    assert (answer.code, json.loads(answer.out)["checked"], json.loads(answer.out)["damaged"]) == (0, 5, [])
    for width in (40, 60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        for action in ("ls", "du", "verify"):
            assert max(len(line) for line in harness("cache", action).out.splitlines()) <= width


def test_damage_is_found_and_mended(harness: Any, tiny: tuple[str, ...]) -> None:
    """`verify` ends with 6 and names what it set aside; `gc` shows it, then removes it; a job makes it again."""
    harness("run", *tiny, "tta=hflip", "tracking=none")
    array = next(STORE.rglob("horizontal_flip*.npy"))
    array.write_bytes(array.read_bytes()[:-1] + b"!")
    answer = harness("cache", "verify")
    assert (answer.code, f"damaged: {array}" in answer.out, "1 damaged" in answer.out) == (6, True, True)
    assert harness("cache", "verify").code == 0
    shown = harness("cache", "gc", "--dry-run").out
    assert f"{array.name}.damaged" in shown and "2 items" in shown and "would go" in shown
    assert list(STORE.rglob("*.damaged"))
    assert "2 items" in harness("cache", "gc").out
    assert not list(STORE.rglob("*.damaged"))
    assert harness("run", *tiny, "tta=hflip", "tracking=none", "output=again").computed == 1


def test_everything_may_go(harness: Any, tiny: tuple[str, ...]) -> None:
    """`--max-size 0B` empties the store, and says the same as its dry run; an empty store is said to be."""
    harness("run", *tiny, "tta=hflip", "tracking=none")
    planned = json.loads(harness("cache", "gc", "--max-size", "0B", "--dry-run", "--json").out)
    done = json.loads(harness("cache", "gc", "--max-size", "0B", "--json").out)
    assert (planned.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert planned == done
    assert "is empty" in harness("cache", "ls").out


@pytest.mark.parametrize(
    "line", ["cache", "cache no", "cache ls --dry-run", "cache gc --older-than 5", "cache gc --max-size big"]
)
def test_wrong_usage_is_one_line(harness: Any, line: str) -> None:
    """An action, flag or number that does not exist: exit code 2 and where help is."""
    answer = harness(*line.split())
    assert (answer.code, " -h`" in answer.error) == (2, True)


def test_why_a_job_misses(harness: Any, tiny: tuple[str, ...]) -> None:
    """Hits are counted; a new view, fewer test images and another training each name the field that changed."""
    harness("run", *tiny, "tta=[hflip,rotations]", "tracking=none")
    job = ("cache", "explain", *tiny, "tracking=none")
    assert "passes: 4 of 4 hit" in harness(*job, "tta=hflip").out
    view = harness(*job, "+tta.mine.views=[identity,{kind: rotate, degrees: 15}]", "tta=hflip").out
    assert "view: rotate degrees 10 → 15" in view
    fewer = json.loads(harness(*job, "tta=hflip", "dataset.limit_test=30", "--json").out)
    missed = [one for one in fewer["passes"] if not one["hit"]]
    assert {one["split"] for one in missed} == {"test"}
    assert {(change["stored"], change["asked"]) for one in missed for change in one["changes"]} == {(75, 30)}
    other = harness(*job, "training.epochs=5").out
    assert "model: miss" in other
    assert [line.strip() for line in other.splitlines() if line.startswith("  ")] == ["training.epochs 2 → 5"]
    batch = harness(*job, "tta=hflip", "batch_size=7").out
    assert "engine exact-float32 → exact-float32-batch7" in batch


def test_explaining_changes_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """No model is trained, no folder made, no tracker touched."""
    before = sorted(str(path) for path in Path().rglob("*"))
    assert harness("cache", "explain", *tiny, "tta=hflip", "seed=9").code == 0
    assert sorted(str(path) for path in Path().rglob("*")) == before


def test_why_a_checkpoint_must_be_looked_into(harness: Any, tiny: tuple[str, ...]) -> None:
    """First nothing is known of it; after a job it is a hit; with another setting that setting is named."""
    (path,) = STORE.rglob("model.keras")
    job = (*tiny, "model=checkpoint", f"model.path={path}", "tta=identity", "tracking=none")
    assert "nothing was found out about this checkpoint" in harness("cache", "explain", *job).out
    assert harness("run", *job).code == 0
    assert "model: hit" in harness("cache", "explain", *job).out
    assert "model.output auto → probs" in harness("cache", "explain", *job, "model.output=probs").out
