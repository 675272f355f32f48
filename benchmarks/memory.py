"""ImageNet-size logits on disk, [50 views, 50,000 examples, 1,000 classes] float32 = 10 GB, in 2 GB of memory.

    .venv/bin/python benchmarks/memory.py [--views 50] [--examples 50000] [--classes 1000] [--limit 2]

Made-up logits are written to a temporary folder, one file a view, and deleted at the end; where the disk has no room
for them and 2 GB more, there are fewer examples, and a line says so. Each step runs in a process of its own whose
anonymous memory the system limits (RLIMIT_DATA, `--limit` in GiB: beyond it allocation fails); mapped files do not
count, they can be dropped at any time. `anonymous MB` is the largest resident anonymous memory, looked at every 20 ms.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.calibration import calibrated_nll, fit_temperature
from harness.metrics import example_scores
from harness.policies.base import Fitted
from harness.policies.fixed import MeanLogits, MeanProbs
from harness.policies.linear import WeightedMeans, score_linear
from harness.policies.logits import ViewLogits
from harness.policies.weighted import WeightedMean
from harness.prediction import predict
from harness.types import Predictions

GIB = 1 << 30


def write(folder: Path, *, views: int, examples: int, classes: int) -> None:
    """The views' logits `view_00.npy`, .. and `labels.npy`, views that are right more often than chance."""
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=examples)
    np.save(folder / "labels.npy", labels)
    base = rng.standard_normal((examples, classes), np.float32)
    base[np.arange(examples), labels] += 3
    for view in range(views):
        logits = rng.standard_normal((examples, classes), np.float32)
        logits += base
        np.save(folder / f"view_{view:02}.npy", logits)


def opened(folder: Path) -> tuple[ViewLogits, np.ndarray]:
    """The logits, memory-mapped, and the labels."""
    files = sorted(folder.glob("view_*.npy"))
    return ViewLogits(tuple(np.load(file, mmap_mode="r") for file in files)), np.load(folder / "labels.npy")


def one_policy(fitted: Fitted, logits: ViewLogits, labels: np.ndarray) -> str:
    """A policy's predictions, the scores of each example, and its temperature with the NLL after it."""
    log_probs = predict(fitted, logits, name="policy").log_probs
    temperature = fit_temperature(log_probs, labels)
    after = calibrated_nll(log_probs, labels, temperature=temperature).mean()
    scores = example_scores(Predictions(log_probs, labels))
    return f"accuracy {scores.correct.mean():.4f}, T {temperature:.3f}, calibrated NLL {after:.4f}"


def together(logits: ViewLogits, labels: np.ndarray) -> str:
    """Sixteen weighted means at once, each example's correctness and NLL."""
    views = len(logits)
    weights = np.array([np.arange(views) <= place * views // 16 for place in range(16)], np.float64)
    policies = WeightedMeans("probs", weights / weights.sum(axis=1, keepdims=True))
    correct = score_linear(policies, logits, labels=labels).correct
    return f"accuracy {correct[0].mean():.4f} to {correct[-1].mean():.4f}"


STEPS: dict[str, Callable[[ViewLogits, np.ndarray], str]] = {
    "mean_probs": lambda logits, labels: one_policy(MeanProbs(), logits, labels),
    "mean_logits": lambda logits, labels: one_policy(MeanLogits(), logits, labels),
    "weighted mean": lambda logits, labels: one_policy(WeightedMean("probs", _falling(len(logits))), logits, labels),
    "16 policies together": together,
}


def _falling(views: int) -> tuple[float, ...]:
    weights = np.arange(views, 0, -1, dtype=np.float64)
    return tuple((weights / weights.sum()).tolist())


def _watch(peak: list[int]) -> None:
    status, page = Path("/proc/self/statm"), os.sysconf("SC_PAGESIZE")
    while True:
        _, resident, shared, *_ = map(int, status.read_text(encoding="ascii").split())
        peak[0] = max(peak[0], (resident - shared) * page)
        time.sleep(0.02)


def child(step: str, folder: Path, *, limit: float) -> None:
    """One step within the limit; prints what it found and took as JSON."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit * GIB), int(limit * GIB)))
    peak = [0]
    threading.Thread(target=_watch, args=(peak,), daemon=True).start()
    cpu, wall = time.process_time(), time.perf_counter()
    found = STEPS[step](*opened(folder))
    took = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"found": found, "cpu": took[0], "wall": took[1], "peak": peak[0] / 1e6}))


def main() -> None:
    """Prints one line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("views", 50), ("examples", 50_000), ("classes", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--limit", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        child(options.step, options.folder, limit=options.limit)
        return

    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        room = shutil.disk_usage(name).free - 2 * GIB
        per_example = 4 * options.views * options.classes
        examples = min(options.examples, room // per_example)
        if examples < options.examples:
            print(f"the disk has room for {examples:,} examples, not for {options.examples:,}")
        write(Path(name), views=options.views, examples=examples, classes=options.classes)
        size = per_example * examples / 1e9
        print(
            f"[{options.views} views, {examples:,} examples, {options.classes:,} classes], {size:.1f} GB on disk, "
            f"anonymous memory limited to {options.limit:g} GiB"
        )
        print(f"{'step':<22}{'CPU s':>8}{'wall s':>8}{'anonymous MB':>14}  result")
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", name, "--limit", str(options.limit)]
            answer = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=False)
            if answer.returncode:
                print(f"{step:<22}failed: {(answer.stderr.strip().splitlines() or [answer.returncode])[-1]}")
                continue
            row = json.loads(answer.stdout)
            print(f"{step:<22}{row['cpu']:>8.1f}{row['wall']:>8.1f}{row['peak']:>14.0f}  {row['found']}")


if __name__ == "__main__":
    main()
