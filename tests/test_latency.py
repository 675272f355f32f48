"""Deployed models timed beside each other, by a clock that the test turns itself."""

import gc

import numpy as np
import pytest

from harness.latency import ABOVE, LEAST, MOST, WARM_UP, doubts, load_doubt, time_queries, timings

IMAGES = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1)


class Clock:
    """Time that passes when a model works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def model(self, seconds: float, *, per_image: float = 0.0, seen: list[np.ndarray] | None = None):
        """A model that takes so long for a query and for each of its images whose first pixel is even."""

        def call(images: np.ndarray) -> None:
            self.now += seconds + per_image * int((images[:, 0, 0, 0] % 8 == 0).sum())
            if seen is not None:
                seen.append(images)

        return call


def test_the_time_of_each_model_and_no_warm_up() -> None:
    """Every timed query takes what the model takes; the rounds of the warm-up are not among them."""
    clock, seen = Clock(), []
    candidates = {"identity": clock.model(0.25, seen=seen), "hflip": clock.model(0.5)}
    times = time_queries(candidates, IMAGES, batch=3, seconds=0, clock=clock)
    assert {name: set(found.tolist()) for name, found in times.items()} == {"identity": {0.25}, "hflip": {0.5}}
    assert [len(found) for found in times.values()] == [LEAST, LEAST]
    assert len(seen) == LEAST + WARM_UP
    assert all(query.shape == (3, 2, 2, 1) and query.dtype == np.uint8 for query in seen)


def test_all_models_answer_the_same_queries_in_changing_order() -> None:
    """A round is one query for everybody, and nobody always comes first."""
    order: list[str] = []
    queries: dict[str, list[bytes]] = {"identity": [], "hflip": []}

    def model(name: str):
        def call(images: np.ndarray) -> None:
            order.append(name)
            queries[name].append(images.tobytes())

        return call

    time_queries({name: model(name) for name in queries}, IMAGES, batch=2, seconds=0, clock=Clock())
    assert queries["identity"] == queries["hflip"]
    assert len(set(queries["identity"])) > LEAST / 2
    assert set(order[::2]) == {"identity", "hflip"}


@pytest.mark.parametrize(
    ("seconds", "rounds"), [(0, LEAST), (50.5, 51), (10_000, MOST)], ids=["a median at least", "time", "enough"]
)
def test_rounds_end_when_time_is_up_or_enough_were_seen(seconds: float, rounds: int) -> None:
    """Never before a median can be told, and never after the last percentile can."""
    clock = Clock()
    times = time_queries({"identity": clock.model(1.0)}, IMAGES, batch=1, seconds=seconds, clock=clock)
    assert len(times["identity"]) == rounds


def test_percentiles_need_queries_above_them() -> None:
    """By hand: of the times 1..100 ms, the median is 50.5, the 90th percentile 90.1; the 99th rests on one query."""
    seconds = np.arange(1, 101) / 1000
    (timing,) = timings({"identity": seconds}, batch=4)
    assert timing.milliseconds == pytest.approx({"p50": 50.5, "p90": 90.1})
    assert timing.images_per_second == pytest.approx(400 / 5.05)
    assert ABOVE == 10
    assert set(timings({"identity": np.ones(1000)}, batch=1)[0].milliseconds) == {"p50", "p90", "p99"}
    assert timings({"identity": np.ones(19)}, batch=1)[0].milliseconds == {}


def test_the_ratio_is_of_the_mean_cost() -> None:
    """A policy that is slow for some images costs its mean, although its median query costs nothing more."""
    clock = Clock()
    adaptive = clock.model(1.0, per_image=4.0)
    times = time_queries(
        {"identity": clock.model(1.0), "adaptive": adaptive}, IMAGES, batch=1, seconds=1e9, clock=clock
    )
    found = {one.policy: one for one in timings(times, batch=1)}
    share = float(np.mean(IMAGES[:, 0, 0, 0] % 8 == 0))
    assert found["adaptive"].ratio == pytest.approx(1 + 4 * share, rel=0.1)
    assert found["adaptive"].milliseconds["p50"] in (1000.0, 5000.0)
    assert found["identity"].ratio == 1.0


def test_noise_is_said() -> None:
    """Steady rounds raise no doubt; a slow tail of identity, a ratio that does not repeat and a busy machine do."""
    steady = {"identity": np.full(100, 0.01), "hflip": np.full(100, 0.02)}
    assert doubts(steady, batch=1) == ()
    tail = {"identity": np.where(np.arange(100) < 80, 0.01, 0.03)}
    assert doubts(tail, batch=8) == ("batch 8: identity's slowest tenth takes 3.0 times its median",)
    drifting = {**steady, "hflip": np.where(np.arange(100) < 50, 0.02, 0.03)}
    assert doubts(drifting, batch=1) == ("batch 1: the ratio of hflip is 2.00 at first and 3.00 later",)
    assert load_doubt(0.2) == ()
    assert load_doubt(1.5) == ("the machine was busy before the measurement (load average 1.5)",)


def test_garbage_is_collected_again_afterwards() -> None:
    """The collector is off while queries are timed, and on afterwards even if a model fails."""
    states = []

    def failing(_images: np.ndarray) -> None:
        states.append(gc.isenabled())
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        time_queries({"identity": failing}, IMAGES, batch=1, seconds=0, clock=Clock())
    assert (states, gc.isenabled()) == ([False], True)
