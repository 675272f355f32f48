"""Accuracy against the number of random copies, from the job's table of curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from harness.charts.picture import DASHES, INK, SERIES, SHAPES, Picture, base, layered, picture

HEIGHT = 320
MOST_CURVES = len(SERIES)


def copy_rows(table: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a policy and number of copies, in percent, of the first six policies."""
    names = list(dict.fromkeys(row["policy"] for row in table))[:MOST_CURVES]
    return [
        {
            "policy": row["policy"],
            "copies": row["copies"],
            **{name: 100 * row[name] for name in ("accuracy", "lower", "upper")},
        }
        for row in table
        if row["policy"] in names
    ]


def draw_copies(table: Sequence[Mapping[str, Any]], *, identity: float) -> Picture | None:
    """The curves with their bands, and identity's accuracy as a line; None without curves.

    Args:
        table: rows of `tables/copies.csv`.
        identity: identity's accuracy on test, a fraction.
    """
    rows = copy_rows(table)
    if not rows:
        return None
    names = list(dict.fromkeys(row["policy"] for row in rows))
    total = len({row["policy"] for row in table})
    more = "" if total <= MOST_CURVES else f" The first {MOST_CURVES} of {total} policies of random views are drawn."
    level = next((row["level"] for row in table if row.get("level")), 0.95)
    return picture(
        "copies",
        _curves(rows, names, 100 * identity),
        title=_title(table, names),
        caption=f"Accuracy on test of the mean over n random copies, with {level:.0%} bands; the line across is "
        f"identity ({100 * identity:.2f} %).{more}",
        height=HEIGHT,
    )


def _title(table: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    last = [next(row for row in reversed(table) if row["policy"] == name) for name in names]
    best = max(last, key=lambda row: float(row["accuracy"]))
    reached = best.get("break_even")
    where = f"overtakes identity at {reached:.0f} copies" if reached else "does not overtake identity with any number"
    return f"With {best['copies']:.0f} copies {best['policy']} is at {100 * best['accuracy']:.2f} %; it {where}"


def _curves(rows: Sequence[Mapping[str, Any]], names: list[str], identity: float) -> alt.LayerChart:
    largest = max(row["copies"] for row in rows)
    ticks = [n for n in (1, 2, 3, 5, 10, 15, 25, 50) if n <= largest]
    x = alt.X(
        "copies:Q",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(values=ticks, format="d"),
        title="random copies (log)",
    )
    y = alt.Y("accuracy:Q", scale=alt.Scale(zero=False), title="accuracy on test, %")
    count = len(names)
    legend = alt.Legend(symbolOpacity=1)  # the bands', which are the lowest layer, is too faint to tell colours
    colour = alt.Color("policy:N", scale=alt.Scale(domain=names, range=list(SERIES[:count])), legend=legend)
    chart = base(rows).encode(x=x, color=colour)
    tooltip = [
        alt.Tooltip("policy:N"),
        alt.Tooltip("copies:Q"),
        *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("accuracy", "lower", "upper")),
    ]
    dash = alt.StrokeDash("policy:N", scale=alt.Scale(domain=names, range=[list(one) for one in DASHES[:count]]))
    shape = alt.Shape("policy:N", scale=alt.Scale(domain=names, range=list(SHAPES[:count])))
    return layered(
        chart.mark_area(opacity=0.15).encode(y=alt.Y("lower:Q", title="accuracy on test, %"), y2="upper:Q"),
        base([{"identity": identity}]).mark_rule(color=INK, strokeDash=[4, 3]).encode(y="identity:Q"),
        chart.mark_line().encode(y=y, strokeDash=dash),
        chart.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape, tooltip=tooltip),
    )
