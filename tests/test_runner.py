"""What a job costs, counted; and that what it finds depends on nothing but what was asked."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.record_files import read_record
from harness.records import JobRecord

SHARING = "tta=[hflip,vflip,flips,d4,rotations]"  # 2 + 2 + 4 + 8 + 5 views, of which 12 differ
UNION = 12


def record(folder: Path = Path("results")) -> JobRecord:
    """The only job's record."""
    (file,) = folder.glob("*/record.json")
    return read_record(file.parent)


def run(harness: Any, *overrides: str) -> Any:
    """A job that is expected to finish."""
    answer = harness("run", *overrides, "tracking=none")
    assert answer.code == 0, answer.err
    return answer


def test_policies_that_share_views_cost_the_union(harness: Any, tiny: tuple[str, ...]) -> None:
    """Five policies with 22 views, identity's included, cost the 12 that differ, over validation and test."""
    answer = run(harness, *tiny, SHARING)
    assert (answer.trained, answer.computed) == (0, 2 * UNION)
    assert f"{2 * UNION} instead of 44" in answer.err


def test_what_is_arithmetic_costs_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """Another aggregation, bootstrap seed, criterion or subset of policies costs no pass and no training."""
    run(harness, *tiny, SHARING)
    for change in (
        ["tta.d4.aggregation=[vote,max_probs]"],
        ["evaluation.seed=1"],
        ["evaluation.criterion=accuracy"],
        ["evaluation.level=0.9"],
        ["tta=[flips,rotations]"],
    ):
        answer = run(harness, *tiny, SHARING, *change)
        assert (answer.trained, answer.computed) == (0, 0), change
    assert len(list(Path("results").glob("*/record.json"))) == 6


def test_the_same_job_again_is_read_from_disk(harness: Any, tiny: tuple[str, ...]) -> None:
    """The same command trains nothing, runs nothing, says so, and leaves every file as it was, bit for bit."""
    run(harness, *tiny, "tta=hflip")
    before = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    answer = run(harness, *tiny, "tta=hflip")
    assert (answer.trained, answer.computed) == (0, 0)
    assert "everything was there already" in answer.out
    assert {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()} == before


def test_a_lost_record_is_made_again_from_the_store(harness: Any, tiny: tuple[str, ...]) -> None:
    """Without the results but with the store, no pass is run and every number has the same bits."""
    run(harness, *tiny, "tta=[hflip,d4]")
    before = record()
    shutil.rmtree("results")
    answer = run(harness, *tiny, "tta=[hflip,d4]")
    assert (answer.trained, answer.computed) == (0, 0)
    assert record().policies == before.policies


def test_a_deleted_store_costs_time_and_changes_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """The store is a cache: training and passes are repeated and give the same bits."""
    run(harness, *tiny, "tta=hflip")
    before = record()
    shutil.rmtree("results")
    shutil.rmtree(".harness")
    answer = run(harness, *tiny, "tta=hflip")
    assert (answer.trained, answer.computed) == (1, 4)
    assert (record().policies, record().model.digest) == (before.policies, before.model.digest)


def test_another_weight_costs_everything(harness: Any, tiny: tuple[str, ...]) -> None:
    """A checkpoint that differs in a single weight shares no logits with the first; the first's are still there."""
    keras = pytest.importorskip("harness.backend").keras
    (path,) = Path(".harness/store/models").glob("*/model.keras")
    model = keras.saving.load_model(path, compile=False)
    model.save("a.keras")
    weights = model.get_weights()
    weights[0].flat[0] += 1e-3
    model.set_weights(weights)
    model.save("b.keras")
    counts = []
    for name in ("a", "b", "a"):
        shutil.rmtree("results", ignore_errors=True)
        overrides = ["model=checkpoint", f"model.path={name}.keras", "model.preprocessing=none", "tta=hflip"]
        counts.append(run(harness, *tiny[:2], *overrides).computed)
    assert counts == [4, 4, 0]


def test_test_labels_decide_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """With shuffled test labels the choice, the temperatures and all validation numbers stay as they were."""
    run(harness, *tiny, SHARING)
    before = record()
    arrays = dict(np.load("tiny.npz"))
    arrays["y_test"] = np.random.default_rng(0).permutation(arrays["y_test"])
    np.savez("tiny.npz", **arrays)
    shutil.rmtree("results")
    run(harness, *tiny, SHARING)
    after = record()
    assert after.recommendation.policy == before.recommendation.policy
    for old, new in zip(before.policies, after.policies, strict=True):
        assert old.temperature == new.temperature
        for name, value in old.metrics.items():
            assert not name.startswith("validation/") or new.metrics[name] == value
    assert before.policy("identity").metrics["test/accuracy"] != after.policy("identity").metrics["test/accuracy"]


def test_a_damaged_item_is_computed_again(harness: Any, tiny: tuple[str, ...]) -> None:
    """A flipped byte in the store is found, said, and one pass repeated; the numbers are the same."""
    run(harness, *tiny, "tta=[hflip,d4]")
    before = record()
    file = sorted(Path(".harness/store/logits").rglob("*.npy"))[3]
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    shutil.rmtree("results")
    answer = run(harness, *tiny, "tta=[hflip,d4]")
    assert answer.computed == 1
    assert "damaged" in answer.err
    assert record().policies == before.policies


def test_a_shared_store(harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With HARNESS_STORE two folders share one store: the second trains and runs nothing."""
    shutil.move(".harness/store", "shared")
    monkeypatch.setenv("HARNESS_STORE", str(tmp_path / "shared"))
    assert run(harness, *tiny, "tta=hflip").computed == 4
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy("tiny.npz", other)
    monkeypatch.chdir(other)
    answer = run(harness, *tiny, "tta=hflip")
    assert (answer.trained, answer.computed) == (0, 0)
    assert not Path(".harness").exists()


def test_predictions_name_every_example_of_every_policy(harness: Any, tiny: tuple[str, ...]) -> None:
    """`predictions.parquet` has P x N rows; its hit rate is the leaderboard's accuracy."""
    pandas = pytest.importorskip("pandas")
    run(harness, *tiny, "tta=[hflip,d4]")
    (file,) = Path("results").glob("*/predictions.parquet")
    table = pandas.read_parquet(file)
    assert len(table) == 3 * 75
    for policy in record().policies:
        rows = table[table["policy"] == policy.name]
        assert (rows["predicted"] == rows["label"]).mean() == pytest.approx(policy.metrics["test/accuracy"], abs=1e-12)


def test_progress_and_answer_do_not_mix(harness: Any, tiny: tuple[str, ...]) -> None:
    """The answer goes to standard output, the plan and progress to standard error."""
    answer = run(harness, *tiny, "tta=hflip")
    assert "forward passes  4" in answer.err
    assert "forward passes  4" not in answer.out
    assert "record: results/" in answer.out


def test_plan_writes_and_runs_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """`plan` says what a job would cost; after it the folder holds the same files."""
    before = sorted(path for path in Path().rglob("*") if path.is_file())
    answer = harness("plan", *tiny, SHARING, "tracking=none")
    assert (answer.code, answer.err) == (0, "")
    assert f"to compute      {2 * UNION}" in answer.out
    assert sorted(path for path in Path().rglob("*") if path.is_file()) == before
