"""What a policy gains on corrupted copies of test, by corruption and severity."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from harness.charts.picture import Picture, base, layered, picture

ROW = 28


def corruption_rows(table: Sequence[Mapping[str, Any]], policy: str) -> list[dict[str, Any]]:
    """One row a corrupted copy: corruption, severity (empty where the name has none), gain in points, accuracy in %."""
    rows = []
    for row in table:
        if row["policy"] == policy:
            name, _, severity = str(row["corruption"]).rpartition(":")
            named = bool(name) and severity.isdigit()
            rows.append(
                {
                    "corruption": name if named else str(row["corruption"]),
                    "severity": severity if named else "",
                    "gain": 100 * row["gain"],
                    "lower": 100 * row["gain_lower"],
                    "upper": 100 * row["gain_upper"],
                    "accuracy": 100 * row["accuracy"],
                }
            )
    return rows


def draw_corruptions(table: Sequence[Mapping[str, Any]], *, policy: str, level: float) -> Picture | None:
    """The policy's gains over identity as a table of colours and numbers; None without corrupted copies.

    Args:
        table: rows of `tables/corruptions.csv`.
        policy: whose.
        level: of the intervals.
    """
    rows = corruption_rows(table, policy)
    if not rows:
        return None
    mean = sum(row["gain"] for row in rows) / len(rows)
    worst = min(rows, key=lambda row: float(row["gain"]))
    where = " ".join(filter(None, (worst["corruption"], worst["severity"])))
    return picture(
        "corruptions",
        _cells(rows, level),
        title=f"On {len(rows)} corrupted copies {policy} gains {mean + 0.0:+.2f} points in the mean, "
        f"{worst['gain'] + 0.0:+.2f} at worst ({where})",
        caption="Accuracy gain over identity in points, by corruption and severity; fitted and chosen on clean "
        f"validation images. On hover: {level:.0%} intervals, which are not corrected for the number of copies.",
        height=ROW * len({row["corruption"] for row in rows}),
    )


def _cells(rows: list[dict[str, Any]], level: float) -> alt.LayerChart:
    for row in rows:
        row["text"] = f"{row['gain'] + 0.0:+.2f} [{row['lower'] + 0.0:+.2f}, {row['upper'] + 0.0:+.2f}]"
    severities = sorted({row["severity"] for row in rows}, key=lambda text: int(text or 0))
    x = alt.X("severity:O", sort=severities, title="severity", axis=alt.Axis(labelAngle=0, ticks=False, orient="top"))
    y = alt.Y("corruption:N", sort=None, title=None, axis=alt.Axis(ticks=False))
    largest = max(1e-9, *(abs(row["gain"]) for row in rows))
    scale = alt.Scale(scheme="blueorange", domain=[-largest, 0, largest], domainMid=0, reverse=True)
    tooltip = [
        alt.Tooltip("corruption:N"),
        alt.Tooltip("severity:N"),
        alt.Tooltip("text:N", title=f"gain, points [{level:.0%}]"),
        alt.Tooltip("accuracy:Q", title="accuracy, %", format=".2f"),
    ]
    chart = base(rows).encode(x=x, y=y, tooltip=tooltip)
    ink = alt.condition(f"abs(datum.gain) > {0.7 * largest}", alt.value("white"), alt.value("black"))
    return layered(
        chart.mark_rect().encode(color=alt.Color("gain:Q", scale=scale, legend=None)),
        chart.mark_text().encode(text=alt.Text("gain:Q", format="+.1f"), color=ink),
    )
