"""Finished jobs as pandas frames, for notebooks: `to_frame(load_records("results"))`.

Numbers are fractions and nats, unrounded, under the names of docs/metrics.md.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import DataError
from harness.files import write_atomically
from harness.record_files import RECORD, read_record
from harness.records import Cell, JobRecord
from harness.report import leaderboard_columns, leaderboard_rows, ranked

if TYPE_CHECKING:
    import pandas as pd

JOB = ("job", "dataset", "model", "seed", "study", "test_images")
POLICY = ("policy", "chosen", "verdict", "aggregation", "views", "passes", "temperature")


def load_records(source: str | Path | Iterable[str | Path]) -> list[JobRecord]:
    """The records of finished jobs, in the order of their folders' names.

    Args:
        source: a job's folder, a folder with jobs anywhere below it such as `results`, or several of either.

    Raises:
        DataError: for a folder that holds no finished job, or a record that is damaged.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    return [read_record(folder) for one in sources for folder in job_folders(Path(one).expanduser())]


def job_folders(source: Path) -> list[Path]:
    """The folder itself where it is a job's, else every job's folder below it, by name.

    Raises:
        DataError: where there is none.
    """
    if (source / RECORD).is_file():
        return [source]
    found = [file.parent for file in sorted(source.rglob(RECORD))]
    if not found:
        raise DataError(f"expected a finished job in or below {source}, but no {RECORD} is there: `harness run` first")
    return found


def to_frame(records: JobRecord | Iterable[JobRecord]) -> "pd.DataFrame":
    """One row for each job and policy, the policies of a job by calibrated NLL on test.

    Columns: the job's name, data set, model, seed, study and number of test images; then the policy's name, whether it
    was chosen on validation, its verdict, aggregation, views, passes and temperature; then every metric by its full
    name, e.g. `test/accuracy`, `gain/accuracy_lower`; missing where a policy has no such number.
    """
    import pandas as pd

    given = [records] if isinstance(records, JobRecord) else list(records)
    return pd.DataFrame(_columns(given))


def write_frame(record: JobRecord, path: Path) -> None:
    """Writes the job's rows of `to_frame` as Parquet; such files can be stacked.

    Raises:
        StoreError: where it cannot be written.
    """
    table = pa.table(_columns([record]))
    write_atomically(path, lambda stream: pq.write_table(table, stream))


def _columns(records: Sequence[JobRecord]) -> dict[str, list[Cell]]:
    """The columns by name, each with a value a row."""
    metrics = list(dict.fromkeys(name for record in records for name in leaderboard_columns(record) if "/" in name))
    columns: dict[str, list[Cell]] = {name: [] for name in (*JOB, *POLICY, *metrics)}
    for record in records:
        names = leaderboard_columns(record)
        facts: tuple[Cell, ...] = (
            record.name,
            record.dataset.name,
            record.model_name,
            record.seed,
            record.study or "",
            record.dataset.splits["test"].count,
        )
        for policy, row in zip(ranked(record), leaderboard_rows(record), strict=True):
            told = {**dict(zip(JOB, facts, strict=True)), **dict(zip(names, row, strict=True)), "passes": policy.passes}
            for name, column in columns.items():
                column.append(told.get(name))
    return columns
