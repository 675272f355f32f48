"""The other charts: their rows against values by hand, titles that say what is found, nothing of nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import altair as alt
import numpy as np
import pytest
import vl_convert

from harness.charts.agreement import agreement_rows, draw_agreement
from harness.charts.classes import class_rows, draw_classes
from harness.charts.copies import copy_rows, draw_copies
from harness.charts.corruptions import corruption_rows, draw_corruptions
from harness.charts.fronts import draw_front
from harness.charts.gains import draw_gains
from harness.charts.picture import Picture
from harness.charts.price import ACCURACY
from harness.charts.reliability import bin_rows, calibration_error, draw_reliability
from harness.records import JobRecord, Reliability

MakeJob = Callable[..., JobRecord]

COPIES = [
    {"policy": name, "copies": float(n), "accuracy": 0.7 + 0.01 * n, "lower": 0.69, "upper": 0.8,
     "break_even": limit, "level": 0.9}
    for name, limit in (("flips", 3.0), ("crops", None)) for n in (1, 3)
]  # fmt: skip
AGREEMENT = [
    {"view": "identity", "identity": 1.0, "hflip": 0.9, "vflip": 0.4},
    {"view": "hflip", "identity": 0.9, "hflip": 1.0, "vflip": 0.5},
    {"view": "vflip", "identity": 0.4, "hflip": 0.5, "vflip": 1.0},
]
CORRUPTIONS = [
    {"policy": policy, "corruption": name, "accuracy": 0.5, "gain": gain, "gain_lower": gain - 0.01,
     "gain_upper": gain + 0.01}
    for policy, sign in (("hflip", 1), ("other", -1))
    for name, gain in (("fog:1", 0.02 * sign), ("fog:10", -0.01 * sign), ("mine", 0.05 * sign))
]  # fmt: skip


def test_empty_bins_are_no_points() -> None:
    """A bin without images has no accuracy; the error weighs gaps by images: 50/200 of 0.1, 150/200 of 0.1."""
    bins = Reliability((0.0, 0.3, 0.6, 1.0), (0.0, 0.5, 0.9), (0.0, 0.4, 0.8), (0, 50, 150))
    assert [(row["confidence"], row["accuracy"], row["images"]) for row in bin_rows(bins, "x")] == [
        (0.5, 0.4, 50), (0.9, 0.8, 150),
    ]  # fmt: skip
    assert calibration_error(bins) == pytest.approx(0.1)
    assert calibration_error(Reliability((0.0, 1.0), (0.0,), (0.0,), (0,))) == 0


def test_calibration_is_drawn_before_and_after(make_job: MakeJob) -> None:
    """Raw from every record, after the temperature from those that have it; 0.2 * 0.1 + 0.8 * 0.1 is 10 %."""
    record = make_job()
    (raw,) = draw_reliability(record)
    assert raw.title == "Calibration raw: ECE 10.00 % (identity), 10.00 % (policy_1)"
    better = Reliability((0.0, 0.5, 1.0), (0.3, 0.9), (0.3, 0.9), (40, 160))
    both = draw_reliability(replace(record, reliability_calibrated={"identity": better}))
    assert [one.title for one in both] == [raw.title, "Calibration after temperature: ECE 0.00 % (identity)"]
    assert both[1].caption.endswith("Temperatures, fitted on validation: identity 1.25.")


def test_copies_are_told_in_percent() -> None:
    """The title tells the best curve's last point, and where it overtakes identity."""
    assert copy_rows(COPIES)[1] == {
        "policy": "flips", "copies": 3.0, "accuracy": pytest.approx(73.0), "lower": pytest.approx(69.0),
        "upper": pytest.approx(80.0),
    }  # fmt: skip
    found = draw_copies(COPIES, identity=0.72)
    assert found is not None
    assert found.title == "With 3 copies flips is at 73.00 %; it overtakes identity at 3 copies"
    assert "90% bands" in found.caption
    never = draw_copies(COPIES[2:], identity=0.9)
    assert never is not None
    assert never.title.endswith("it does not overtake identity with any number")
    assert draw_copies([], identity=0.9) is None


def test_at_most_six_curves() -> None:
    """More would need more colours than can be told apart: they are counted."""
    many = [{**COPIES[0], "policy": f"p{place}"} for place in range(9)]
    assert {row["policy"] for row in copy_rows(many)} == {f"p{place}" for place in range(6)}
    found = draw_copies(many, identity=0.9)
    assert found is not None
    assert "The first 6 of 9 policies" in found.caption


