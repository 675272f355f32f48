"""What an exported model says about itself: a JSON value for programs and a page for people."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from harness.export.job import ExportJob, ShippedPolicy
from harness.export.parity import TOLERANCE, Parity
from harness.job_record import versions
from harness.records import PolicyRecord

METADATA = "metadata.json"
README = "README.md"
SCORES = (
    "test/accuracy",
    "test/nll_calibrated",
    "test/ece",
    "gain/accuracy",
    "gain/accuracy_lower",
    "gain/accuracy_upper",
    "gain/p_value_adjusted",
    "cost/passes",
    "cost/passes_max",
)
CLASSES_SHOWN = 100


def metadata(job: ExportJob, policy: ShippedPolicy, parity: Parity) -> dict[str, Any]:
    """Everything that is known of the model, as plain data; scores are fractions."""
    record = job.record
    found = record.policy(policy.name)
    return {
        "kind": "tta-harness policy",
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "policy": policy.name,
        "aggregation": found.aggregation,
        "views": list(found.views),
        "temperature": policy.temperature,
        "verdict": found.verdict,
        "input": {"dtype": "uint8", "shape": [None, *job.dataset.test.images.shape], "range": [0, 255]},
        "output": {
            "dtype": "float32",
            "shape": [None, record.model.num_classes],
            "meaning": "calibrated probabilities",
        },
        "class_names": list(record.dataset.class_names),
        "scores": {name: found.metrics[name] for name in SCORES if name in found.metrics},
        "level": record.level,
        "dataset": {"name": record.dataset.name, "test_digest": record.dataset.splits["test"].digest},
        "model": {"name": record.model.name, "digest": record.model.digest},
        "job": {"name": record.name, "id": record.job_id, "command": record.command, "commit": record.commit},
        "parity": {
            "images": parity.images,
            "max_abs_difference": parity.difference,
            "tolerance": TOLERANCE,
            "what": "probability of the true class against the job's record, on test images",
        },
        "versions": versions(),
    }


def to_json(about: Mapping[str, Any]) -> str:
    """The metadata as text."""
    return json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def page(job: ExportJob, policy: ShippedPolicy, parity: Parity, *, usage: str) -> str:
    """The page for people: what it is, how it is called, how good it is. `usage` is Markdown."""
    record, found = job.record, job.record.policy(policy.name)
    height, width, channels = job.dataset.test.images.shape
    colour = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    names = record.dataset.class_names
    listing = ", ".join(names[:CLASSES_SHOWN]) + (f", … ({len(names)})" if len(names) > CLASSES_SHOWN else "")
    lines = [
        f"# {policy.name} on {record.model.name}",
        "",
        f"One model: raw images `[n, {height}, {width}, {channels}]` uint8 (0..255, {colour}) in, calibrated "
        f"probabilities `[n, {len(names)}]` float32 out. Views, preprocessing, network, aggregation and temperature "
        "are inside.",
        "",
        usage.strip(),
        "",
        f"Classes, in the order of the output: {listing}.",
        "",
        *_numbers(found, record.dataset.name, record.level),
        "",
        f"Checked before it was written: on {parity.images} test images the probability of the true class is within "
        f"{parity.difference:.1e} of the job's record (allowed {TOLERANCE:g}).",
        "",
        f"Views ({len(found.views)}): {', '.join(found.views)}. Aggregation: {found.aggregation}. Temperature: "
        f"{policy.temperature:.4g}. Network digest: `{record.model.digest[:12]}`. Job: `{record.job_id}`, from "
        f"`{record.command}`.",
    ]
    return "\n".join(lines) + "\n"


def summary(found: PolicyRecord) -> str:
    """The policy's numbers in half a sentence, in per cent and points."""
    metrics = found.metrics
    text = f"accuracy {100 * metrics['test/accuracy']:.2f} %, calibrated NLL {metrics['test/nll_calibrated']:.4f}"
    if "gain/accuracy_lower" in metrics and found.name != "identity":
        low, value, high = (100 * metrics[f"gain/accuracy{end}"] for end in ("_lower", "", "_upper"))
        text += f", gain {value:+.2f} points [{low:+.2f}, {high:+.2f}]"
    return f"{text}, {found.passes:.4g} passes an image"


def _numbers(found: PolicyRecord, dataset: str, level: float) -> list[str]:
    lines = [f"On the test images of {dataset} ({100 * level:g}% intervals): {summary(found)}."]
    return lines + ([f"Verdict: {found.verdict}."] if found.verdict else [])
