"""The standard suite against what is written by hand today: `model.predict` for each view of each policy.

    .venv/bin/python benchmarks/sweep.py [--model resnet20] [--images 256] [--rounds 3]

Both ways use the same transforms and the same model with random weights; they run in turn, so that a noisy machine
disturbs both alike. `by hand` keeps the sum of probabilities per policy and shares nothing between policies; `by hand,
each view once` is a careful user who caches the views' probabilities. `harness` runs the union of views through the
store on disk and aggregates; `harness, second time` finds everything stored. CPU seconds are to be trusted before wall
seconds. Passes are counted, not estimated.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness import build
from harness.backend import prepare
from harness.compose import compose
from harness.fingerprint import array_digest, canonical_json
from harness.inference import run_missing
from harness.models.digest import model_digest
from harness.models.predictor import Output, make_predict
from harness.models.preprocessing import PREPROCESSING
from harness.models.registry import build_model
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy, required_views
from harness.prediction import predict
from harness.store import LogitKey, LogitStore
from harness.types import ArrayImages, Split, TrainedModel
from harness.views import ForwardPass

BATCH = 256


def by_hand(model: Any, split: Split, policies: tuple[Policy, ...], *, share: bool) -> int:
    """Runs `model.predict` for each view of each policy, or once for each view; returns the passes."""
    indices, size = np.arange(len(split)), split.images.shape[:2]
    images, cache, passes = split.images.read(indices), {}, 0
    for policy in policies:
        total = 0.0
        for view in policy.views:
            if not share or view not in cache:
                scores = model.predict(view(images, indices, size=size), batch_size=BATCH, verbose=0)
                exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
                cache[view] = exponentials / exponentials.sum(axis=1, keepdims=True)
                passes += 1
            total = total + cache[view]
        (total.argmax(axis=1) == split.labels).mean()
    return passes


def with_harness(model: TrainedModel, split: Split, policies: tuple[Policy, ...], store: LogitStore) -> int:
    """Runs the union of views through the store and aggregates every policy; returns the passes."""
    keys = {
        ForwardPass("test", view): LogitKey(
            model.digest, split.digest, canonical_json(view.spec), view.name, "exact-float32"
        )
        for view in required_views(policies)
    }
    passes = run_missing(
        keys,
        {"test": split},
        store=store,
        load_model=lambda: model,
        batch_size=BATCH,
        advance=lambda *_: None,
    )
    logits = {item.view: store.get(key) for item, key in keys.items()}
    for policy in policies:
        views = ViewLogits(tuple(logits[view] for view in policy.views))
        fitted = policy.aggregation.fit(views, split.labels)  # all of the standard suite are fixed
        predictions = predict(fitted, views, name=policy.name)
        (predictions.log_probs.argmax(axis=1) == split.labels).mean()
    return passes


def measure(work: Callable[[], int]) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and passes of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    passes = work()
    return time.process_time() - cpu, time.perf_counter() - wall, passes


def main() -> None:
    """Prints one line for each way, with medians over the rounds and ratios within the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    prepare()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (options.images, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, options.images)
    split = Split("test", ArrayImages(pixels), labels, tuple("0123456789"), array_digest(pixels, labels))
    network = build_model(options.model, input_shape=(32, 32, 3), num_classes=10)
    predict = make_predict(
        lambda images: network(images, training=False),
        input_shape=(32, 32, 3),
        output=Output("logits", 10),
        preprocessing=PREPROCESSING["none"],
        batch_size=BATCH,
    )
    model = TrainedModel(options.model, model_digest(network), (32, 32, 3), 10, predict)
    policies = build.policies(compose(["tta=suite/standard"]))[0]
    by_hand(network, split, policies[:1], share=False)
    predict(pixels[:1].astype(np.float32))

    results: dict[str, list[tuple[float, float, int]]] = {}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            store = LogitStore(Path(folder))
            ways: dict[str, Callable[[], int]] = {
                "by hand": lambda: by_hand(network, split, policies, share=False),
                "by hand, each view once": lambda: by_hand(network, split, policies, share=True),
                "harness": lambda store=store: with_harness(model, split, policies, store),
                "harness, second time": lambda store=store: with_harness(model, split, policies, store),
            }
            for name, work in ways.items():
                results.setdefault(name, []).append(measure(work))
    print(f"{options.model}, {options.images} images, {len(policies)} policies, {options.rounds} rounds in turn")
    print(f"{'way':<26}{'passes':>8}{'CPU s':>9}{'wall s':>9}{'CPU, times less':>17}")
    for name, rows in results.items():
        cpu, wall = (statistics.median(row[i] for row in rows) for i in (0, 1))
        ratio = statistics.median(hand[0] / row[0] for hand, row in zip(results["by hand"], rows, strict=True))
        print(f"{name:<26}{rows[0][2]:>8}{cpu:>9.2f}{wall:>9.2f}{ratio:>17.1f}")


if __name__ == "__main__":
    main()
