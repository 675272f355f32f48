"""Reliability diagrams: accuracy against confidence, before and after the temperature."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from harness.charts.picture import BLUE, INK, VERMILION, Picture, base, layered, picture
from harness.records import IDENTITY, JobRecord, Reliability

HEIGHT = 320


def bin_rows(bins: Reliability, label: str) -> list[dict[str, Any]]:
    """One row a bin that holds images: mean confidence, accuracy, count; an empty bin has no accuracy."""
    return [
        {"policy": label, "confidence": confidence, "accuracy": accuracy, "images": count}
        for confidence, accuracy, count in zip(bins.confidence, bins.accuracy, bins.count, strict=True)
        if count
    ]


def calibration_error(bins: Reliability) -> float:
    """The expected calibration error of these bins, in [0, 1]: gaps weighted by their share of images."""
    total = sum(bins.count)
    gaps = zip(bins.confidence, bins.accuracy, bins.count, strict=True)
    return sum(abs(accuracy - confidence) * count for confidence, accuracy, count in gaps) / total if total else 0.0


def draw_reliability(record: JobRecord) -> list[Picture]:
    """Identity and the chosen policy: raw, and after each policy's own temperature where the record has that."""
    pictures = [
        _draw(record, record.reliability, "reliability", "raw"),
        _draw(record, record.reliability_calibrated, "reliability_calibrated", "after temperature"),
    ]
    return [found for found in pictures if found is not None]


def _draw(record: JobRecord, bins: Mapping[str, Reliability], name: str, stage: str) -> Picture | None:
    names = [one for one in dict.fromkeys((IDENTITY, record.recommendation.policy)) if one in bins]
    if not names:
        return None
    labels = {one: f"★ {one}" if one == record.recommendation.policy else one for one in names}
    rows = [row for one in names for row in bin_rows(bins[one], labels[one])]
    errors = ", ".join(f"{100 * calibration_error(bins[one]):.2f} % ({one})" for one in names)
    temperatures = ", ".join(
        f"{one} {temperature:.3g}" for one in names if (temperature := record.policy(one).temperature) is not None
    )
    fitted = f" Temperatures, fitted on validation: {temperatures}." if name != "reliability" and temperatures else ""
    return picture(
        name,
        _diagram(rows, list(labels.values())),
        title=f"Calibration {stage}: ECE {errors}",
        caption="Accuracy on test in 15 bins of the predicted class's confidence; larger points hold more images, and "
        f"below the dashed line the policy is too certain.{fitted}",
        height=HEIGHT,
    )


def _diagram(rows: list[dict[str, Any]], labels: list[str]) -> alt.LayerChart:
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("confidence:Q", scale=scale, title="confidence of the prediction")
    y = alt.Y("accuracy:Q", scale=scale, title="accuracy in the bin")
    colour = alt.Color("policy:N", scale=alt.Scale(domain=labels, range=[BLUE, VERMILION][: len(labels)]))
    shape = alt.Shape("policy:N", scale=alt.Scale(domain=labels, range=["circle", "square"][: len(labels)]))
    size = alt.Size("images:Q", legend=None, scale=alt.Scale(range=[30, 260]))
    diagonal = base([{"confidence": 0, "accuracy": 0}, {"confidence": 1, "accuracy": 1}])
    tooltip = [
        alt.Tooltip("policy:N"),
        alt.Tooltip("confidence:Q", format=".3f"),
        alt.Tooltip("accuracy:Q", format=".3f"),
        alt.Tooltip("images:Q"),
    ]
    chart = base(rows).encode(x=x, y=y, color=colour)
    return layered(
        diagonal.mark_line(color=INK, strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y),
        chart.mark_line(strokeWidth=1.5, opacity=0.8),
        chart.mark_point(filled=True, opacity=0.9).encode(shape=shape, size=size, tooltip=tooltip),
    )
