"""Folders of finished jobs with everything that a page shows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness import record_files
from harness.compose import compose
from harness.gallery import Exhibit, Gallery, Said, Shown, write_gallery
from harness.job_record import config_text
from harness.records import JobRecord, PolicyPredictions, Table

MakeFolder = Callable[..., Path]

HOSTILE = "<script>alert('x')</script>"


def predictions(record: JobRecord) -> list[PolicyPredictions]:
    """200 images of two classes; identity is wrong on the first ten, the others on the last five."""
    labels = np.arange(200) % 2
    found = []
    for policy in record.policies:
        wrong = np.arange(200) < 10 if policy.name == "identity" else np.arange(200) >= 195
        predicted, half = np.where(wrong, 1 - labels, labels), np.full(200, 0.5)
        ids = np.char.add("test/", np.arange(200).astype(str))
        found.append(PolicyPredictions(policy.name, ids, labels, predicted, half, half, ~wrong, half))
    return found


TABLES = (
    Table("copies", ("policy", "aggregation", "copies", "accuracy", "lower", "upper", "limit", "break_even", "level",
                     "method"),
          tuple(("policy_1", "mean_probs", float(n), 0.8, 0.79, 0.81, 0.82, None, 0.95, "exact") for n in (1, 2, 5))),
    Table("agreement", ("view", "identity", "view0"), (("identity", 1.0, 0.9), ("view0", 0.9, 1.0))),
    Table("corruptions", ("policy", "corruption", "accuracy", "gain", "gain_lower", "gain_upper", "nll_calibrated",
                          "nll_calibrated_gain"),
          tuple((name, "fog:3", 0.5, 0.02, 0.01, 0.03, 1.0, 0.1) for name in ("identity", "policy_1"))),
    Table("corruptions_summary", ("policy", "mean_accuracy", "worst_accuracy", "worst_corruption", "mean_gain",
                                  "worst_gain", "worst_gain_corruption", "mean_nll_calibrated"),
          (("policy_1", 0.5, 0.4, "fog:3", 0.02, 0.01, "fog:3", 1.0),
           ("identity", 0.48, 0.4, "fog:3", 0.0, 0.0, "fog:3", 1.1))),
)  # fmt: skip

GALLERY = Gallery("policy_1", 10, 5, 3, (
    Exhibit("rescued", "rescued-1.png", "test/7", "cat", Said("dog", 0.6), Said("cat", 0.5),
            (Shown("identity", Said("dog", 0.6)), Shown("view0", Said("cat", 0.7)))),
    Exhibit("harmed", "harmed-1.png", "test/8", HOSTILE, Said(HOSTILE, 0.6), Said("cat", 0.5),
            (Shown("identity", Said(HOSTILE, 0.6)), Shown("view0", Said("cat", 0.7)))),
))  # fmt: skip


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Writes a finished job's folder; `bare=True` leaves out all but the record."""

    def make(record: JobRecord, name: str = "job", *, bare: bool = False, latency: Any = None) -> Path:
        folder = tmp_path / "results" / name
        if bare:
            record_files.write_text(folder / record_files.RECORD, record_files.to_json(record))
            return folder
        tree = yaml.safe_load(config_text(compose(["dataset=digits"])))
        record_files.write_text(folder / record_files.CONFIG, yaml.safe_dump({**tree, "seed": record.seed}))
        for table in TABLES:
            record_files.write_table(folder, table)
        pixels = np.zeros((8, 16, 1), np.uint8)
        write_gallery(folder, GALLERY, {one.file: pixels for one in GALLERY.exhibits})
        if latency is not None:
            record_files.write_text(folder / "latency.json", json.dumps(latency))
        record_files.write_job(folder, record, predictions=predictions(record))
        return folder

    return make
