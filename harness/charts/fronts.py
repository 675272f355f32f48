"""Score against price: the policies that no cheaper one equals, joined and named."""

import itertools
import math
from collections.abc import Sequence

import altair as alt
import numpy as np

from harness.charts.labels import placed
from harness.charts.picture import BLUE, GREEN, GREY, INK, STAR, VERMILION, Picture, base, layered, picture
from harness.charts.price import (
    ACCURACY,
    HEIGHT,
    WIDTH,
    Point,
    Price,
    Score,
    domains,
    point_row,
    point_tooltip,
    points,
    price_axes,
    price_of,
)
from harness.latency_record import Latency
from harness.pareto import pareto_front
from harness.records import IDENTITY, JobRecord

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
    outside = (
        f" {far} {'policy' if far == 1 else 'policies'} far below identity lie outside the picture." if far else ""
    )
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


def _chart(near: Sequence[Point], front: Sequence[Point], score: Score, price: Price) -> alt.LayerChart:
    x, y = price_axes(near, score, price)
    kinds = [_kind(one, front) for one in near]
    rows = [point_row(one, score, price, kind=kind) for one, kind in zip(near, kinds, strict=True)]
    # The marked ones are drawn last, and so on top.
    rows.sort(key=lambda row: list(KINDS).index(row["kind"]))
    present = [kind for kind in KINDS if kind in kinds]
    looks = {
        name: alt.Scale(domain=present, range=[KINDS[kind][place] for kind in present])
        for place, name in enumerate(("colour", "shape"))
    }
    points_layer = base(rows).mark_point(filled=True, opacity=0.85).encode(
        x=x, y=y, color=alt.Color("kind:N", scale=looks["colour"]), shape=alt.Shape("kind:N", scale=looks["shape"]),
        size=alt.condition(f"datum.kind === '{CHOSEN}'", alt.value(190), alt.value(75)), tooltip=point_tooltip(score),
    )  # fmt: skip
    steps = [point_row(one, score, price) for one in front if one in near]
    line = base(steps).mark_line(color=BLUE, interpolate="step-after", strokeWidth=1.5).encode(x=x, y=y)
    return layered(line, points_layer, *_names(near, front, x, y))


def _names(near: Sequence[Point], front: Sequence[Point], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Names beside the chosen policy, identity and the front, where there is room for them."""
    marked = [one for one in near if one.chosen or one.policy == IDENTITY]
    wanted = list(dict.fromkeys([*marked, *(one for one in reversed(front) if one in near)]))[:MOST_LABELS]
    x_domain, y_domain = domains(near)

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
        for (start, level), (stop, _) in itertools.pairwise(corners)
        for x in np.arange(start, stop, 12.0)
    ]
