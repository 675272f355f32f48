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
from harness.record_files import PREDICTIONS, TABLES, read_predictions, read_record
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
    policy = record.highlighted
    if policy is None or not (folder / PREDICTIONS).is_file():
        return None
    found = read_predictions(folder, ("label", "correct"), policies=(IDENTITY, policy.name))
    first, second = found.get(IDENTITY), found.get(policy.name)
    if first is None or second is None or len(first["label"]) != len(second["label"]):
        return None
    return Right(first["label"], first["correct"], second["correct"])
