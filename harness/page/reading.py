"""A finished job as its folder holds it: what the page is made of."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.gallery import Exhibit, Gallery, read_gallery, tiles
from harness.latency_record import Latency, read_latency
from harness.record_files import PREDICTIONS, TABLES, read_record
from harness.records import IDENTITY, JobRecord

NUMBERLESS = frozenset(
    {"policy", "view", "corruption", "worst_corruption", "worst_gain_corruption", "aggregation", "method"}
)
READ = ("copies", "agreement", "corruptions", "corruptions_summary")

Rows = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Right:
    """Who is right on test: labels `[N]` integers; identity and the policy `[N]` booleans."""

    labels: np.ndarray
    identity: np.ndarray
    policy: np.ndarray


@dataclass(frozen=True, eq=False)
class JobFiles:
    """A job, read.

    Attributes:
        folder: the job's. record: its record.
        latency: what was measured, None where nothing was.
        tables: rows by the table's name; a table that the job does not have is not there.
        right: of identity and the highlighted policy; None without predictions or such a policy.
        gallery: None where there is none. tiles: by exhibit, each view as a PNG.
    """

    folder: Path
    record: JobRecord
    latency: Latency | None = None
    tables: Mapping[str, Rows] = field(default_factory=dict)
    right: Right | None = None
    gallery: Gallery | None = None
    tiles: Mapping[Exhibit, Sequence[bytes]] = field(default_factory=dict)


def read_job(folder: Path) -> JobFiles:
    """Everything that the page shows of a job; what its folder does not hold is left out.

    Raises:
        DataError: where there is no record, or a file is damaged.
    """
    record = read_record(folder)
    gallery = read_gallery(folder)
    return JobFiles(
        folder=folder,
        record=record,
        latency=read_latency(folder),
        tables={name: _read_table(folder / TABLES / f"{name}.csv") for name in READ
                if (folder / TABLES / f"{name}.csv").is_file()},
        right=_read_right(folder, record),
        gallery=gallery,
        tiles={} if gallery is None else {exhibit: tiles(folder, exhibit) for exhibit in gallery.exhibits},
    )  # fmt: skip


def _read_table(path: Path) -> Rows:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
        return [{name: _value(name, text) for name, text in row.items()} for row in rows]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is damaged ({error}): run the job again") from error


def _value(name: str, text: str) -> str | float | None:
    return text if name in NUMBERLESS else float(text) if text else None


def _read_right(folder: Path, record: JobRecord) -> Right | None:
    policy, path = record.highlighted, folder / PREDICTIONS
    if policy is None or not path.is_file():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = (IDENTITY, policy.name)
    try:
        table = pq.read_table(path, columns=["policy", "label", "correct"], filters=[("policy", "in", names)])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read ({str(error).splitlines()[0]}): run the job again") from error
    names_of_rows = np.asarray(table["policy"].to_pylist())
    labels, correct = table["label"].to_numpy(), table["correct"].to_numpy()
    first, second = (names_of_rows == name for name in names)
    if not first.any() or first.sum() != second.sum():
        return None
    return Right(labels[first], correct[first].astype(bool), correct[second].astype(bool))
