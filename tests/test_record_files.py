"""Records and the job's folder: nothing is lost on the way to disk and back."""

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness import record_files
from harness.errors import DataError, StoreError
from harness.records import JobRecord, PolicyPredictions, Table

MakeJob = Callable[..., JobRecord]


def predictions(names: tuple[str, ...] = ("identity", "hflip")) -> Iterator[PolicyPredictions]:
    """Four examples per policy."""
    for shift, name in enumerate(names):
        labels = np.array([0, 1, 0, 1])
        predicted = (labels + np.array([shift, 0, 0, 0])) % 2
        confidence = np.array([0.9, 0.8, 0.7, 0.6])
        nll = -np.log(confidence)
        ids = np.array(["test/4", "test/7", "test/8", "test/9"])
        yield PolicyPredictions(name, ids, labels, predicted, confidence, nll, predicted == labels, nll / 2)


def test_a_record_survives_the_way_to_disk_and_back(tmp_path: Path, make_job: MakeJob) -> None:
    """Every field comes back equal, with the same types and to the last bit."""
    record_files.write_job(tmp_path / "job", make_job(), predictions=predictions())
    assert record_files.read_record(tmp_path / "job") == make_job()


def test_numbers_that_are_not_finite_survive_in_strict_json(make_job: MakeJob) -> None:
    """Infinity and NaN come back as they were, and the text is JSON that any reader takes."""
    policy = replace(make_job().policies[0], metrics={"test/nll": math.inf, "low": -math.inf, "none": math.nan})

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    text = record_files.to_json(make_job(policies=(policy,)))
    json.loads(text, parse_constant=refuse)
    metrics = record_files.from_json(text).policies[0].metrics
    assert (metrics["test/nll"], metrics["low"], math.isnan(metrics["none"])) == (math.inf, -math.inf, True)


def test_numpy_numbers_are_written_as_numbers(make_job: MakeJob) -> None:
    """A NumPy scalar that slipped into a record does no harm."""
    record = record_files.from_json(record_files.to_json(make_job(job_metrics={"cost/passes_required": np.int64(3)})))
    assert record.job_metrics == {"cost/passes_required": 3.0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', "null", '{"schema": 99}'])
def test_what_is_no_record_is_refused_in_one_line(text: str) -> None:
    """Damaged files give a DataError, not a traceback from the depths."""
    with pytest.raises(DataError, match=r"^expected .*record") as caught:
        record_files.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    """The message says which folder has no finished job."""
    with pytest.raises(DataError, match=r"expected a finished job in .*has no record\.json"):
        record_files.read_record(tmp_path)


def test_predictions_are_tidy_and_one_row_group_a_policy(tmp_path: Path, make_job: MakeJob) -> None:
    """Pandas reads one row per policy and example; each policy is a row group, so that memory is flat."""
    record_files.write_job(tmp_path, make_job(), predictions=predictions())
    file = pq.ParquetFile(tmp_path / record_files.PREDICTIONS)
    assert file.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    table = pd.read_parquet(tmp_path / record_files.PREDICTIONS)
    assert list(table.columns) == [
        "policy", "example", "label", "predicted", "confidence", "nll", "nll_calibrated", "correct",
    ]  # fmt: skip
    assert list(table["policy"]) == ["identity"] * 4 + ["hflip"] * 4
    assert list(table["example"]) == ["test/4", "test/7", "test/8", "test/9"] * 2
    assert table.groupby("policy", observed=True)["correct"].mean().to_dict() == {"identity": 1.0, "hflip": 0.75}
    np.testing.assert_allclose(table["nll"], -np.log(table["confidence"]), rtol=1e-6)


@pytest.mark.parametrize("rewritten", [False, True])
def test_predictions_are_read_by_policy(tmp_path: Path, make_job: MakeJob, rewritten: bool) -> None:
    """What pandas reads of each policy, all or some; also where a file has all policies in one group."""
    record_files.write_job(tmp_path, make_job(), predictions=predictions())
    table = pd.read_parquet(tmp_path / record_files.PREDICTIONS)
    if rewritten:
        table.astype({"policy": str}).to_parquet(tmp_path / record_files.PREDICTIONS)
    columns = ("example", "label", "correct", "nll")
    found = record_files.read_predictions(tmp_path, columns)
    assert list(found) == ["identity", "hflip"]
    for name, read in found.items():
        assert {column: read[column].tolist() for column in columns} == table[table["policy"] == name][
            list(columns)
        ].to_dict("list")
    assert list(record_files.read_predictions(tmp_path, ["label"], policies=["hflip"])) == ["hflip"]
    with pytest.raises(DataError, match=r"predictions\.parquet is missing or damaged .*: run the job again"):
        record_files.read_predictions(tmp_path, ["no such column"])


def test_a_table_is_a_csv_that_pandas_reads_back(tmp_path: Path) -> None:
    """Numbers come back to the last bit, truth values too, and what there is none of is empty."""
    rows = (("a", 0.1 + 0.2, True, None), ('with "quotes", and a comma', -1e-300, False, 3.0))
    record_files.write_table(tmp_path, Table("odd", ("view", "value", "harms", "rest"), rows))
    table = pd.read_csv(tmp_path / "tables" / "odd.csv")
    assert list(table["view"]) == [row[0] for row in rows]
    assert list(table["value"]) == [row[1] for row in rows]
    assert list(table["harms"]) == [True, False]
    assert table["rest"].isna().tolist() == [True, False]


def test_a_job_that_breaks_off_leaves_no_record(tmp_path: Path, make_job: MakeJob) -> None:
    """The record is written last, and nothing half-written stays: a folder with a record is complete."""

    def breaking() -> Iterator[PolicyPredictions]:
        yield from predictions(("identity",))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_files.write_job(tmp_path / "job", make_job(), predictions=breaking())
    assert list((tmp_path / "job").iterdir()) == []


def test_an_unwritable_folder_is_a_store_error(tmp_path: Path, make_job: MakeJob) -> None:
    """A file that stands where the folder should be is named in one line."""
    (tmp_path / "job").write_text("in the way")
    with pytest.raises(StoreError, match="job"):
        record_files.write_job(tmp_path / "job", make_job(), predictions=predictions())
    assert os.listdir(tmp_path) == ["job"]  # noqa: PTH208


def test_a_policy_is_found_by_name(make_job: MakeJob) -> None:
    """Found by its label; an unknown one is a KeyError."""
    assert make_job().policy("policy_1").passes == 2
    with pytest.raises(KeyError):
        make_job().policy("vflip")


def test_a_record_from_before_is_read(make_job: MakeJob) -> None:
    """What the schema has come to hold without a new number is empty in an older record."""
    data = json.loads(record_files.to_json(make_job()))
    del data["reliability_calibrated"]
    assert record_files.from_json(json.dumps(data)) == make_job()
