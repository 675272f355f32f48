"""A job's folder on local disk, complete before a tracker hears of it.

    record.json           every number and every fact of the job (`JobRecord`), written last
    config.yaml           the complete configuration: enough to run the job again
    environment.txt       the installed packages
    leaderboard.csv       one row per policy; leaderboard.parquet: the same with the job's facts, to be stacked
    predictions.parquet   one row per policy and example
    fitted.json           what each policy learned: all that is needed to apply it
    tables/*.csv          views, corruptions, curves, subsets: what was found beside the leaderboard
    hardest_images.json   the test images that most policies get wrong
    gallery/              images that a policy rescued and harmed, with their views
    plots/                pictures as PNG and SVG, and `views.png`: what the views make of a few test images
    report.html           the page with all of them

Every file is whole or absent.
"""

import csv
import io
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError
from harness.files import make_folder, write_atomically, write_bytes
from harness.records import (
    SCHEMA,
    DatasetRecord,
    JobRecord,
    ModelRecord,
    PolicyPredictions,
    PolicyRecord,
    Reliability,
    SplitRecord,
    Table,
)
from harness.selection import Recommendation

RECORD = "record.json"
CONFIG = "config.yaml"
ENVIRONMENT = "environment.txt"
LEADERBOARD = "leaderboard.csv"
PREDICTIONS = "predictions.parquet"
FITTED = "fitted.json"
PLOTS = "plots"
TABLES = "tables"
FRAME = "leaderboard.parquet"
HARDEST = "hardest_images.json"
GALLERY = "gallery"
PAGE = "report.html"

LATER: dict[str, Any] = {"reliability_calibrated": {}}
"""What the schema has come to hold without a new number, and what it is in a record that was written before."""
FETCHED = "fetched"
"""Below `store`: jobs that were run elsewhere, as their tracker holds them. A cache, like everything there."""


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; StoreError where it cannot be written."""
    make_folder(path.parent)
    write_bytes(path, text.encode())


def write_table(folder: Path, table: Table) -> None:
    """Write a table as CSV: one header line, numbers in full precision, empty where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    write_text(folder / TABLES / f"{table.name}.csv", stream.getvalue())


