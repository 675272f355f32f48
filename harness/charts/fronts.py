"""Score against price: the policies that no cheaper one equals, joined and named; several models on one data set.

The price is the measured latency where there is one, else forward passes, and the picture says which.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np

from harness.charts.labels import placed
from harness.charts.picture import BLUE, DASHES, GREEN, GREY, INK, SERIES, SHAPES, STAR, VERMILION, Picture, base, picture
from harness.latency_record import Latency
from harness.records import IDENTITY, JobRecord

HEIGHT, WIDTH = 340, 640  # pixels; names are placed for this width
MOST_LABELS = 7
NARROW = 520  # pixels, below which names would collide and are left to the hover
FAR = 4.0  # how many times the best gain a policy may lie below identity to be drawn

PLAIN, FRONT, CHOSEN, REFERENCE = "policy", "no cheaper one is as good", "chosen on validation", "identity"
KINDS = {
    PLAIN: (GREY, "circle"),
    FRONT: (BLUE, "square"),
    CHOSEN: (VERMILION, STAR),
    REFERENCE: (GREEN, "diamond"),
}


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
        value, price = policy.metrics.get(score.metric, math.nan), policy.passes
        if latency is not None:
            timing = latency.of(policy.name, latency.batches[0])
            price = timing.milliseconds["p50"] if timing and "p50" in timing.milliseconds else math.nan
        if math.isfinite(value) and math.isfinite(price) and price > 0:
            chosen = policy.name == record.recommendation.policy
            model = str(record.params.get("model", record.model.name))
            found.append(Point(model, policy.name, price, score.factor * value, chosen))
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
    missing = f" {left_out} policies were not timed and are not drawn." if left_out else ""
    batch = latency.batches[0]
    return Price(
        f"latency, ms, p50 at batch {batch} (log)",
        "ms",
        f"Latency measured on {latency.machine} ({latency.device}, {latency.threads} threads).{noisy}{missing}",
    )


def pareto_front(cost: np.ndarray, score: np.ndarray) -> list[int]:
    """Indices of the points that score more than every point of equal or lower cost, by cost.

    Args:
        cost: `[P]`, lower is better.
        score: `[P]`, higher is better.
    """
    front: list[int] = []
    for index in np.lexsort((-score, cost)):
        if not front or score[index] > score[front[-1]]:
            front.append(int(index))
    return front


def front_of(found: Sequence[Point], score: Score) -> list[Point]:
    """The points that no cheaper or equally dear one equals, by price."""
    sign = 1 if score.higher else -1
    cost, value = (np.array([getattr(one, name) for one in found]) for name in ("price", "score"))
    return [found[index] for index in pareto_front(cost, sign * value)]


def draw_front(record: JobRecord, latency: Latency | None, score: Score) -> Picture | None:
    """The policies of one job; None where none has both a score and a price."""
    latency = latency if latency is not None and latency.timings else None
    found = points(record, latency, score)
    if not found:
        return None
    price = price_of(latency, left_out=len(record.policies) - len(found))
    front = front_of(found, score)
    near = _near(found, score)
    far = len(found) - len(near)
    outside = f" {far} {'policy' if far == 1 else 'policies'} far below identity lie outside the picture." if far else ""
    return picture(
        "accuracy_price" if score is ACCURACY else "nll_price",
        _chart(near, front, score, price),
        title=_title(found, front, score, price),
        caption=f"On test; values of single policies, without their intervals. {price.note}{outside}",
        height=HEIGHT,
    )


def _near(found: Sequence[Point], score: Score) -> list[Point]:
    """Without those so far below identity that the others would be squeezed."""
    identity = next((one.score for one in found if one.policy == IDENTITY), None)
    if identity is None:
        return list(found)
    best = max(abs(one.score - identity) for one in front_of(found, score))
    reach = max(FAR * best, score.least)
    return [one for one in found if abs(one.score - identity) <= reach or one.chosen]


def _title(found: Sequence[Point], front: Sequence[Point], score: Score, price: Price) -> str:
    best = front[-1]
    value = score.text(best.score)
    if len(found) == 1:
        return f"{best.policy} alone: {score.words} {value}"
    if best.policy == IDENTITY:
        return f"No policy has a better {score.words} than identity ({value}), at any price"
    return f"Best {score.words}: {value} for {price.text(best.price)} ({best.policy})"


def _kind(one: Point, front: Sequence[Point]) -> str:
    if one.chosen:
        return CHOSEN
    return REFERENCE if one.policy == IDENTITY else FRONT if one in front else PLAIN


def _row(one: Point, score: Score, price: Price, **more: Any) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "model": one.model,
        "price": one.price,
        "score": one.score,
        "price_text": price.text(one.price),
        "score_text": score.text(one.score),
        **more,
    }


def _tooltip(score: Score, *first: str) -> list[alt.Tooltip]:
    names = [alt.Tooltip(f"{name}:N") for name in ("policy", *first)]
    return [*names, alt.Tooltip("price_text:N", title="price"), alt.Tooltip("score_text:N", title=score.words)]


def _axes(found: Sequence[Point], score: Score, price: Price) -> tuple[alt.X, alt.Y]:
    x_domain, y_domain = _domains(found)
    axis = alt.Axis(format="~g", **({"values": _powers(x_domain)} if price.unit == "passes" else {"tickCount": 6}))
    return (
        alt.X("price:Q", scale=alt.Scale(type="log", domain=list(x_domain), nice=False), axis=axis, title=price.title),
        alt.Y(
            "score:Q",
            scale=alt.Scale(domain=list(y_domain), zero=False, nice=False),
            title=f"{score.words} on test" + (", %" if score.factor == 100 else ", nats (lower is better)"),
        ),
    )


def _domains(found: Sequence[Point]) -> tuple[tuple[float, float], tuple[float, float]]:
    prices, scores = [one.price for one in found], [one.score for one in found]
    room = 0.1 * (max(scores) - min(scores)) or 0.05 * abs(max(scores)) or 1.0
    ratio = max(max(prices) / min(prices), 2.0) ** 0.08
    return (min(prices) / ratio, max(prices) * ratio**2), (min(scores) - room, max(scores) + room)


def _powers(domain: tuple[float, float]) -> list[int]:
    return [2**power for power in range(1 + math.floor(math.log2(max(domain[1], 1))))]


def _chart(near: Sequence[Point], front: Sequence[Point], score: Score, price: Price) -> alt.LayerChart:
    x, y = _axes(near, score, price)
    kinds = [_kind(one, front) for one in near]
    rows = [_row(one, score, price, kind=kind) for one, kind in zip(near, kinds, strict=True)]
    # The marked ones are drawn last, and so on top.
    rows.sort(key=lambda row: list(KINDS).index(row["kind"]))
    present = [kind for kind in KINDS if kind in kinds]
    looks = {name: alt.Scale(domain=present, range=[KINDS[kind][place] for kind in present]) for place, name in enumerate(("colour", "shape"))}
    points_layer = base(rows).mark_point(filled=True, opacity=0.85).encode(
        x=x, y=y, color=alt.Color("kind:N", scale=looks["colour"]), shape=alt.Shape("kind:N", scale=looks["shape"]),
        size=alt.condition(f"datum.kind === '{CHOSEN}'", alt.value(190), alt.value(75)), tooltip=_tooltip(score),
    )  # fmt: skip
    steps = [_row(one, score, price) for one in front if one in near]
    line = base(steps).mark_line(color=BLUE, interpolate="step-after", strokeWidth=1.5).encode(x=x, y=y)
    return alt.layer(line, points_layer, *_names(near, front, x, y))


def _names(near: Sequence[Point], front: Sequence[Point], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Names beside the chosen policy, identity and the front, where there is room for them."""
    marked = [one for one in near if one.chosen or one.policy == IDENTITY]
    wanted = list(dict.fromkeys([*marked, *(one for one in reversed(front) if one in near)]))[:MOST_LABELS]
    x_domain, y_domain = _domains(near)

    def pixel(one: Point) -> tuple[float, float]:
        right = (math.log(one.price) - math.log(x_domain[0])) / (math.log(x_domain[1]) - math.log(x_domain[0]))
        down = 1 - (one.score - y_domain[0]) / (y_domain[1] - y_domain[0])
        return WIDTH * right, HEIGHT * down

    line = [one for one in front if one in near]
    dots = [pixel(one) for one in near] + _along([pixel(one) for one in line])
    labels = placed([(*pixel(one), one.policy) for one in wanted], dots=dots, size=(WIDTH, HEIGHT))
    # An alignment and an offset are properties of a mark, not of a datum: a layer for each.
    return [
        base([{"price": wanted[label.place].price, "score": wanted[label.place].score, "name": label.text}])
        .mark_text(
            align=label.align,
            baseline=label.baseline,
            dx=label.dx,
            dy=label.dy,
            fontSize=11,
            color=INK,
            opacity=alt.ExprRef(f"width < {NARROW} ? 0 : 1"),
        )
        .encode(x=x, y=y, text="name:N")
        for label in labels
    ]


