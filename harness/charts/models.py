"""Several models on one data set: whether TTA on a small one beats a bigger one at equal time."""

from collections.abc import Sequence
from dataclasses import replace

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
        caption=f"{timed[0][0].dataset.name}: each point a policy, each diamond a model without TTA, joined by a line, "
        "the bigger model at equal time. A policy on the better side of it is worth more than a bigger model; values "
        f"of single policies, without their intervals. {price.note}{several}",
        height=HEIGHT,
    )


def beats_bigger(found: Sequence[Point], identities: Sequence[Point], score: Score) -> list[tuple[Point, Point]]:
    """Pairs of a policy and another model that takes at least as long and scores no better; the best score first."""
    pairs = [
        (one, model)
        for one in found
        for model in identities
        if one.policy != IDENTITY
        and one.model != model.model
        and one.price <= model.price
        and score.better(one.score, model.score)
        and _own(one, identities).price < model.price
    ]
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


def _models_chart(found: Sequence[Point], identities: Sequence[Point], score: Score, price: Price) -> alt.LayerChart:
    x, y = price_axes(found, score, price)
    models = list(dict.fromkeys(one.model for one in identities))[: len(SERIES)]
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
    )  # fmt: skip
