"""Every number that a finished job has found, by where it stands: of its policies, of the job, and of its tables.

Times, and what was computed rather than found in the store, are no findings and are left out.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.errors import DataError
from harness.record_files import FITTED, PREDICTIONS, TABLES, read_predictions
from harness.records import JobRecord, PolicyRecord

SCORES = ("confidence", "nll", "nll_calibrated")


class Place(NamedTuple):
    """Where a number stands: `policy hflip` and `test/nll`, `job` and `headroom/oracle`, `table views: identity` …."""

    subject: str
    name: str

    def __str__(self) -> str:
        return f"{self.subject} {self.name}"


Numbers = Mapping[Place, float | str]

Predictions = Mapping[str, Mapping[str, np.ndarray]]
"""By policy: `example` (ids), `label`, `predicted`, and `SCORES`, each `[N]`."""


def record_numbers(record: JobRecord, *, names: Mapping[str, str]) -> dict[Place, float | str]:
    """The numbers of a record, verdicts and the choice among them.

    Args:
        record: the job.
        names: what a policy is to be called, for those that go by another name.
    """
    chosen = record.recommendation
    found: dict[Place, float | str] = {
        Place("job", name): value
        for name, value in record.job_metrics.items()
        if not name.startswith(("train/", "cost/"))
    }
    found[Place("job", "chosen policy")] = names.get(chosen.policy, chosen.policy)
    found[Place("job", "verdict")] = chosen.verdict
    for policy in record.policies:
        subject = f"policy {names.get(policy.name, policy.name)}"
        found |= {Place(subject, name): value for name, value in _of_policy(policy)}
    return found


def table_numbers(folder: Path) -> dict[Place, float | str]:
    """The numeric cells of a job's tables, each named by its row's leading words and its column.

    Raises:
        DataError: where a table cannot be read.
    """
    found: dict[Place, float | str] = {}
    for file in sorted((folder / TABLES).glob("*.csv")):
        try:
            with file.open(encoding="utf-8", newline="") as stream:
                found |= _of_table(file.stem, list(csv.reader(stream)))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"table {file.name} of a run is damaged: {error}") from error
    return found


def predictions(folder: Path) -> Predictions:
    """The predictions of a job for each test image; empty where the folder has none.

    Raises:
        DataError: where the file cannot be read.
    """
    if not (folder / PREDICTIONS).is_file():
        return {}
    try:
        return read_predictions(folder, ("example", "label", "predicted", *SCORES))
    except DataError as error:
        # Its folder may be a temporary one.
        raise DataError(f"{PREDICTIONS} of a run is damaged: {' '.join(str(error.__cause__).split())[:200]}") from error


def choices(folder: Path) -> dict[str, str]:
    """What each searching policy of a job chose: the whole numbers and words among what it learned, by its name.

    Empty where the folder does not tell.
    """
    try:
        fitted = json.loads((folder / FITTED).read_text(encoding="utf-8"))
        learned = {str(name): dict(spec["learned"]) for name, spec in fitted.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    chosen = {
        name: {key: value for key, value in found.items() if _is_choice(value)} for name, found in learned.items()
    }
    return {name: json.dumps(found) for name, found in chosen.items() if found}


def _is_choice(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(item, int | str) for item in items)


def _of_policy(policy: PolicyRecord) -> Iterator[tuple[str, float | str]]:
    yield from policy.metrics.items()
    yield "temperature", math.nan if policy.temperature is None else policy.temperature
    yield "verdict", policy.verdict


def _of_table(name: str, rows: list[list[str]]) -> dict[Place, float | str]:
    found: dict[Place, float | str] = {}
    seen: Counter[str] = Counter()
    for row in rows[1:]:
        words = " ".join(takewhile(lambda cell: _number(cell) is None, row))
        seen[words] += 1
        subject = f"table {name}: {words}" + (f" ({seen[words]})" if seen[words] > 1 else "")
        cells = ((column, _number(cell)) for column, cell in zip(rows[0], row, strict=False))
        found |= {Place(subject, column): number for column, number in cells if number is not None}
    return found


def _number(cell: str) -> float | None:
    """None for words, truth values and empty cells."""
    try:
        return float(cell)
    except ValueError:
        return None
