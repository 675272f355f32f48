"""The record of a finished job: complete, exact, and enough to run it again."""

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import accuracy_score, log_loss

from harness import build
from harness.compose import compose
from harness.config import parse
from harness.fingerprint import array_digest
from harness.job_record import config_text, versions
from harness.logspace import log_softmax
from harness.record_files import read_record


@pytest.fixture
def folder(harness: Any, tiny: tuple[str, ...]) -> Path:
    """The results of a tiny job with two policies beside identity."""
    answer = harness("run", *tiny, "tta=[hflip,tutorial]", "question=Does it pay?", "tracking=none")
    assert answer.code == 0, answer.err
    (found,) = Path("results").iterdir()
    return found.absolute()


def test_every_file_is_there(folder: Path) -> None:
    """The folder holds record, configuration, environment, tables, predictions, what was learned, pictures, page."""
    plots = ("gains", "accuracy_price", "nll_price", "copies", "reliability", "reliability_calibrated")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.name.startswith(".")}
    gallery = {name for name in found if name.startswith("gallery/")}
    assert "gallery/gallery.json" in gallery
    assert found - gallery == {
        "config.yaml", "environment.txt", "leaderboard.csv", "leaderboard.parquet", "predictions.parquet",
        "record.json", "fitted.json", "hardest_images.json", "report.html", "gallery", "plots",
        *(f"plots/{name}.{suffix}" for name in plots for suffix in ("png", "svg")), "plots/views.png",
        "tables", "tables/views.csv", "tables/views_by_class.csv", "tables/agreement.csv",
        "tables/error_correlation.csv", "tables/copies.csv", "tables/conformal_by_class.csv",
    }  # fmt: skip