def _along(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points on the level parts of the line, so that no name is written over it."""
    return [
        (float(x), level)
        for (start, level), (stop, _) in zip(corners, corners[1:], strict=False)
        for x in np.arange(start, stop, 12.0)
    ]


def draw_models(jobs: Sequence[tuple[JobRecord, Latency | None]], score: Score) -> Picture | None:
    """Several models on one data set: their policies, and the line through the models' own predictions.

    None for fewer than two models, or where a model has no measured latency: forward passes of different models are no
    common price.
    """
    timed = [(record, latency) for record, latency in jobs if latency is not None and latency.timings]
    found = [one for record, latency in timed for one in points(record, latency, score)]
    identities = sorted((one for one in found if one.policy == IDENTITY), key=lambda one: one.price)
    if len({one.model for one in identities}) < 2:
        return None
    latency = timed[0][1]
    machines = {one.machine for _, one in timed if one is not None}
    several = f" Measured on {len(machines)} machines: the times are hard to compare." if len(machines) > 1 else ""
    price = price_of(latency)
    return picture(
        "models_accuracy" if score is ACCURACY else "models_nll",
        _models_chart(found, identities, score, price),
        title=_models_title(found, identities, score),
        caption=f"{timed[0][0].dataset.name}: each point a policy, each diamond a model without TTA, joined by the line "
        "\"a bigger model at equal time\". A policy on the better side of it is worth more than a bigger model; values "
        f"of single policies, without their intervals. {price.note}{several}",
        height=HEIGHT,
    )


def beats_bigger(found: Sequence[Point], identities: Sequence[Point], score: Score) -> list[tuple[Point, Point]]:
    """Pairs of a policy and another model that takes at least as long and scores no better; the best score first."""
    pairs = [
        (one, model)
        for one in found
        for model in identities
        if one.policy != IDENTITY and one.model != model.model and one.price <= model.price
        and score.better(one.score, model.score) and _own(one, identities).price < model.price
    ]  # fmt: skip
    return sorted(pairs, key=lambda pair: -pair[0].score if score.higher else pair[0].score)


def _own(one: Point, identities: Sequence[Point]) -> Point:
    """Identity of the same model; the policy itself where that was not timed."""
    return next((model for model in identities if model.model == one.model), replace(one))


def _models_title(found: Sequence[Point], identities: Sequence[Point], score: Score) -> str:
    pairs = beats_bigger(found, identities, score)
    if not pairs:
        return f"At equal time no policy of a faster model has a better {score.words} than a slower model"
    one, model = pairs[0]
    return (
        f"{one.policy} on {one.model} beats {model.model} in no more time: {score.words} {score.text(one.score)} "
        f"against {score.text(model.score)}"
    )


def _models_chart(
    found: Sequence[Point], identities: Sequence[Point], score: Score, price: Price
) -> alt.LayerChart:
    x, y = _axes(found, score, price)
    models = list(dict.fromkeys(one.model for one in identities))[: len(SERIES)]
    colour = alt.Color("model:N", scale=alt.Scale(domain=models, range=list(SERIES[: len(models)])))
    shape = alt.Shape("model:N", scale=alt.Scale(domain=models, range=[one for one in SHAPES if one != "diamond"][: len(models)]))
    rows = [_row(one, score, price) for one in found if one.policy != IDENTITY]
    own = [_row(one, score, price) for one in identities]
    return alt.layer(
        base(own).mark_line(color=INK, strokeDash=list(DASHES[1])).encode(x=x, y=y),
        base(rows).mark_point(filled=True, size=60, opacity=0.8).encode(x=x, y=y, color=colour, shape=shape, tooltip=_tooltip(score, "model")),
        base(own).mark_point(filled=True, size=170, shape="diamond", opacity=1).encode(x=x, y=y, color=colour, tooltip=_tooltip(score, "model")),
        base(own).mark_text(dy=-14, fontSize=11, color=INK).encode(x=x, y=y, text="model:N"),
    )  # fmt: skip
