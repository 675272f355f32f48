"""1,000 policies with 2,000 paired resamples from stored logits, against a plain loop over policies.

    .venv/bin/python benchmarks/arithmetic.py [--views 64] [--examples 10000] [--classes 10] [--policies 1000]

Made-up logits; each policy is the mean of probabilities over a random subset of the views. Asked for is each policy's
accuracy gain over the first one with its interval. `harness` scores all policies in blocked matrix products and draws
the resamples once as counts; `by hand` is a careful loop that keeps the views' probabilities, takes each policy's mean,
and resamples the examples of each policy by indices. The loop is run for a few policies and resamples (`--measured`)
and multiplied; both ways run in turn, each in a process of its own for its peak memory. CPU seconds are to be trusted
before wall seconds. Each process uses one thread.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

RESAMPLES, LEVEL, SEED = 2000, 0.95, 0


def made(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits `[V, N, C]` float32, labels `[N]` and weights `[P, V]`."""
    rng = np.random.default_rng(SEED)
    base = 2 * rng.standard_normal((options.examples, options.classes), np.float32)
    labels = (base + rng.gumbel(size=base.shape)).argmax(axis=1)
    logits = rng.standard_normal((options.views, options.examples, options.classes), np.float32)
    logits += base
    kept = rng.random((options.policies, options.views)) < rng.uniform(0.02, 0.5, (options.policies, 1))
    kept[:, 0] |= ~kept.any(axis=1)
    return logits, labels, kept / kept.sum(axis=1, keepdims=True)


def harness(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """CPU seconds of scoring and of resampling all policies by the harness."""
    from harness.intervals import paired_intervals
    from harness.policies.linear import WeightedMeans, score_linear
    from harness.policies.logits import ViewLogits

    start = time.process_time()
    correct = score_linear(WeightedMeans("probs", weights), ViewLogits.of(logits), labels=labels).correct
    scored = time.process_time()
    changed = (correct.astype(np.int8) - correct[0].astype(np.int8)).T
    found = paired_intervals(changed, resamples=RESAMPLES, seed=SEED, level=LEVEL)
    return {
        "scores": scored - start,
        "resamples": time.process_time() - scored,
        "check": float(sum(one.value for one in found[:10])),
    }


def by_hand(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, measured: int) -> dict[str, float]:
    """The same by a loop over policies, from `measured` policies of the loop and as many resamples of each."""
    start = time.process_time()
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    probs = exponentials / exponentials.sum(axis=2, keepdims=True)
    prepared = time.process_time()
    places = [np.flatnonzero(row) for row in weights[:measured]]
    correct = [probs[place].mean(axis=0).argmax(axis=1) == labels for place in places]
    scored = time.process_time()
    rng, few = np.random.default_rng(SEED), min(measured, 40)
    for right in correct[:few]:
        for _ in range(few):
            rows = rng.integers(len(labels), size=len(labels))
            right[rows].mean() - correct[0][rows].mean()
    resampled = time.process_time()
    return {
        "scores": prepared - start + (scored - prepared) * len(weights) / measured,
        "resamples": (resampled - scored) * len(weights) * RESAMPLES / few**2,
        "check": float(sum((right * 1.0 - correct[0]).mean() for right in correct[:10])),
    }


def child(options: argparse.Namespace) -> None:
    """One way, in this process; prints what it took as JSON."""
    arrays = made(options)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = harness(*arrays) if options.way == "harness" else by_hand(*arrays, options.measured)
    found["wall"] = time.perf_counter() - start
    found["peak"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps(found))


def main() -> None:
    """Prints one line for each way, the least of the rounds, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("views", 64), ("examples", 10_000), ("classes", 10), ("policies", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--measured", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=["harness", "by hand"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        child(options)
        return

    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    rounds: dict[str, list[dict[str, float]]] = {"by hand": [], "harness": []}
    for _ in range(options.rounds):
        for way, results in rounds.items():
            answer = subprocess.run(
                [sys.executable, str(Path(__file__)), *sys.argv[1:], "--way", way],
                env={**os.environ, **threads},
                capture_output=True,
                text=True,
                check=True,
            )
            results.append(json.loads(answer.stdout))
    print(
        f"[{options.views} views, {options.examples:,} examples, {options.classes} classes], {options.policies:,} "
        f"policies, {RESAMPLES:,} resamples, {options.rounds} rounds in turn"
    )
    print(f"{'way':<10}{'scores, CPU s':>15}{'resamples, CPU s':>18}{'all, CPU s':>12}{'wall s':>9}{'added MB':>10}")
    for way, results in rounds.items():
        best = min(results, key=lambda row: row["scores"] + row["resamples"])
        wall = "" if way == "by hand" else f"{best['wall']:.2f}"
        print(
            f"{way:<10}{best['scores']:>15.2f}{best['resamples']:>18.2f}{best['scores'] + best['resamples']:>12.2f}"
            f"{wall:>9}{best['peak']:>10.0f}"
        )
    pairs = list(zip(rounds["by hand"], rounds["harness"], strict=True))
    for what in ("scores", "resamples"):
        print(f"{what}: {np.median([hand[what] / ours[what] for hand, ours in pairs]):.0f} times less CPU")
    assert abs(pairs[0][0]["check"] - pairs[0][1]["check"]) < 1e-9, "both ways find the same gains"


if __name__ == "__main__":
    main()
