"""What charts of score against price share. The price is latency where it was measured, else forward passes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from harness.latency_record import Latency
from harness.records import JobRecord

HEIGHT, WIDTH = 340, 640  # pixels; names are placed for this width


@dataclass(frozen=True)
class Score:
    """What stands on the vertical axis.

    Attributes:
        metric: its name. words: for people. factor: from the metric to what people read.
        higher: whether more is better. digits: behind the point. least: how far below identity is always drawn.
    """

    metric: str
    words: str
    factor: float
    higher: bool
    digits: int
    least: float

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is the better value."""
        return one > other if self.higher else one < other

    def text(self, value: float) -> str:
        """For people, with its unit."""
        return f"{value:.{self.digits}f}" + (" %" if self.factor == 100 else "")


ACCURACY = Score("test/accuracy", "accuracy", 100, higher=True, digits=2, least=5.0)
NLL = Score("test/nll_calibrated", "calibrated NLL", 1, higher=False, digits=4, least=0.1)


@dataclass(frozen=True)
class Point:
    """A policy of a model: its name, price, score as people read it, and whether it was chosen."""

    model: str
    policy: str
    price: float
    score: float
    chosen: bool


@dataclass(frozen=True)
class Price:
    """What stands on the horizontal axis: its title, how a value is told, and a sentence for the caption."""

    title: str
    unit: str
    note: str

    def text(self, value: float) -> str:
        """For people, with its unit."""
        return f"{value:.3g} {self.unit}"


def points(record: JobRecord, latency: Latency | None, score: Score) -> list[Point]:
    """The policies that have a score and a price: p50 of a query at the smallest batch, or passes per image."""
    found = []
    for policy in record.policies:
        value, price = policy.metric(score.metric), policy.passes
        if latency is not None:
            timing = latency.of(policy.name, latency.batches[0])
            price = timing.milliseconds["p50"] if timing and "p50" in timing.milliseconds else math.nan
        if math.isfinite(value) and math.isfinite(price) and price > 0:
            chosen = policy.name == record.recommendation.policy
            found.append(Point(record.model_name, policy.name, price, score.factor * value, chosen))
    return found


def price_of(latency: Latency | None, *, left_out: int = 0) -> Price:
    """The words for the price."""
    if latency is None:
        return Price(
            "forward passes per image (log)",
            "passes",
            "No latency was measured, so the price is forward passes; harness price measures it.",
        )
    noisy = " The measurement was noisy." if latency.noisy else ""
    missing = (
        f" {'1 policy was' if left_out == 1 else f'{left_out} policies were'} not timed and not drawn."
        if left_out
        else ""
    )
    batch = latency.batches[0]
    return Price(
        f"latency, ms, p50 at batch {batch} (log)",
        "ms",
        f"Latency measured on {latency.machine} ({latency.device}, {latency.threads} threads).{noisy}{missing}",
    )


def point_row(one: Point, score: Score, price: Price, **more: Any) -> dict[str, Any]:
    """A point as a row of a chart, with its numbers as text."""
    return {
        "policy": one.policy,
        "model": one.model,
        "price": one.price,
        "score": one.score,
        "price_text": price.text(one.price),
        "score_text": score.text(one.score),
        **more,
    }


def point_tooltip(score: Score, *first: str) -> list[alt.Tooltip]:
    """What is told of a point under the pointer: its policy, these fields, its price and score."""
    names = [alt.Tooltip(f"{name}:N") for name in ("policy", *first)]
    return [*names, alt.Tooltip("price_text:N", title="price"), alt.Tooltip("score_text:N", title=score.words)]


def price_axes(found: Sequence[Point], score: Score, price: Price) -> tuple[alt.X, alt.Y]:
    """Axes of price (logarithmic) and score that hold all points."""
    x_domain, y_domain = domains(found)
    axis = alt.Axis(format="~g", **({"values": _powers(x_domain)} if price.unit == "passes" else {"tickCount": 6}))
    return (
        alt.X("price:Q", scale=alt.Scale(type="log", domain=list(x_domain), nice=False), axis=axis, title=price.title),
        alt.Y(
            "score:Q",
            scale=alt.Scale(domain=list(y_domain), zero=False, nice=False),
            title=f"{score.words} on test" + (", %" if score.factor == 100 else ", nats (lower is better)"),
        ),
    )


def domains(found: Sequence[Point]) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where the axes of price and score go, with room at the ends."""
    prices, scores = [one.price for one in found], [one.score for one in found]
    room = 0.1 * (max(scores) - min(scores)) or 0.05 * abs(max(scores)) or 1.0
    ratio = max(max(prices) / min(prices), 2.0) ** 0.08
    return (min(prices) / ratio, max(prices) * ratio**2), (min(scores) - room, max(scores) + room)


def _powers(domain: tuple[float, float]) -> list[int]:
    return [2**power for power in range(1 + math.floor(math.log2(max(domain[1], 1))))]
