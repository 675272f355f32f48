"""What a chart is made of: the value that is drawn, and the look that all share.

Colours are from Okabe and Ito's palette, which people with colour-blindness can tell apart, and shape says the same as
colour. Ink is `currentColor`: black in a file, the page's own in a browser, dark or light.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import altair as alt

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"
SKY, YELLOW, PURPLE = "#56B4E9", "#E69F00", "#CC79A7"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, YELLOW, SKY)
SHAPES = ("circle", "triangle-up", "square", "diamond", "cross", "triangle-down")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 4), (1, 3))
STAR = (
    "M0,-1L0.235,-0.324L0.951,-0.309L0.38,0.124L0.588,0.809L0,0.4L-0.588,0.809L-0.38,0.124L-0.951,-0.309L-0.235,-0.324Z"
)

INK = "currentColor"
MIDDLE = "length(datum.label) > 36 ? slice(datum.label, 0, 17) + '…' + slice(datum.label, -18) : datum.label"
"""A long name without its middle: names of policies differ at their ends."""
AXIS = {
    "labelColor": INK,
    "titleColor": INK,
    "tickColor": INK,
    "domainColor": INK,
    "gridColor": INK,
    "gridOpacity": 0.12,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
}
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "sans-serif",
    "axis": AXIS,
    "axisY": {"labelLimit": 240},
    "legend": {
        "orient": "bottom",
        "columns": 4,
        "title": None,
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "labelLimit": 320,
        "symbolSize": 90,
    },
    "title": {"color": INK, "subtitleColor": INK, "anchor": "start", "fontSize": 15, "subtitleFontSize": 12},
    "text": {"color": INK, "fontSize": 12},
    "view": {"stroke": None},
}
"""The look of every chart."""


@dataclass(frozen=True)
class Picture:
    """A chart with its words.

    Attributes:
        name: of a file, snake_case.
        title: the finding in one line.
        caption: what is drawn, and how it is to be read.
        spec: Vega-Lite without title and look; as wide as what it stands in.
    """

    name: str
    title: str
    caption: str
    spec: Mapping[str, Any]


def base(rows: Iterable[Mapping[str, Any]]) -> alt.Chart:
    """A chart of these rows; types of fields have to be given."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def layered(*layers: alt.Chart) -> alt.LayerChart:
    """The layers over each other, the first one lowest."""
    return cast(alt.LayerChart, alt.layer(*layers))


def picture(name: str, chart: alt.Chart | alt.LayerChart, *, title: str, caption: str, height: int) -> Picture:
    """The chart as a `Picture` of this height."""
    sized = chart.properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    # Written out without altair's checks, which take longer than the drawing; the tests make them.
    spec = sized.to_dict(validate=False)
    spec.pop("config", None)
    return Picture(name, title, caption, spec)


def zero() -> alt.Chart:
    """A line at zero across the horizontal axis."""
    line: alt.Chart = base([{"zero": 0}]).mark_rule(color=INK).encode(x="zero:Q")
    return line