def to_json(record: JobRecord) -> str:
    """The record as strict JSON; a number that is not finite becomes the string `inf`, `-inf` or `nan`."""
    return json.dumps(_plain(asdict(record)), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def from_json(text: str) -> JobRecord:
    """The inverse of `to_json`.

    Raises:
        DataError: for text that is not a record, or one of another schema.
    """
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise DataError(f"expected a record of schema {SCHEMA}, got {data['schema']!r}; run the job again")
        return _job(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"expected the JSON of a job record, got something else ({error!r})") from error


def write_job(folder: Path, record: JobRecord, *, predictions: Iterable[PolicyPredictions]) -> None:
    """Write `predictions.parquet` and then `record.json`, whose presence says that the job is complete.

    Args:
        folder: made where it is missing.
        record: the job.
        predictions: consumed one policy at a time, each a row group, so that memory is flat in policies.

    Raises:
        StoreError: where the folder cannot be written.
    """
    make_folder(folder)
    write_atomically(folder / PREDICTIONS, lambda stream: _write_predictions(stream, predictions))
    write_text(folder / RECORD, to_json(record))


def read_record(folder: Path) -> JobRecord:
    """The record of a job's folder.

    Raises:
        DataError: where there is none, or it is damaged.
    """
    path = folder / RECORD
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"expected a finished job in {folder}, but it has no {RECORD}") from error
    except (DataError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from error


def read_predictions(
    folder: Path, columns: Sequence[str], *, policies: Collection[str] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Columns `[N]` of `predictions.parquet` by policy, in the order of the file.

    Args:
        folder: a finished job's.
        columns: names, as `PolicyPredictions` has them; ids are in `example`.
        policies: whose; None is all.

    Raises:
        DataError: where the file is missing or damaged.
    """
    parts: dict[str, list[pa.Table]] = {}
    try:
        with pq.ParquetFile(folder / PREDICTIONS) as file:
            # One group at a time: the names alone of all policies' rows would fill the memory.
            for place in range(file.num_row_groups):
                runs = _runs(file.read_row_group(place, columns=["policy"])["policy"])
                wanted = [(name, rows) for name, rows in runs if policies is None or name in policies]
                if not wanted:
                    continue
                group = file.read_row_group(place, columns=list(columns))
                for name, rows in wanted:
                    parts.setdefault(name, []).append(group.slice(rows.start, rows.stop - rows.start))
        return {
            name: {column: pa.concat_tables(found)[column].to_numpy() for column in columns}
            for name, found in parts.items()
        }
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{folder / PREDICTIONS} is missing or damaged ({reason}): run the job again") from error


def _runs(names: pa.ChunkedArray) -> Iterator[tuple[str, slice]]:
    """Each run of equal names with its rows."""
    codes = names.combine_chunks()
    codes = codes if isinstance(codes, pa.DictionaryArray) else codes.dictionary_encode()
    indices = codes.indices.to_numpy()
    edges = [0, *(np.flatnonzero(indices[1:] != indices[:-1]) + 1).tolist(), len(indices)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield str(codes.dictionary[int(indices[start])].as_py()), slice(start, stop)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _job(data: dict[str, Any]) -> JobRecord:
    data = {**LATER, **data}
    dataset, model = data["dataset"], data["model"]
    return JobRecord(
        **{
            **{item.name: data[item.name] for item in fields(JobRecord)},
            "dataset": DatasetRecord(
                name=dataset["name"],
                class_names=tuple(dataset["class_names"]),
                splits={name: SplitRecord(**split) for name, split in dataset["splits"].items()},
                notes=tuple(dataset["notes"]),
            ),
            "model": ModelRecord(**{**model, "input_shape": tuple(model["input_shape"])}),
            "policies": tuple(_policy(policy) for policy in data["policies"]),
            "recommendation": Recommendation(**data["recommendation"]),
            "history": {name: tuple(map(float, curve)) for name, curve in data["history"].items()},
            "job_metrics": _floats(data["job_metrics"]),
            "reliability": _reliability(data["reliability"]),
            "reliability_calibrated": _reliability(data["reliability_calibrated"]),
            "warnings": tuple(data["warnings"]),
        }
    )


def _reliability(data: Mapping[str, Any]) -> dict[str, Reliability]:
    return {name: Reliability(**{key: tuple(column) for key, column in bins.items()}) for name, bins in data.items()}


def _policy(data: dict[str, Any]) -> PolicyRecord:
    return PolicyRecord(
        **{
            **data,
            "views": tuple(data["views"]),
            "view_keys": tuple(data["view_keys"]),
            "metrics": _floats(data["metrics"]),
        }
    )


def _write_predictions(stream: IO[bytes], predictions: Iterable[PolicyPredictions]) -> None:
    columns = [
        ("policy", pa.dictionary(pa.int32(), pa.string())),
        ("example", pa.string()),
        ("label", pa.int32()),
        ("predicted", pa.int32()),
        ("confidence", pa.float32()),
        ("nll", pa.float32()),
        ("nll_calibrated", pa.float32()),
        ("correct", pa.bool_()),
    ]
    schema = pa.schema(columns)
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for policy in predictions:
            writer.write_batch(_batch(policy, schema=schema))


def _batch(policy: PolicyPredictions, *, schema: pa.Schema) -> pa.RecordBatch:
    count = len(policy.labels)
    columns = {
        "policy": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [policy.policy]),
        "example": policy.ids,
        "label": policy.labels.astype(np.int32),
        "predicted": policy.predicted.astype(np.int32),
        "confidence": policy.confidence.astype(np.float32),
        "nll": policy.nll.astype(np.float32),
        "nll_calibrated": policy.nll_calibrated.astype(np.float32),
        "correct": policy.correct.astype(bool),
    }
    return pa.RecordBatch.from_arrays(
        [
            column if isinstance(column, pa.Array) else pa.array(column, item.type)
            for item, column in ((item, columns[item.name]) for item in schema)
        ],
        schema=schema,
    )
