"""What a job costs, counted; and that what it finds depends on nothing but what was asked."""

import csv
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


def examples_of(folder: Path) -> list[str]:
    """The ids of the test examples in a job's predictions for identity, in their order."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(folder / "predictions.parquet")
    return list(table[table["policy"] == "identity"]["example"])


def test_examples_keep_their_names(harness: Any, tiny: tuple[str, ...]) -> None:
    """Each has one name; of a part of test they are the names that the same images have in all of it."""
    run(harness, *tiny, "tta=identity")
    (folder,) = Path("results").iterdir()
    names = examples_of(folder)
    assert names == [f"test/{place}" for place in range(75)]
    shutil.rmtree("results")
    run(harness, *tiny, "tta=identity", "dataset.limit_test=20")
    (folder,) = Path("results").iterdir()
    few = examples_of(folder)
    assert len(set(few)) == 20
    labels = np.load("tiny.npz")["y_test"]
    pandas = pytest.importorskip("pandas")
    found = pandas.read_parquet(folder / "predictions.parquet")["label"].tolist()
    assert found == [labels[names.index(name)] for name in few]


def test_a_denied_transform_leaves_a_policy_out(harness: Any, tiny: tuple[str, ...]) -> None:
    """Its views are not run, the job says so, and so does the record; another deny list is another job."""
    answer = run(harness, *tiny, "tta=[hflip,vflip]", "dataset.deny=[vertical_flip]")
    assert answer.computed == 2 * 2
    note = "policy vflip left out: dataset.deny names vertical_flip (dataset.deny=[] allows it)"
    assert note in answer.err.splitlines()
    assert note in record().dataset.notes
    assert [policy.name for policy in record().policies] == ["identity", "hflip"]
    answer = run(harness, *tiny, "tta=[hflip,vflip]")
    assert (answer.computed, "left out" in answer.err) == (2, False)


def test_all_outcomes_of_a_random_flip_are_the_views_of_hflip(harness: Any, tiny: tuple[str, ...]) -> None:
    """They cost nothing more and give the same numbers; each view seed is a policy with passes of its own."""
    flip = "+tta.exact.views=[{kind:random_flip,copies:all}]"
    assert run(harness, *tiny, "tta=hflip", flip).computed == 2 * 2
    found = record()
    assert found.policy("exact").views == found.policy("hflip").views
    assert found.policy("exact").metrics == found.policy("hflip").metrics
    shutil.rmtree("results")
    tossed = ("+tta.toss.views=[{kind:random_flip,copies:2}]", "+tta.toss.view_seeds=[0,1]")
    assert run(harness, *tiny, "tta=hflip", *tossed).computed == 2 * 2 * 2
    found = record()
    assert [policy.name for policy in found.policies] == ["identity", "hflip", "toss.seed0", "toss.seed1"]
    assert found.policy("toss.seed0").metrics["test/nll"] != found.policy("toss.seed1").metrics["test/nll"]
    with Path(f"results/{next(Path('results').iterdir()).name}/tables/view_seeds.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    accuracies = [found.policy(f"toss.seed{seed}").metrics["test/accuracy"] for seed in (0, 1)]
    assert (row["policy"], float(row["view_seeds"])) == ("toss", 2)
    assert float(row["accuracy"]) == pytest.approx(np.mean(accuracies))


def test_images_that_test_repeats_are_warned_about(harness: Any, tiny: tuple[str, ...]) -> None:
    """Validation images that are test images again: told before the passes, with the answer, and in the record."""
    arrays = dict(np.load("tiny.npz"))
    np.savez("tiny.npz", **{**arrays, "x_validation": arrays["x_test"], "y_validation": arrays["y_test"]})
    answer = run(harness, *tiny, "tta=identity")
    text = "75 validation images occur in test as well, byte for byte; scores on test may be too good"
    assert f"warning: {text}" in answer.err.splitlines()
    assert text in record().warnings
    assert "75 validation images occur in test" in " ".join(answer.out.replace("│", " ").split())


def test_a_model_that_mixes_its_batch_is_warned_about(harness: Any, tiny: tuple[str, ...]) -> None:
    """A checkpoint whose layer takes the batch's mean off: its logits depend on the company, and the job says so."""
    keras = pytest.importorskip("harness.backend").keras
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(inputs)
    mixed = flat - keras.ops.mean(flat, axis=0, keepdims=True)
    keras.Model(inputs, keras.layers.Dense(3)(mixed)).save("mixing.keras")
    checkpoint = ("model=checkpoint", "model.path=mixing.keras", "model.preprocessing=none", "model.output=logits")
    answer = run(harness, *tiny[:2], *checkpoint, "tta=identity")
    assert "alone other logits than in a batch" in " ".join(answer.out.replace("│", " ").split())
    assert any("depend on the company" in text for text in record().warnings)
    assert record().job_metrics["probe/alone_difference"] > 0.01
    shutil.rmtree("results")
    run(harness, *tiny, "tta=identity")
    assert 0 <= record().job_metrics["probe/alone_difference"] < 1e-4
    assert not any("alone" in text for text in record().warnings)


def test_a_checkpoint_with_its_classes_in_another_order(harness: Any, tiny: tuple[str, ...]) -> None:
    """A model of brightness on labels that count otherwise: the job says in which order the outputs make sense."""
    keras = pytest.importorskip("harness.backend").keras
    inputs = keras.Input((8, 8, 1))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(mean))
    model.layers[-1].set_weights([np.array([[0.0, 1.0, 2.0]]), np.array([0.0, -90.0, -240.0])])  # dark, medium, bright
    model.save("bright.keras")
    checkpoint = ("model=checkpoint", "model.path=bright.keras", "model.preprocessing=none", "model.output=logits")
    run(harness, *tiny[:2], *checkpoint, "tta=identity")
    assert not any("outputs named" in text for text in record().warnings)
    arrays = dict(np.load("tiny.npz"))
    np.savez("tiny.npz", **arrays | {name: (arrays[name] + 1) % 3 for name in arrays if name.startswith("y_")})
    shutil.rmtree("results")
    run(harness, *tiny[:2], *checkpoint, "tta=identity")
    (said,) = [text for text in record().warnings if "outputs named" in text]
    assert 'outputs named ["1", "2", "0"]' in said
    (table,) = Path("results").glob("*/tables/class_order.csv")
    assert table.read_text().split() == ["class_of_output,seems_to_be", "0,1", "1,2", "2,0"]


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
