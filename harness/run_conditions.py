"""Under which conditions a job ran, beyond the versions of packages: code, processor, threads, device.

They go into the record's `versions`, are compared by `harness reproduce`, and explain where last bits differ.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping

from harness.machine import processor

CODE = ("tta-harness", "evaluation", "inference", "uncommitted changes")
"""The names in a record's `versions` that tell of code of ours, or of the user's working directory."""

SETTINGS = ("TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
"""Environment variables that decide how sums are ordered, and so the last bits."""


def code_conditions(*, evaluation: int, inference: int) -> dict[str, str]:
    """The hand-raised versions of what computes metrics and logits, and whether the working directory was as committed.

    The last is left out where there is no git repository.
    """
    changed = _uncommitted()
    found = {"evaluation": str(evaluation), "inference": str(inference)}
    return found if changed is None else found | {"uncommitted changes": "yes" if changed else "no"}


def machine_conditions(notes: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """The processor of this machine and its settings, and what the passes ran on.

    Args:
        notes: what the store's side files say of the passes, which may have run on another machine at another time.
    """
    notes = list(notes)
    found = {"processor": processor() or "unknown", "cores": str(cores())}
    found |= {name: os.environ[name] for name in SETTINGS if name in os.environ}
    for name in ("device", "threads", "onednn"):
        values = sorted({str(note[name]) for note in notes if name in note})
        if values:
            found[f"passes: {name}"] = " and ".join(values)
    return found


def cores() -> int:
    """Processor cores that this process may use; fewer than the machine has under `taskset` or in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _uncommitted() -> bool | None:
    """Whether files that git knows differ from the commit of the working directory; None where there is none."""
    try:
        found = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, check=True, timeout=5,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(found.stdout.strip())
