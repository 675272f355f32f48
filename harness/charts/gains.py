"""A forest plot: the accuracy gain of every policy over identity with its interval, best on top."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from harness.charts.picture import GREEN, GREY, MIDDLE, VERMILION, Picture, base, layered, picture, zero
from harness.records import IDENTITY, JobRecord, PolicyRecord

SIGNIFICANCE = 0.05
MOST_ROWS = 30
BETTER, WORSE, OPEN = "better (adjusted p < 0.05)", "worse (adjusted p < 0.05)", "not told apart"
SIGNS = {BETTER: (GREEN, "triangle-up"), WORSE: (VERMILION, "triangle-down"), OPEN: (GREY, "circle")}
ROW = 20  # pixels
FAR, LEAST = 4.0, 10.0  # an axis reaches this many times the highest gain below zero, and this many points at least

Row = dict[str, Any]


def gain_rows(record: JobRecord) -> list[Row]:
    """One row a policy beside identity, by falling gain, in points: at most the best and worst 15 and the chosen.

    A row between them without numbers says how many are left out.
    """
    policies = sorted(_with_gain(record), key=lambda policy: policy.metrics["gain/accuracy"], reverse=True)
    rows = [_row(policy, record) for policy in policies]
    if len(rows) <= MOST_ROWS:
        return rows
    half = MOST_ROWS // 2
    kept = [row for row in rows[half:-half] if row["chosen"]]
    left_out = {"policy": f"· · ·  {len(rows) - 2 * half - len(kept)} more between  · · ·"}
    return [*rows[:half], *kept, left_out, *rows[-half:]]


def draw_gains(record: JobRecord) -> Picture | None:
    """The policies' gains; None where identity stands alone.

    Better and worse are said where the Holm-adjusted p value is below 0.05: an interval alone does not know how many
    were tried.
    """
    rows = gain_rows(record)
    if not rows:
        return None
    return picture(
        "gains",
        forest(rows, label="policy", level=record.level),
        title=_title([_row(policy, record) for policy in _with_gain(record)]),
        caption=f"Accuracy on test minus identity's on the same images, percentage points, with {record.level:.0%} "
        "intervals. ★ was chosen on validation. The p values are corrected for all that was tried; intervals are not. "
        "Verdicts look at calibrated NLL as well.",
        height=ROW * len(rows),
    )


def forest(rows: Sequence[Mapping[str, Any]], *, label: str, level: float) -> alt.LayerChart:
    """Intervals and points of rows with `gain`, `lower`, `upper`, `sign`; the names stand in the field `label`."""
    # The domain is given, because a row without numbers would be dropped from it.
    names = alt.Scale(domain=[row[label] for row in rows])
    axis = alt.Axis(grid=False, ticks=False, domain=False, labelExpr=MIDDLE)
    y = alt.Y(f"{label}:N", sort=None, title=None, scale=names, axis=axis)
    title = f"accuracy gain over identity, points [{level:.0%}]"
    domain = _domain(rows)
    scale = alt.Scale(domain=list(domain), nice=False)
    outside = [
        {**row, "edge": domain[0], "told": f"◂ {row['text']}"} for row in rows if row.get("gain", 0.0) < domain[0]
    ]
    colour = alt.Color("sign:N", scale=alt.Scale(domain=list(SIGNS), range=[colour for colour, _ in SIGNS.values()]))
    shape = alt.Shape("sign:N", scale=alt.Scale(domain=list(SIGNS), range=[shape for _, shape in SIGNS.values()]))
    inside = [row for row in rows if row.get("gain", -math.inf) >= domain[0]]
    chart = base(inside).encode(y=y, color=colour)
    tooltip = [alt.Tooltip(f"{label}:N"), alt.Tooltip("text:N", title="gain, points"), alt.Tooltip("more:N", title=" ")]
    return layered(
        zero(),
        chart.mark_rule(strokeWidth=2, clip=True).encode(x=alt.X("lower:Q", title=title, scale=scale), x2="upper:Q"),
        chart.mark_point(filled=True, size=80, opacity=1, clip=True).encode(
            x=alt.X("gain:Q", title=title, scale=scale), shape=shape, tooltip=tooltip
        ),
        base(outside)
        .mark_text(align="left", dx=3, fontSize=11)
        .encode(x=alt.X("edge:Q", title=title, scale=scale), y=y, color=colour, text="told:N", tooltip=tooltip),
    )


def _domain(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Of the axis: all intervals, but not those so far below zero that the others would be squeezed."""
    ends = [row[end] for row in rows for end in ("lower", "gain", "upper") if end in row] or [0.0]
    highest = max(*ends, 0.0)
    lowest = max(min(*ends, 0.0), -max(FAR * highest, LEAST))
    room = 0.03 * (highest - lowest) or 1.0
    return lowest - room, highest + room


def _with_gain(record: JobRecord) -> list[PolicyRecord]:
    return [policy for policy in record.policies if policy.name != IDENTITY and "gain/accuracy" in policy.metrics]


def interval_row(policy: PolicyRecord) -> Row:
    """The numbers of a policy's row, in points, and how they are told."""
    gain, lower, upper = (100 * policy.metric(f"gain/accuracy{end}") for end in ("", "_lower", "_upper"))
    p_value = policy.metrics.get("gain/p_value_adjusted", 1.0)
    sign = OPEN if not p_value < SIGNIFICANCE else BETTER if gain > 0 else WORSE
    numbers = {"gain": gain, "lower": lower, "upper": upper}
    return {
        **{name: value for name, value in numbers.items() if math.isfinite(value)},
        "sign": sign,
        "text": f"{gain + 0.0:+.2f} [{lower + 0.0:+.2f}, {upper + 0.0:+.2f}]",
        "more": f"adjusted p {p_value:.2g}, {policy.passes:.4g} passes",
    }


def _row(policy: PolicyRecord, record: JobRecord) -> Row:
    chosen = policy.name == record.recommendation.policy
    return {"policy": f"★ {policy.name}" if chosen else policy.name, "chosen": chosen, **interval_row(policy)}


def _title(rows: Sequence[Row]) -> str:
    better, worse = (sum(row["sign"] == sign for row in rows) for sign in (BETTER, WORSE))
    total = f"{len(rows)} {'policy' if len(rows) == 1 else 'policies'}"
    open_ = len(rows) - better - worse
    return f"Accuracy of {total}: {better} better than identity, {worse} worse, {open_} not told apart"
