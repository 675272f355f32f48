"""How often two views predict the same class: a matrix."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from harness.charts.picture import Picture, base, layered, picture

MOST_VIEWS = 40
MOST_NUMBERS = 10  # views, up to which the cells carry their numbers
CELL, WIDE_CELL = 17, 30  # pixels high, without and with its number


def agreement_rows(table: Sequence[Mapping[str, Any]], views: Sequence[str]) -> list[dict[str, Any]]:
    """One row a pair of views that are in the table, with the share of test images on which they agree."""
    known = {row["view"]: row for row in table}
    shown = [view for view in views if view in known]
    return [{"view": one, "other": other, "agreement": float(known[one][other])} for one in shown for other in shown]


def draw_agreement(table: Sequence[Mapping[str, Any]], *, views: Sequence[str], policy: str) -> Picture | None:
    """The matrix of all views, or of the policy's own where there are too many; None for fewer than two.

    Args:
        table: rows of `tables/agreement.csv`.
        views: the policy's, by name, with identity first.
        policy: its name.
    """
    every = [str(row["view"]) for row in table]
    shown = every if len(every) <= MOST_VIEWS else [view for view in every if view in set(views)][:MOST_VIEWS]
    rows = agreement_rows(table, shown)
    if len(shown) < 2:
        return None
    which = "all views" if shown == every else f"the views of {policy} and identity, of {len(every)} in all"
    pairs = [row for row in rows if row["view"] == shown[0] and row["other"] != shown[0]]
    least = min(pairs, key=lambda row: float(row["agreement"]))
    return picture(
        "agreement",
        _matrix(rows, len(shown)),
        title=f"{least['other']} agrees least with {shown[0]}: on {100 * least['agreement']:.1f} % of the images",
        caption=f"Share of test images on which two views predict the same class; {which}. Views that always agree add "
        "nothing to each other.",
        height=len(shown) * (CELL if len(shown) > MOST_NUMBERS else WIDE_CELL),
    )


def _matrix(rows: Sequence[Mapping[str, Any]], count: int) -> alt.Chart | alt.LayerChart:
    tooltip = [alt.Tooltip("view:N"), alt.Tooltip("other:N"), alt.Tooltip("agreement:Q", format=".1%")]
    names = count <= MOST_NUMBERS
    x = alt.X(
        "other:N", sort=None, title=None, axis=alt.Axis(labels=names, ticks=False, labelAngle=-35, labelLimit=130)
    )
    chart = base(rows).encode(
        x=x, y=alt.Y("view:N", sort=None, title=None, axis=alt.Axis(ticks=False)), tooltip=tooltip
    )
    scale = alt.Scale(scheme="viridis", domain=[min(row["agreement"] for row in rows), 1])
    legend = alt.Legend(format=".0%", title="agreement", orient="top", gradientLength=180)
    cells: alt.Chart = chart.mark_rect().encode(color=alt.Color("agreement:Q", scale=scale, legend=legend))
    if not names:
        return cells
    middle = (min(row["agreement"] for row in rows) + 1) / 2
    ink = alt.condition(f"datum.agreement > {middle}", alt.value("black"), alt.value("white"))
    return layered(cells, chart.mark_text(fontSize=11).encode(text=alt.Text("agreement:Q", format=".0%"), color=ink))
