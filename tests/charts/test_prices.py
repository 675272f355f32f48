"""Score against price: latency where it was measured, the front, names that do not collide, bigger models."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness.charts.fronts import draw_front, front_of
from harness.charts.labels import placed
from harness.charts.models import beats_bigger, draw_models, mean_points
from harness.charts.price import ACCURACY, NLL, Point, points
from harness.latency_record import Latency, Timing
from harness.records import JobRecord

MakeJob = Callable[..., JobRecord]


def latency(p50: dict[str, float], *, machine: str = "a machine", noisy: bool = False) -> Latency:
    """Each policy's median at batch 1, and a tenth of it an image at batch 32."""
    one = p50.get("identity", 1.0)
    timings = tuple(
        Timing(name, batch, 100, {"p50": value * scale}, 1000 / value, value / one)
        for name, value in p50.items()
        for batch, scale in ((1, 1.0), (32, 3.2))
    )
    return Latency("2025-03-01T12:00:00+00:00", machine, "CPU", 2, 0.1, noisy, (), timings)


def test_without_latency_the_price_is_passes(make_job: MakeJob) -> None:
    """And the caption says that none was measured."""
    record = make_job()
    assert [(one.policy, one.price, one.score) for one in points(record, None, ACCURACY)] == [
        ("identity", 1.0, pytest.approx(88.0)),
        ("policy_1", 2.0, pytest.approx(90.0)),
        ("policy_2", 3.0, pytest.approx(85.0)),
    ]
    found = draw_front(record, None, ACCURACY)
    assert found is not None
    assert found.title == "Best accuracy: 90.00 % for 2 passes (policy_1)"
    assert "No latency was measured" in found.caption


def test_with_latency_the_price_is_the_median_of_one_image(make_job: MakeJob) -> None:
    """Policies that were not timed are counted; a noisy measurement is said to be one."""
    record = make_job()
    found = draw_front(record, latency({"identity": 1.5, "policy_1": 4.5}, noisy=True), NLL)
    assert found is not None
    assert found.title == "Best calibrated NLL: 0.3300 for 4.5 ms (policy_1)"
    assert "1 policy was not timed" in found.caption
    assert "The measurement was noisy." in found.caption
    timed = points(record, latency({"identity": 1.5, "policy_1": 4.5}), NLL)
    assert [(one.policy, one.price) for one in timed] == [("identity", 1.5), ("policy_1", 4.5)]


def test_the_front_of_a_loss_is_its_lower_edge() -> None:
    """For NLL lower is better, for accuracy higher."""
    some = [Point("m", name, price, score, False) for name, price, score in
            (("a", 1, 0.5), ("b", 2, 0.6), ("c", 3, 0.4), ("d", 3, 0.3), ("e", 4, 0.9))]  # fmt: skip
    assert [one.policy for one in front_of(some, NLL)] == ["a", "d"]
    assert [one.policy for one in front_of(some, ACCURACY)] == ["a", "b", "e"]


def test_what_lies_far_below_is_counted_and_not_drawn(make_job: MakeJob) -> None:
    """One failure does not squeeze the others into a line."""
    found = draw_front(make_job((0.02, -0.5)), None, ACCURACY)
    assert found is not None
    assert "1 policy lies far below identity" in found.caption
    drawn = {row.get("policy") for rows in found.spec["datasets"].values() for row in rows}
    assert drawn == {None, "identity", "policy_1"}  # None: the names beside points


@pytest.mark.parametrize(("gains", "title"), [
    ((), "identity alone: accuracy 88.00 %"),
    ((-0.01,), "No policy has a better accuracy than identity (88.00 %), at any price"),
])  # fmt: skip
def test_titles_of_small_jobs(make_job: MakeJob, gains: tuple[float, ...], title: str) -> None:
    """Identity alone, and identity unbeaten."""
    found = draw_front(make_job(gains, chosen=0), None, ACCURACY)
    assert found is not None
    assert found.title == title


