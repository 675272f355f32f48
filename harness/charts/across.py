"""The same policies in several jobs: how their gains vary over data sets, models and seeds."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from harness.charts.gains import interval_row
from harness.charts.picture import GREY, MIDDLE, SERIES, SHAPES, Picture, base, layered, picture, zero
from harness.records import IDENTITY, JobRecord

MOST_POLICIES = 15
MOST_ROWS = 150
STEP, ROW = 11, 12  # pixels of a job within a policy's row, and between rows


def group_name(record: JobRecord) -> str:
    """Data set and model, which jobs of several seeds share."""
    return f"{record.dataset.name} · {record.model_name}"


def shared_policies(records: Sequence[JobRecord]) -> list[str]:
    """Policies with a gain in at least two of the jobs, by falling mean gain."""
    gains: dict[str, list[float]] = {}
    for record in records:
        for policy in record.policies:
            value = policy.metric("gain/accuracy")
            if policy.name != IDENTITY and math.isfinite(value):
                gains.setdefault(policy.name, []).append(value)
    several = {name: found for name, found in gains.items() if len(found) > 1}
    return sorted(several, key=lambda name: (-sum(several[name]) / len(several[name]), name))


def across_rows(records: Sequence[JobRecord], policies: Sequence[str]) -> list[dict[str, Any]]:
    """One row a policy and job that has it, in points."""
    return [
        {"policy": name, "group": group_name(record), "job": f"{group_name(record)}, seed {record.seed} ({place})",
         **interval_row(policy)}
        for name in policies
        for place, record in enumerate(records)
        for policy in record.policies
        if policy.name == name and "gain/accuracy" in policy.metrics
    ]  # fmt: skip


def draw_across(records: Sequence[JobRecord]) -> Picture | None:
    """Gains of the policies that several jobs share; None where there are none."""
    shared = shared_policies(records)
    shown = shared[: max(1, min(MOST_POLICIES, MOST_ROWS // max(len(records), 1)))]
    rows = across_rows(records, shown)
    if not rows:
        return None
    left_out = f" The {len(shown)} with the highest mean of {len(shared)} shared policies." if shared != shown else ""
    best = [row["gain"] for row in rows if row["policy"] == shown[0]]
    return picture(
        "across",
        _forest(rows, records[0].level),
        title=f"{shown[0]} has the highest mean gain: {sum(best) / len(best) + 0.0:+.2f} points over {len(best)} jobs, "
        f"from {min(best) + 0.0:+.2f} to {max(best) + 0.0:+.2f}",
        caption=f"Accuracy gain over identity on test, points, {records[0].level:.0%} intervals over the images of a "
        f"job; jobs of one colour differ in seed or settings.{left_out}",
        height=STEP * len(rows) + ROW * len(shown),
    )


def _forest(rows: Sequence[dict[str, Any]], level: float) -> alt.LayerChart:
    groups = list(dict.fromkeys(row["group"] for row in rows))
    colours = [SERIES[place] if place < len(SERIES) else GREY for place in range(len(groups))]
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(groups))]
    axis = alt.Axis(ticks=False, grid=True, labelExpr=MIDDLE)
    y = alt.Y("policy:N", sort=None, title=None, scale=alt.Scale(paddingInner=0.35), axis=axis)
    title = f"accuracy gain over identity, points [{level:.0%}]"
    chart = base(rows).encode(
        y=y,
        yOffset=alt.YOffset("job:N", sort=None),
        color=alt.Color("group:N", scale=alt.Scale(domain=groups, range=colours)),
    )
    tooltip = [
        alt.Tooltip("policy:N"),
        alt.Tooltip("job:N"),
        alt.Tooltip("text:N", title="gain, points"),
        alt.Tooltip("more:N", title=" "),
    ]
    shape = alt.Shape("group:N", scale=alt.Scale(domain=groups, range=shapes))
    return layered(
        zero(),
        chart.mark_rule(strokeWidth=1.5).encode(x=alt.X("lower:Q", title=title), x2="upper:Q"),
        chart.mark_point(filled=True, size=50, opacity=1).encode(
            x=alt.X("gain:Q", title=title), shape=shape, tooltip=tooltip
        ),
    )