def test_the_stored_configuration_is_the_one_that_ran(folder: Path) -> None:
    """`config.yaml` parses into the same policies, data and settings: it is data, and complete."""
    stored = parse(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    assert stored.question == "Does it pay?"
    assert stored.dataset.kind == "npz"
    again = parse(yaml.safe_load(config_text(stored)))
    assert again == stored
    assert [policy.name for policy in build.policies(stored)[0]] == ["identity", "hflip", "tutorial"]


@pytest.mark.parametrize("name", ["tta=suite/standard", "tta=random_affine", "dataset=cifar10", "model=resnet20"])
def test_configurations_survive_being_written(name: str) -> None:
    """Written as YAML and read again, a configuration is the same one."""
    config = compose([name])
    assert parse(yaml.safe_load(config_text(config))) == config


def test_identity_numbers_agree_with_scikit_learn(folder: Path) -> None:
    """Accuracy and NLL of the plain prediction are those of the stored logits, by another library."""
    record = read_record(folder)
    data = np.load("tiny.npz")
    (test,) = [
        file
        for file in Path(".harness/store/logits").rglob("*.npy")
        if file.name.startswith("identity") and len(np.load(file)) == len(data["y_test"])
    ]
    log_probs = log_softmax(np.load(test))
    metrics = record.policy("identity").metrics
    assert accuracy_score(data["y_test"], log_probs.argmax(1)) == pytest.approx(metrics["test/accuracy"], abs=1e-12)
    assert log_loss(data["y_test"], np.exp(log_probs), labels=[0, 1, 2]) == pytest.approx(metrics["test/nll"], rel=1e-6)


def test_numbers_have_their_documented_names(folder: Path) -> None:
    """Four prefixes, and nothing else; fractions and never percent."""
    record = read_record(folder)
    for policy in record.policies:
        assert {name.split("/")[0] for name in policy.metrics} == {
            "test", "validation", "gain", "cost", "optimism", "conformal",
        }  # fmt: skip
        assert 0 <= policy.metrics["test/accuracy"] <= 1
        assert policy.metrics["cost/passes"] == len(policy.views) == len(policy.view_keys)
        gain = policy.metrics["test/accuracy"] - record.policy("identity").metrics["test/accuracy"]
        assert policy.metrics["gain/accuracy"] == pytest.approx(gain, abs=1e-12)
        moved = policy.metrics["gain/corrected"] - policy.metrics["gain/corrupted"]
        assert moved / 75 == pytest.approx(gain, abs=1e-12)
    assert record.job_metrics["cost/passes_required"] == record.job_metrics["cost/passes_computed"] == 2 * 9
    assert record.job_metrics["cost/passes_from_store"] == 0
    assert record.job_metrics["cost/model_from_cache"] == 1


def test_the_record_says_what_was_asked_and_what_came_out(folder: Path) -> None:
    """Data, model, command and versions are named; the text is strict JSON."""
    record = read_record(folder)
    assert (record.dataset.name, record.dataset.class_names) == ("tiny", ("0", "1", "2"))
    assert {name: split.count for name, split in record.dataset.splits.items()} == {
        "train": 96, "validation": 60, "test": 75,
    }  # fmt: skip
    assert (record.model.kind, record.model.input_shape, record.model.source) == (
        "small_cnn",
        (8, 8, 1),
        "trained here",
    )
    assert len(record.model.digest) == len(str(record.model.fingerprint)) == 64
    assert record.command.startswith("harness run dataset=npz dataset.path=tiny.npz")
    assert {"python", "numpy", "keras", "tta-harness"} <= set(versions()) <= set(record.versions)
    assert {"evaluation", "inference", "processor", "cores", "passes: device", "passes: threads"} <= set(
        record.versions
    )
    assert record.dataset.splits["test"].labels == array_digest(np.arange(75) % 3)
    text = (folder / "record.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["job_id"] == record.job_id
    assert asdict(record)["schema"] == 2


def test_what_a_policy_learned_is_enough_to_apply_it(harness: Any, tiny: tuple[str, ...]) -> None:
    """`fitted.json`: with its weights and temperature, stored logits give the numbers of the leaderboard again."""
    learned = ("augtta", "gps", "best_subset.1", "best_subset.2")
    views = "[identity,horizontal_flip,vertical_flip,{kind:shift,dx:1}]"
    answer = harness(
        "run", *tiny, "tta=hflip", f"+tta.augtta={{views:{views},aggregation:augtta}}",
        f"+tta.gps={{views:{views},aggregation:{{kind:gps,budget:3}}}}", f"+tta.best_subset={{views:{views},up_to:2}}",
        f"+tta.exit={{views:{views},aggregation:{{kind:early_exit,confidence:0.9}}}}", "tracking=none",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (folder,) = Path("results").iterdir()
    record = read_record(folder)
    fitted = json.loads((folder / "fitted.json").read_text(encoding="utf-8"))
    assert list(fitted) == [policy.name for policy in record.policies]
    assert fitted["hflip"]["learned"] == {}
    labels = np.load("tiny.npz")["y_test"]
    stored = {}
    for side in Path(".harness/store/logits").rglob("*.json"):
        item = json.loads(side.read_text(encoding="utf-8"))["identity"]
        if item["split"] == record.dataset.splits["test"].digest:
            stored[json.dumps(item["view"], sort_keys=True)] = np.load(side.with_suffix(".npy")).astype(np.float64)
    for name in learned:
        one, metrics = fitted[name], record.policy(name).metrics
        assert one["temperature"] == record.policy(name).temperature
        assert sum(one["learned"]["weights"]) == pytest.approx(1)
        logits = np.stack([stored[json.dumps(view, sort_keys=True)] for view in one["views"]])
        weights = np.array(one["learned"]["weights"])[:, None, None]
        if one["learned"]["space"] == "logits":
            log_probs = log_softmax((weights * logits).sum(axis=0))
        else:
            log_probs = np.log((weights * np.exp(log_softmax(logits))).sum(axis=0))
        calibrated = np.exp(log_softmax(log_probs / one["temperature"]))
        assert accuracy_score(labels, log_probs.argmax(axis=1)) == pytest.approx(metrics["test/accuracy"], abs=1e-12)
        assert log_loss(labels, np.exp(log_probs)) == pytest.approx(metrics["test/nll"], rel=1e-9)
        assert log_loss(labels, calibrated) == pytest.approx(metrics["test/nll_calibrated"], rel=1e-9)
        assert metrics["cost/passes"] == np.count_nonzero(weights)


def test_a_job_of_identity_alone_has_no_rule_for_others(harness: Any, tiny: tuple[str, ...]) -> None:
    """Nothing was tried, so that there is no correction to tell of; with a policy there is."""
    for tta, rule in (("identity", ""), ("hflip", "Holm over 1 policies tried")):
        assert harness("run", *tiny, f"tta={tta}", "tracking=none").code == 0
        (file,) = Path("results").glob("*/record.json")
        found = read_record(file.parent).verdict_rule
        assert rule in found if rule else found == ""
        shutil.rmtree("results")


def test_the_table_has_a_row_for_each_policy(folder: Path) -> None:
    """`leaderboard.csv` holds each policy of the record once."""
    with (folder / "leaderboard.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["policy"] for row in rows) == ["hflip", "identity", "tutorial"]


def test_calibration_after_temperature_is_that_of_the_predictions(folder: Path) -> None:
    """The bins hold every test image, and as many right ones as before: a temperature moves no prediction."""
    record = read_record(folder)
    assert set(record.reliability_calibrated) == set(record.reliability)
    for name, after in record.reliability_calibrated.items():
        before = record.reliability[name]
        assert sum(after.count) == sum(before.count) == 75
        right = [sum(a * c for a, c in zip(one.accuracy, one.count, strict=True)) for one in (before, after)]
        assert right[0] == pytest.approx(right[1])
        assert right[0] / 75 == pytest.approx(record.policy(name).metrics["test/accuracy"])


def test_the_hardest_images_are_those_of_the_predictions(folder: Path) -> None:
    """Each row's count of policies is that of the Parquet, counted by pandas; labels are class names."""
    table = json.loads((folder / "hardest_images.json").read_text(encoding="utf-8"))
    predictions = pd.read_parquet(folder / "predictions.parquet")
    wrong = (~predictions["correct"]).groupby(predictions["example"]).sum()
    found = {row[0]: row[table["columns"].index("policies_wrong")] for row in table["data"]}
    assert found == {name: count for name, count in wrong.items() if count}
    assert {row[1] for row in table["data"]} <= {"0", "1", "2"}