def test_names_do_not_collide() -> None:
    """No two names overlap, none leaves the picture, and the first is always there."""
    random = np.random.default_rng(1)
    for _ in range(20):
        dots = [(float(x), float(y)) for x, y in random.uniform(0, 1, (30, 2)) * (600, 300)]
        named = [(x, y, "a_long_name_of_a_policy"[: 4 + place * 3]) for place, (x, y) in enumerate(dots[:7])]
        labels = placed(named, dots=dots, size=(600, 300))
        for one, other in itertools.combinations([label.box for label in labels], 2):
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert all(0 <= box[0] <= box[2] <= 600 and 0 <= box[1] <= box[3] <= 300 for box in (one.box for one in labels))
        assert labels[0].place == 0


def test_a_name_that_is_too_long_is_cut() -> None:
    """Its middle is left out, for names of policies differ at their ends; the whole name is told on hover."""
    (label,) = placed([(300, 150, "a" * 100 + "z" * 100)], dots=[], size=(600, 300))
    assert label.text == "a" * 17 + "…" + "z" * 18


def models() -> list[Point]:
    """A small model at 1 ms with 80 %, with TTA 86 % at 4 ms; a big one at 5 ms with 85 %."""
    return [
        Point("small", "identity", 1.0, 80.0, False),
        Point("small", "hflip", 2.0, 82.0, False),
        Point("small", "shifts", 4.0, 86.0, True),
        Point("small", "pool", 9.0, 90.0, False),
        Point("big", "identity", 5.0, 85.0, False),
    ]


def test_tta_beats_a_bigger_model_in_no_more_time() -> None:
    """Only what is faster and more accurate counts: hflip is worse, pool takes longer."""
    found = models()
    identities = [one for one in found if one.policy == "identity"]
    pairs = beats_bigger(found, identities, ACCURACY)
    assert [(one.policy, model.model) for one, model in pairs] == [("shifts", "big")]
    worse = [replace(one, score=70.0) if one.model == "big" else one for one in found]
    assert beats_bigger(worse, [one for one in worse if one.policy == "identity"], ACCURACY) == []


def test_jobs_of_one_model_are_one_point() -> None:
    """Two seeds: means of score and price, chosen where one of them chose it."""
    (found,) = mean_points([Point("m", "p", 1.0, 80.0, False), Point("m", "p", 3.0, 90.0, True)])
    assert found == Point("m", "p", 2.0, 85.0, True)


def test_two_models_are_one_picture(make_job: MakeJob) -> None:
    """With latencies of both: the title says who wins at equal time; without them there is no picture."""
    small = make_job((0.02,), params={"model": "small"})
    alone = make_job((), chosen=0, params={"model": "big"})
    better = replace(alone.policies[0], metrics={**alone.policies[0].metrics, "test/accuracy": 0.89})
    big = replace(alone, policies=(better,))
    times = latency({"identity": 1.0, "policy_1": 2.0}), latency({"identity": 2.5})
    found = draw_models([(small, times[0]), (big, times[1])], ACCURACY)
    assert found is not None
    assert found.title == "policy_1 on small beats big in no more time: accuracy 90.00 % against 89.00 %"
    assert draw_models([(small, times[0]), (big, None)], ACCURACY) is None
    assert draw_models([(small, times[0]), (small, times[0])], ACCURACY) is None
    slow = draw_models([(small, latency({"identity": 1.0, "policy_1": 3.0})), (big, times[1])], ACCURACY)
    assert slow is not None
    assert slow.title == "At equal time a bigger model has the better accuracy, not TTA on a smaller one"
    same = draw_models([(small, times[0]), (alone, times[1])], ACCURACY)
    assert same is not None
    assert same.title == "small is the fastest model and has the best accuracy without TTA: nothing to beat"
    other = draw_models([(small, times[0]), (big, replace(times[1], machine="another"))], ACCURACY)
    assert other is not None
    assert "Measured on 2 machines" in other.caption
