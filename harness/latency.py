"""How long a policy takes as a deployed model: timed beside identity on real images, never inferred.

A round sends one query, the same images, to every candidate in random order, so that whatever else the machine does
hits all of them alike and the ratio to identity stays honest on a busy machine. What is called are deployed models:
no logit comes from a store here.

A percentile is reported where at least `ABOVE` queries lie above it: p50 needs 20, p90 100, p99 1,000. Rounds end at
`MOST`, or earlier when the time is up; then the percentiles that would rest on fewer queries are left out.
"""

import gc
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from harness.latency_record import Timing
from harness.records import IDENTITY

Query = Callable[[np.ndarray], object]
"""A deployed model: images `[n, h, w, C]` uint8 to anything, and it returns when that is there."""

PERCENTILES = (50, 90, 99)
ABOVE = 10
WARM_UP = 10  # rounds: graphs are traced, caches and memory pools filled
MOST = ABOVE * 100 // (100 - PERCENTILES[-1])
LEAST = ABOVE * 100 // (100 - PERCENTILES[0])
DRIFT = 0.1  # the ratio in the first half of the rounds may differ from the second's by this share
SPREAD = 2.0  # identity does the same work in every round: its p90 may be so many times its p50
BUSY = 0.5  # processes that may wait or run, in the mean of the last minute


def time_queries(
    candidates: Mapping[str, Query],
    images: np.ndarray,
    *,
    batch: int,
    seconds: float,
    seed: int = 0,
    clock: Callable[[], float],
    advance: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """Seconds of each query `[R]` float64 by candidate, all timed in the same R rounds.

    Args:
        candidates: deployed models by policy.
        images: `[N, h, w, C]` uint8 that queries are drawn from, because what an adaptive policy costs is up to them.
        batch: images of a query.
        seconds: no round begins later, once there are enough for a median.
        seed: of the draws and of the order within a round.
        clock: seconds that only go forward, e.g. `time.perf_counter`.
        advance: called after each round.
    """
    stream = np.random.default_rng(seed)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    names, end = list(candidates), float("inf")
    with _without_garbage_collection():
        for number in itertools.count():
            rounds = number - WARM_UP
            if rounds == 0:
                end = clock() + seconds
            if rounds >= MOST or (rounds >= LEAST and clock() >= end):
                break
            query = np.ascontiguousarray(images[stream.integers(len(images), size=batch)])
            for place in stream.permutation(len(names)):
                begin = clock()
                candidates[names[place]](query)
                taken = clock() - begin
                if rounds >= 0:
                    times[names[place]].append(taken)
            advance()
    return {name: np.array(found) for name, found in times.items()}


def timings(times: Mapping[str, np.ndarray], *, batch: int) -> tuple[Timing, ...]:
    """What the rounds' seconds `[R]` of each policy come to; `identity` is among them."""
    return tuple(
        Timing(
            policy=name,
            batch=batch,
            queries=len(found),
            milliseconds={
                f"p{percent}": 1000 * float(np.quantile(found, percent / 100))
                for percent in PERCENTILES
                if len(found) * (100 - percent) >= 100 * ABOVE
            },
            images_per_second=batch * len(found) / float(found.sum()),
            ratio=_ratio(found, times[IDENTITY]),
        )
        for name, found in times.items()
    )


def doubts(times: Mapping[str, np.ndarray], *, batch: int) -> tuple[str, ...]:
    """Sentences on why these rounds are noisy; none where they are not."""
    p50, p90 = np.quantile(times[IDENTITY], (0.5, 0.9))
    found = []
    if p90 > SPREAD * p50:
        found.append(f"batch {batch}: identity's slowest tenth takes {p90 / p50:.1f} times its median")
    for name, seconds in times.items():
        middle = len(seconds) // 2
        first, second = (_ratio(seconds[part], times[IDENTITY][part]) for part in (slice(middle), slice(middle, None)))
        if abs(first / second - 1) > DRIFT:
            found.append(f"batch {batch}: the ratio of {name} is {first:.2f} at first and {second:.2f} later")
    return tuple(found)


def load_doubt(load: float) -> tuple[str, ...]:
    """A sentence where other programs keep the machine busy; `load` is the one-minute load average."""
    return (f"the machine was busy before the measurement (load average {load:.1f})",) if load > BUSY else ()


def _ratio(seconds: np.ndarray, of_identity: np.ndarray) -> float:
    """Of all the time, not of medians: where images differ in their passes, the median one is not the mean one."""
    return float(seconds.sum() / of_identity.sum())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A collection in the middle of a query is none of its cost."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
