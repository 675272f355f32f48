"""A measurement of latency is written beside the record and read back."""

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.latency_record import LATENCY, Latency, Timing, read_latency, write_latency

MEASURED = Latency(
    measured="2025-03-01T12:00:00+00:00",
    machine="x86_64",
    device="CPU",
    threads=2,
    load=0.1,
    noisy=False,
    notes=("a note",),
    timings=(
        Timing("identity", 32, 200, {"p50": 4.0, "p90": 5.0}, 8000.0, 1.0),
        Timing("identity", 1, 1000, {"p50": 1.0, "p90": 1.2, "p99": 2.0}, 950.0, 1.0),
        Timing("hflip", 1, 1000, {"p50": 1.9, "p90": 2.2, "p99": 3.0}, 500.0, 1.9),
    ),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every field comes back, and timings are found by policy and batch size."""
    assert read_latency(tmp_path) is None
    write_latency(tmp_path, MEASURED)
    assert read_latency(tmp_path) == MEASURED
    assert MEASURED.batches == (1, 32)
    assert MEASURED.of("hflip", 1) == MEASURED.timings[2]
    assert MEASURED.of("hflip", 32) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"timings": [1], "notes": []}'])
def test_a_damaged_file_is_said(text: str, tmp_path: Path) -> None:
    """One line names the file and what to do."""
    (tmp_path / LATENCY).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"latency\.json is damaged .*harness price"):
        read_latency(tmp_path)
