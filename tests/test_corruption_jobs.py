"""Corrupted copies of test, through a whole job: what they cost, and that their tables are right."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from harness.record_files import read_record
from harness.records import JobRecord

POLICIES = "tta=[hflip,vflip]"
VIEWS = 3  # of the two and identity
NOISE = ("corruption=gaussian_noise", "severity=3")


def run(harness: Any, *overrides: str) -> tuple[int, JobRecord, Path]:
    """Forward passes run, record and folder of a job that is expected to finish."""
    answer = harness("run", *overrides, "tracking=none")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.out.splitlines() if line.startswith("record: ")]
    folder = Path(line.removeprefix("record: "))
    return answer.computed, read_record(folder), folder


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """A job's table."""
    with (folder / "tables" / f"{name}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def logits(digest: str) -> dict[str, np.ndarray]:
    """What is stored for the split with this digest, by the view's name."""
    found = {}
    for side in Path(".harness/store/logits").rglob("*.json"):
        if json.loads(side.read_text(encoding="utf-8"))["identity"]["split"] == digest:
            found[side.stem.rpartition("-")[0]] = np.load(side.with_suffix(".npy")).astype(np.float64)
    return found


def test_a_copy_costs_each_view_once_more_and_then_nothing(harness: Any, tiny: tuple[str, ...]) -> None:
    """After the clean job one corruption at one severity costs V passes, the same again none, another V again."""
    clean, before, _ = run(harness, *tiny, POLICIES)
    assert clean == 2 * VIEWS
    computed, record, folder = run(harness, *tiny, POLICIES, *NOISE)
    assert computed == VIEWS
    assert record.job_metrics["cost/passes_required"] == 3 * VIEWS
    assert record.job_metrics["cost/passes_from_store"] == 2 * VIEWS
    assert run(harness, *tiny, POLICIES, *NOISE)[0] == 0
    shutil.rmtree(folder)
    assert run(harness, *tiny, POLICIES, *NOISE)[0] == 0
    assert run(harness, *tiny, POLICIES, "corruption=[gaussian_noise,fog]", "severity=[3,1]")[0] == 3 * VIEWS
    # What is chosen and reported does not know of the copies.
    assert record.recommendation == before.recommendation
    for one, other in zip(record.policies, before.policies, strict=True):
        assert other.metrics.items() <= one.metrics.items()
        assert {name.split("/")[0] for name in one.metrics.keys() - other.metrics.keys()} == {"corruptions"}


def test_the_tables_by_another_library(harness: Any, tiny: tuple[str, ...]) -> None:
    """Accuracy and calibrated NLL from the stored logits of the copy, gains over identity there, means and worst."""
    _, record, folder = run(harness, *tiny, POLICIES, "corruption=[gaussian_noise,contrast]", "severity=[3,5]")
    labels = np.load("tiny.npz")["y_test"]
    names = ["gaussian_noise:3", "gaussian_noise:5", "contrast:3", "contrast:5"]
    rows = {(row["policy"], row["corruption"]): row for row in table(folder, "corruptions")}
    assert list(rows) == [(policy, name) for name in names for policy in ("identity", "hflip", "vflip")]
    used = {"identity": ["identity"], "hflip": ["identity", "horizontal_flip"], "vflip": ["identity", "vertical_flip"]}
    for (policy, name), row in rows.items():
        stored = logits(record.dataset.splits[f"test@{name}"].digest)
        probs = np.mean([softmax(stored[view], axis=1) for view in used[policy]], axis=0)
        calibrated = softmax(np.log(probs) / (record.policy(policy).temperature or 0), axis=1)
        assert float(row["accuracy"]) == pytest.approx(accuracy_score(labels, probs.argmax(axis=1)), abs=1e-12)
        assert float(row["nll_calibrated"]) == pytest.approx(log_loss(labels, calibrated), rel=1e-9)
        plain = rows["identity", name]
        assert float(row["gain"]) == pytest.approx(float(row["accuracy"]) - float(plain["accuracy"]), abs=1e-12)
        gain = float(plain["nll_calibrated"]) - float(row["nll_calibrated"])
        assert float(row["nll_calibrated_gain"]) == pytest.approx(gain, abs=1e-9)
        assert float(row["gain_lower"]) <= float(row["gain"]) <= float(row["gain_upper"])
    assert len({row["accuracy"] for row in rows.values()}) > 2
    for row in table(folder, "corruptions_summary"):
        accuracies = {name: float(rows[row["policy"], name]["accuracy"]) for name in names}
        gains = {name: float(rows[row["policy"], name]["gain"]) for name in names}
        assert float(row["mean_accuracy"]) == pytest.approx(np.mean(list(accuracies.values())), abs=1e-12)
        assert float(row["mean_gain"]) == pytest.approx(np.mean(list(gains.values())), abs=1e-12)
        assert (float(row["worst_accuracy"]), float(row["worst_gain"])) == (
            min(accuracies.values()),
            min(gains.values()),
        )
        assert accuracies[row["worst_corruption"]] == min(accuracies.values())
        assert gains[row["worst_gain_corruption"]] == min(gains.values())


def test_the_record_knows_the_copies(harness: Any, tiny: tuple[str, ...]) -> None:
    """Each is a split with its own digest and as many images as test; the plan says what they will cost."""
    plan = harness("plan", *tiny, POLICIES, "corruption=all", "severity=2", "tracking=none")
    assert f"to compute      {(2 + 15) * VIEWS}" in plan.out
    _, record, _ = run(harness, *tiny, "tta=identity", "corruption=[snow,fog]", "severity=1")
    splits = record.dataset.splits
    assert list(splits) == ["train", "validation", "test", "test@snow:1", "test@fog:1"]
    assert splits["test@snow:1"].count == splits["test"].count == 75
    assert len({split.digest for split in splits.values()}) == 5


def test_official_arrays(harness: Any, tiny: tuple[str, ...]) -> None:
    """Where severity 3 of the array is the clean test itself, its rows are the leaderboard's; severity 1 is black."""
    arrays = np.load("tiny.npz")
    images = np.zeros((5, *arrays["x_test"].shape, 1), np.uint8)
    images[2] = arrays["x_test"][..., None]
    Path("official").mkdir()
    np.save("official/fog.npy", images.reshape(-1, 8, 8, 1))
    np.save("official/labels.npy", np.tile(arrays["y_test"], 5))
    asked = (POLICIES, "corruption=fog", "severity=[1,3]", "corruption_path=official")
    computed, record, folder = run(harness, *tiny, *asked)
    assert computed == 4 * VIEWS
    for row in table(folder, "corruptions"):
        metrics = record.policy(row["policy"]).metrics
        expected = metrics["test/accuracy"] if row["corruption"] == "fog:3" else 1 / 3
        assert float(row["accuracy"]) == pytest.approx(expected, abs=1e-12)
        if row["corruption"] == "fog:3":
            assert float(row["nll_calibrated"]) == pytest.approx(metrics["test/nll_calibrated"], rel=1e-9)
            assert float(row["gain_upper"]) == pytest.approx(metrics["gain/accuracy_upper"], abs=1e-12)


def test_copies_and_ids_of_a_folder(harness: Any, tmp_path: Path) -> None:
    """Images that are read from disk are corrupted as they are read; predictions are named after the files."""
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("validation", 6), ("test", 7)):
        for label, name in enumerate(("dark", "light")):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(60 * label, 120 + 60 * label, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / split / name / f"{index}.png")
    base = ("dataset=image_folder", "dataset.path=photos", "training.epochs=1", "training.batch_size=4")
    few = ("evaluation.resamples=100", "evaluation.folds=2")
    computed, record, folder = run(harness, *base, *few, "tta=hflip", *NOISE)
    assert computed == 3 * 2
    assert record.dataset.splits["test@gaussian_noise:3"].count == 14
    assert {row["corruption"] for row in table(folder, "corruptions")} == {"gaussian_noise:3"}
    predictions = pandas.read_parquet(folder / "predictions.parquet")
    named = predictions[predictions["policy"] == "hflip"]
    assert named["example"].is_unique
    assert named["example"].str.endswith("test/dark/3.png").sum() == 1
    assert [name.split("/")[-2] for name in named["example"]] == ["dark"] * 7 + ["light"] * 7
    assert named["label"].tolist() == [0] * 7 + [1] * 7