def test_agreement_has_a_row_for_each_pair() -> None:
    """The numbers are the table's; the title names the view that agrees least with identity."""
    rows = agreement_rows(AGREEMENT, ["identity", "vflip"])
    assert [(row["view"], row["other"], row["agreement"]) for row in rows] == [
        ("identity", "identity", 1.0), ("identity", "vflip", 0.4), ("vflip", "identity", 0.4), ("vflip", "vflip", 1.0),
    ]  # fmt: skip
    found = draw_agreement(AGREEMENT, views=["identity", "hflip"], policy="hflip")
    assert found is not None
    assert found.title == "vflip agrees least with identity: on 40.0 % of the images"
    assert draw_agreement(AGREEMENT[:1], views=["identity"], policy="x") is None


def test_of_too_many_views_those_of_the_policy_are_shown() -> None:
    """Above forty views a matrix is no picture any more."""
    names = ["identity", *(f"v{place}" for place in range(50))]
    table = [{"view": name, **dict.fromkeys(names, 0.5)} for name in names]
    found = draw_agreement(table, views=["identity", "v7", "v9"], policy="mine")
    assert found is not None
    assert {row["view"] for row in _values(found)} == {"identity", "v7", "v9"}
    assert "the views of mine and identity, of 51 in all" in found.caption


def test_classes_count_who_changed_sides() -> None:
    """Class a: one of two corrected; class b: one of three corrupted; class c has no image and no row."""
    labels = np.array([0, 0, 1, 1, 1])
    identity = np.array([False, True, True, True, False])
    policy = np.array([True, True, True, False, False])
    rows = class_rows(labels, identity, policy, class_names=["a", "b", "c"])
    assert [(row["class"], row["images"], row["corrected"], row["corrupted"]) for row in rows] == [
        ("a", 2, 1, 0), ("b", 3, 0, 1),
    ]  # fmt: skip
    assert [row["gain"] for row in rows] == pytest.approx([50.0, -100 / 3])
    found = draw_classes(rows, policy="hflip")
    assert found is not None
    assert found.title == "hflip gains most on a (+50.0 points), loses most on b (-33.3)"
    assert draw_classes(class_rows(labels, identity, identity, class_names=["a", "b", "c"]), policy="x") is None


def test_of_many_classes_the_ends_are_drawn() -> None:
    """A thousand classes are thirty rows, and the caption says so."""
    labels = np.arange(100)
    rows = class_rows(labels, labels % 2 == 0, labels % 3 == 0, class_names=[f"c{place}" for place in labels])
    found = draw_classes(rows, policy="hflip")
    assert found is not None
    assert "The best and the worst 15 of 100 classes" in found.caption


def test_corruptions_are_taken_apart_into_name_and_severity() -> None:
    """`fog:10` is fog at 10; a name without a number has no severity; the title tells mean and worst."""
    rows = corruption_rows(CORRUPTIONS, "hflip")
    assert [(row["corruption"], row["severity"], round(row["gain"], 9)) for row in rows] == [
        ("fog", "1", 2.0), ("fog", "10", -1.0), ("mine", "", 5.0),
    ]  # fmt: skip
    found = draw_corruptions(CORRUPTIONS, policy="hflip", level=0.95)
    assert found is not None
    assert found.title == "On 3 corrupted copies hflip gains +2.00 points in the mean, -1.00 at worst (fog 10)"
    assert draw_corruptions([], policy="hflip", level=0.95) is None


def _values(found: Picture) -> list[dict[str, Any]]:
    return [row for rows in found.spec["datasets"].values() for row in rows]


@pytest.mark.parametrize(
    "name", ["gains", "accuracy_price", "reliability", "copies", "agreement", "classes", "corruptions"]
)
def test_every_chart_is_valid_and_draws_its_names(make_job: MakeJob, name: str) -> None:
    """The schema of Vega-Lite takes it, and an independent reader finds hostile names in the drawing as text."""
    hostile = "<script>alert(1)</script> & 'x'"
    record = make_job()
    renamed = tuple(replace(one, name=hostile) if one.name == "policy_2" else one for one in record.policies)
    record = replace(record, policies=renamed)
    classes = class_rows(np.zeros(2, int), np.array([0, 1], bool), np.array([1, 1], bool), class_names=[hostile])
    found = {
        "gains": draw_gains(record),
        "accuracy_price": draw_front(record, None, ACCURACY),
        "reliability": draw_reliability(record)[0],
        "copies": draw_copies([{**row, "policy": hostile} for row in COPIES], identity=0.72),
        "agreement": draw_agreement(AGREEMENT, views=["identity"], policy=hostile),
        "classes": draw_classes(classes, policy=hostile),
        "corruptions": draw_corruptions(CORRUPTIONS, policy="hflip", level=0.95),
    }[name]
    assert found is not None
    alt.Chart.from_dict({**found.spec, "width": 300}, validate=True)
    svg = vl_convert.vegalite_to_svg({**found.spec, "width": 300})
    assert "<script" not in svg
    assert svg.count("<text") > 3
