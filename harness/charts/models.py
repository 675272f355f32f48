"""Several models on one data set: whether TTA on a small one beats a bigger one at equal time."""

from collections.abc import Sequence

import altair as alt

from harness.charts.picture import DASHES, INK, SERIES, SHAPES, Picture, base, layered, picture
from harness.charts.price import (
    ACCURACY,
    HEIGHT,
    Point,
    Price,
    Score,
    point_row,
    point_tooltip,
    points,
    price_axes,
    price_of,
)
from harness.latency_record import Latency
from harness.records import IDENTITY, JobRecord

MOST_MODELS = 5  # that shapes and colours tell apart, beside the diamond


def draw_models(jobs: Sequence[tuple[JobRecord, Latency | None]], score: Score) -> Picture | None:
    """Several models on one data set: their policies, and the line through the models' own predictions.

    Jobs of one model, e.g. of several seeds, are one: means of score and price. None for fewer than two models with a
    measured latency: forward passes of different models are no common price.
    """
    timed = [(record, latency) for record, latency in jobs if latency is not None and latency.timings]
    found = mean_points([one for record, latency in timed for one in points(record, latency, score)])
    identities = sorted((one for one in found if one.policy == IDENTITY), key=lambda one: one.price)[:MOST_MODELS]
    if len(identities) < 2:
        return None
    models = {one.model for one in identities}
    found = [one for one in found if one.model in models]
    near = _near(found, identities, score)
    machines = {one.machine for _, one in timed if one is not None}
    several = f" Measured on {len(machines)} machines: the times are hard to compare." if len(machines) > 1 else ""
    outside = f" {len(found) - len(near)} policies lie far below, outside the picture." if near != found else ""
    return picture(
        "models_accuracy" if score is ACCURACY else "models_nll",
        _models_chart(near, identities, score, price_of(timed[0][1])),
        title=_title(found, identities, score),
        caption=f"{timed[0][0].dataset.name}: each point a policy, each diamond a model without TTA, joined by a line, "
        "the bigger model at equal time. A policy on the better side of it is worth more than a bigger model. Means "
        f"over the jobs of a model, without their intervals. {price_of(timed[0][1]).note}{several}{outside}",
        height=HEIGHT,
    )


def mean_points(found: Sequence[Point]) -> list[Point]:
    """One point for each model and policy, the mean of price and of score over those given."""
    groups: dict[tuple[str, str], list[Point]] = {}
    for one in found:
        groups.setdefault((one.model, one.policy), []).append(one)
    return [
        Point(
            model,
            policy,
            sum(one.price for one in group) / len(group),
            sum(one.score for one in group) / len(group),
            any(one.chosen for one in group),
        )
        for (model, policy), group in groups.items()
    ]


def beats_bigger(found: Sequence[Point], identities: Sequence[Point], score: Score) -> list[tuple[Point, Point]]:
    """Pairs of a policy and a slower, better model that it beats in no more time; the best score first.

    A model that is no better than the policy's own, without TTA, is no rival.
    """
    own = {one.model: one for one in identities}
    pairs = [
        (one, rival)
        for one in found
        for rival in identities
        if one.policy != IDENTITY
        and own[one.model].price < rival.price
        and score.better(rival.score, own[one.model].score)
        and one.price <= rival.price
        and score.better(one.score, rival.score)
    ]
    return sorted(pairs, key=lambda pair: -pair[0].score if score.higher else pair[0].score)


def _near(found: Sequence[Point], identities: Sequence[Point], score: Score) -> list[Point]:
    """Without those so far below every model that the others would be squeezed."""
    scores = [one.score for one in identities]
    reach = max(max(scores) - min(scores), score.least)
    edge = min(scores) - reach if score.higher else max(scores) + reach
    return [one for one in found if score.better(one.score, edge)]


def _title(found: Sequence[Point], identities: Sequence[Point], score: Score) -> str:
    pairs = beats_bigger(found, identities, score)
    if pairs:
        one, rival = pairs[0]
        return (
            f"{one.policy} on {one.model} beats {rival.model} in no more time: {score.words} {score.text(one.score)} "
            f"against {score.text(rival.score)}"
        )
    fastest = identities[0]
    if not any(score.better(rival.score, fastest.score) for rival in identities[1:]):
        return f"{fastest.model} is the fastest model and has the best {score.words} without TTA: nothing to beat"
    return f"At equal time a bigger model has the better {score.words}, not TTA on a smaller one"


def _models_chart(found: Sequence[Point], identities: Sequence[Point], score: Score, price: Price) -> alt.LayerChart:
    x, y = price_axes(found, score, price)
    models = [one.model for one in identities]
    colour = alt.Color("model:N", scale=alt.Scale(domain=models, range=list(SERIES[: len(models)])))
    shape = alt.Shape(
        "model:N", scale=alt.Scale(domain=models, range=[one for one in SHAPES if one != "diamond"][: len(models)])
    )
    rows = [point_row(one, score, price) for one in found if one.policy != IDENTITY]
    own = [point_row(one, score, price) for one in identities]
    tooltip = point_tooltip(score, "model")
    other = base(rows).mark_point(filled=True, size=60, opacity=0.8)
    plain = base(own).mark_point(filled=True, size=170, shape="diamond", opacity=1)
    return layered(
        base(own).mark_line(color=INK, strokeDash=list(DASHES[1])).encode(x=x, y=y),
        other.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
        plain.encode(x=x, y=y, color=colour, tooltip=tooltip),
        base(own).mark_text(dy=-14, fontSize=11, color=INK).encode(x=x, y=y, text="model:N"),
    )
