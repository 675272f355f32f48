"""Finished jobs as frames: the same numbers as the CSV, one row a job and policy."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import frames
from harness.errors import DataError
from harness.record_files import write_job
from harness.records import JobRecord, PolicyPredictions
from harness.report import write_leaderboard_csv

MakeJob = Callable[..., JobRecord]


def test_the_frame_holds_what_the_csv_holds(make_job: MakeJob, tmp_path: Path) -> None:
    """Read by pandas, the CSV has the same rows in the same order and the same numbers to the last bit."""
    record = make_job((0.02, -0.03, 0.001))
    write_leaderboard_csv(record, tmp_path / "leaderboard.csv")
    expected = pd.read_csv(tmp_path / "leaderboard.csv")
    found = frames.to_frame(record)
    for column in expected.columns:
        ours, theirs = found[column], expected[column]
        if column == "verdict":
            theirs = theirs.fillna("")
        pd.testing.assert_series_equal(ours, theirs, check_dtype=False, check_exact=True)


def test_each_row_says_which_job_it_is_of(make_job: MakeJob) -> None:
    """Data set, model, seed and size stand beside the policy; the model is the one in the job's parameters."""
    other = make_job((0.01,), seed=3, name="other", params={"model": "resnet20"})
    found = frames.to_frame([make_job(), other])
    assert list(found["policy"]) == ["policy_1", "identity", "policy_2", "policy_1", "identity"]
    assert list(found["seed"]) == [0, 0, 0, 3, 3]
    assert list(found["model"]) == ["net"] * 3 + ["resnet20"] * 2
    assert set(found["test_images"]) == {200}
    assert list(found["chosen"]) == [True, False, False, True, False]
    assert found["gain/accuracy"].isna().sum() == 2


def test_a_metric_that_one_job_lacks_is_missing_there(make_job: MakeJob) -> None:
    """Columns are the union; what a policy does not have is not a number."""
    record = make_job()
    more = replace(record.policies[0], metrics={**record.policies[0].metrics, "test/top5_accuracy": 0.99})
    found = frames.to_frame([record, replace(record, policies=(more, *record.policies[1:]))])
    assert found["test/top5_accuracy"].notna().sum() == 1
    assert found["test/top5_accuracy"].max() == 0.99


def test_parquet_files_can_be_stacked(make_job: MakeJob, tmp_path: Path) -> None:
    """Files of two jobs, one after the other, are the frame of both."""
    jobs = [make_job(), make_job((0.01, 0.02), seed=1)]
    for place, record in enumerate(jobs):
        frames.write_frame(record, tmp_path / f"{place}.parquet")
    stacked = pd.concat([pd.read_parquet(tmp_path / f"{place}.parquet") for place in (0, 1)], ignore_index=True)
    pd.testing.assert_frame_equal(stacked, frames.to_frame(jobs), check_like=True)


def test_records_are_found_by_folder_or_below_it(make_job: MakeJob, tmp_path: Path) -> None:
    """A job's folder gives one record, a results folder all of them, a list those of each."""
    for seed in (0, 1):
        write_job(tmp_path / "results" / f"job{seed}", make_job(seed=seed), predictions=[])
    assert [one.seed for one in frames.load_records(tmp_path / "results" / "job1")] == [1]
    assert [one.seed for one in frames.load_records(str(tmp_path / "results"))] == [0, 1]
    both = [tmp_path / "results" / "job1", tmp_path / "results" / "job0"]
    assert [one.seed for one in frames.load_records(both)] == [1, 0]


def test_no_job_is_said(tmp_path: Path) -> None:
    """An empty folder is named, with what would do."""
    with pytest.raises(DataError, match=r"no record\.json is there"):
        frames.load_records(tmp_path)


def test_the_how_to_runs(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of `pandas.md`, one after the other, on two jobs of two seeds."""
    text = (Path(__file__).parent.parent / "docs" / "how-to" / "pandas.md").read_text(encoding="utf-8")
    for seed in (0, 1):
        record, folder = make_job(seed=seed), tmp_path / "results" / f"job{seed}"
        write_job(folder, record, predictions=[_predictions(name) for name in ("identity", "policy_1")])
        frames.write_frame(record, folder / "leaderboard.parquet")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert list(names["best"]["policy"]) == ["policy_1", "policy_1"]
    assert names["gains"].loc[("digits", "net", "policy_1"), "mean"] == pytest.approx(0.02)
    assert len(names["frame"]) == 6
    assert dict(names["wrong"]) == {"identity": 1, "policy_1": 1}


def _predictions(policy: str) -> PolicyPredictions:
    labels, numbers = np.array([0, 1]), np.array([0.5, 0.6])
    return PolicyPredictions(policy, np.array(["a", "b"]), labels, labels * 0, numbers, numbers, labels == 0, numbers)
