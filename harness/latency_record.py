"""What was measured of the policies' latency: `latency.json` beside the job's record, written by `harness price`.

A measurement belongs to a machine and a moment, so it is no part of the record, and a job without one has no latency.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.record_files import write_text

LATENCY = "latency.json"


@dataclass(frozen=True)
class Timing:
    """One policy at one batch size, as a deployed model: views, network, aggregation and temperature included.

    Attributes:
        policy: its name. batch: images a query.
        queries: how many were timed, after the warm-up.
        milliseconds: of a query, by percentile, e.g. `p50`; only those that there were enough queries for.
        images_per_second: images over time, all queries together.
        ratio: the policy's time in all rounds to that of identity in the same rounds.
    """

    policy: str
    batch: int
    queries: int
    milliseconds: Mapping[str, float]
    images_per_second: float
    ratio: float


@dataclass(frozen=True)
class Latency:
    """All timings of one measurement.

    Attributes:
        measured: when, ISO 8601 in UTC.
        machine: processor and platform. device: what TensorFlow ran on, e.g. `CPU`. threads: of one operation.
        load: the machine's one-minute load average before the measurement.
        noisy: True where the timings scatter too much, or the machine was too busy, to be relied on.
        notes: sentences for people, e.g. why it is noisy, or which policies cannot be exported.
        timings: identity among them, at each batch size.
    """

    measured: str
    machine: str
    device: str
    threads: int
    load: float
    noisy: bool
    notes: tuple[str, ...]
    timings: tuple[Timing, ...]

    def of(self, policy: str, batch: int) -> Timing | None:
        """The timing of a policy at a batch size, None where it was not measured."""
        return next((one for one in self.timings if (one.policy, one.batch) == (policy, batch)), None)

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes, ascending."""
        return tuple(sorted({one.batch for one in self.timings}))


def write_latency(folder: Path, latency: Latency) -> None:
    """Writes `latency.json` into a job's folder; an earlier measurement is replaced.

    Raises:
        StoreError: where the folder cannot be written.
    """
    write_text(folder / LATENCY, json.dumps(asdict(latency), indent=1) + "\n")


def read_latency(folder: Path) -> Latency | None:
    """The measurement of a job's folder, None where there is none.

    Raises:
        DataError: for a file that is none of ours.
    """
    path = folder / LATENCY
    try:
        return _latency(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error!r}): measure again with `harness price`") from error


def _latency(data: dict[str, Any]) -> Latency:
    timings = tuple(Timing(**one) for one in data["timings"])
    return Latency(**{**data, "notes": tuple(data["notes"]), "timings": timings})
