"""What a policy does to each class: images corrected and corrupted, and the gain."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from harness.charts.picture import GREEN, INK, VERMILION, Picture, base, layered, picture, zero

MOST_ROWS = 30
ROW = 22
KINDS = {"corrected": "up", "corrupted": "down"}


def class_rows(
    labels: np.ndarray, identity: np.ndarray, policy: np.ndarray, *, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """One row a class that has images, by falling gain: counts, and points of the class's images.

    Args:
        labels: `[N]` integers.
        identity: `[N]` booleans, where it is right.
        policy: `[N]` booleans, where it is right.
        class_names: C.
    """
    rows = []
    for index, name in enumerate(class_names):
        here = labels == index
        count = int(here.sum())
        if count:
            up = int((policy & ~identity & here).sum())
            down = int((identity & ~policy & here).sum())
            rows.append(
                {
                    "class": name,
                    "images": count,
                    "corrected": up,
                    "corrupted": down,
                    "up": 100 * up / count,
                    "down": -100 * down / count,
                    "gain": 100 * (up - down) / count,
                }
            )
    return sorted(rows, key=lambda row: -float(row["gain"]))


def draw_classes(rows: Sequence[dict[str, Any]], *, policy: str) -> Picture | None:
    """Corrected to the right, corrupted to the left, the gain as a point; None where nothing changes."""
    if not any(row["corrected"] or row["corrupted"] for row in rows):
        return None
    half = MOST_ROWS // 2
    shown = list(rows) if len(rows) <= MOST_ROWS else [*rows[:half], *rows[-half:]]
    left_out = f" The best and the worst {half} of {len(rows)} classes." if len(rows) > MOST_ROWS else ""
    return picture(
        "classes",
        _bars(shown),
        title=_title(rows, policy),
        caption=f"Test images of each class that identity gets wrong and {policy} right (right of zero), and the "
        f"reverse (left), percent of the class; the diamond is the difference.{left_out} Few images a class: a hint; "
        "there is no correction for the number of classes.",
        height=ROW * len(shown),
    )


def _title(rows: Sequence[dict[str, Any]], policy: str) -> str:
    best, worst = rows[0], rows[-1]
    gained = f"gains most on {best['class']} ({best['gain']:+.1f} points)"
    lost = f"loses most on {worst['class']} ({worst['gain']:+.1f})"
    if best["gain"] <= 0:
        return f"{policy} gains on no class and {lost}"
    return f"{policy} {gained}" + (f", {lost}" if worst["gain"] < 0 else ", and loses on none")


def _bars(rows: Sequence[dict[str, Any]]) -> alt.LayerChart:
    y = alt.Y("class:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False))
    tooltip = [
        alt.Tooltip("class:N"),
        alt.Tooltip("images:Q"),
        alt.Tooltip("corrected:Q"),
        alt.Tooltip("corrupted:Q"),
        alt.Tooltip("gain:Q", format="+.1f", title="gain, points"),
    ]
    scale = alt.Scale(domain=["corrected", "corrupted", "gain"], range=[GREEN, VERMILION, INK])
    shapes = alt.Scale(domain=["corrected", "corrupted", "gain"], range=["triangle-right", "triangle-left", "diamond"])
    colour, shape = alt.Color("kind:N", scale=scale), alt.Shape("kind:N", scale=shapes)
    x = alt.X("value:Q", title="percent of the class's images")
    bars = [{**row, "kind": kind, "value": row[end]} for row in rows for kind, end in KINDS.items()]
    points = [{**row, "kind": "gain", "value": row["gain"]} for row in rows]
    return layered(
        base(bars).mark_bar(height=12, opacity=0.75).encode(x=x, y=y, color=colour, tooltip=tooltip),
        zero(),
        base(points)
        .mark_point(filled=True, size=70, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
    )
