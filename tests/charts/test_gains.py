"""The forest plot: every policy once or counted, told apart by the adjusted p value."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.charts import gains
from harness.charts.across import across_rows, draw_across, shared_policies
from harness.records import JobRecord

MakeJob = Callable[..., JobRecord]


def test_a_row_holds_the_records_numbers_in_points(make_job: MakeJob) -> None:
    """0.02 is 2 points; the best comes first; the chosen one carries a star."""
    rows = gains.gain_rows(make_job((-0.03, 0.02), chosen=2))
    assert [row["policy"] for row in rows] == ["★ policy_2", "policy_1"]
    assert [rows[0][end] for end in ("lower", "gain", "upper")] == pytest.approx([1.0, 2.0, 3.0])
    assert rows[0]["text"] == "+2.00 [+1.00, +3.00]"
    assert rows[0]["more"] == "adjusted p 0.0001, 3 passes"


def test_the_sign_is_by_the_adjusted_p_value(make_job: MakeJob) -> None:
    """An interval that excludes zero is not enough: many were tried."""
    record = make_job((0.02, 0.012, 0.001, -0.03))
    assert [row["sign"] for row in gains.gain_rows(record)] == [gains.BETTER, gains.OPEN, gains.OPEN, gains.WORSE]
    found = gains.draw_gains(record)
    assert found is not None
    assert found.title == "Accuracy of 4 policies: 1 better than identity, 1 worse, 2 not told apart"


@pytest.mark.parametrize(("count", "chosen", "rows"), [(30, 1, 30), (60, 1, 30), (60, 30, 31)])
def test_long_lists_keep_the_ends_and_the_chosen_policy(make_job: MakeJob, count: int, chosen: int, rows: int) -> None:
    """The best and the worst are drawn, the chosen one always, and the rest is counted."""
    found = gains.gain_rows(make_job(tuple(0.05 - 0.002 * index for index in range(count)), chosen=chosen))
    drawn = [row["policy"] for row in found if "gain" in row]
    assert len(drawn) == rows
    assert (drawn[0].strip("★ "), drawn[-1]) == ("policy_1", f"policy_{count}")
    assert f"★ policy_{chosen}" in drawn
    left_out = [row["policy"] for row in found if "gain" not in row]
    drawing = gains.forest(found, label="policy", level=0.95).to_dict(validate=False)
    assert drawing["layer"][1]["encoding"]["y"]["scale"]["domain"] == [row["policy"] for row in found]
    assert left_out == ([] if count == rows else [f"· · ·  {count - rows} more between  · · ·"])


def test_identity_alone_has_no_picture(make_job: MakeJob) -> None:
    """Where there is nothing to compare, nothing empty is drawn."""
    assert gains.draw_gains(make_job((), chosen=0)) is None
    assert draw_across([make_job((), chosen=0)] * 2) is None


def test_one_outlier_does_not_squeeze_the_others(make_job: MakeJob) -> None:
    """The axis reaches four times the best gain below zero, ten points at least; who lies below is written there."""
    rows = gains.gain_rows(make_job((0.02, -0.46)))
    found = gains.forest(rows, label="policy", level=0.95).to_dict(validate=False)
    domain = found["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert domain[0] == pytest.approx(-12 - 0.03 * 15)
    assert [row["policy"] for row in found["datasets"][found["layer"][1]["data"]["name"]]] == ["★ policy_1"]
    outside = found["datasets"][found["layer"][3]["data"]["name"]]
    assert [(row["policy"], row["told"]) for row in outside] == [("policy_2", "◂ -46.00 [-47.00, -45.00]")]


def test_policies_are_shared_where_two_jobs_have_them(make_job: MakeJob) -> None:
    """By falling mean gain: 0.03 and 0.01 are 0.02 in the mean; what one job alone has is left out."""
    first = make_job((0.03, 0.025), seed=0)
    second = make_job((0.01, 0.025, 0.5), seed=1)
    assert shared_policies([first, second]) == ["policy_2", "policy_1"]
    rows = across_rows([first, second], ["policy_1"])
    assert [(row["gain"], row["group"]) for row in rows] == [(pytest.approx(3.0), "digits · net"),
                                                             (pytest.approx(1.0), "digits · net")]  # fmt: skip
    assert len({row["job"] for row in rows}) == 2
    found = draw_across([first, second])
    assert found is not None
    assert found.title == "policy_2 has the highest mean gain: +2.50 points over 2 jobs, from +2.50 to +2.50"


def test_many_jobs_stay_readable(make_job: MakeJob) -> None:
    """At most 150 intervals: of fifty jobs three policies are drawn, and the others are counted."""
    jobs = [make_job(tuple(0.01 * place for place in range(1, 8)), seed=seed) for seed in range(50)]
    found = draw_across(jobs)
    assert found is not None
    assert "The 3 with the highest mean of 7 shared policies" in found.caption
    assert max(len(rows) for rows in found.spec["datasets"].values()) == 150


def test_a_gain_without_its_interval_is_a_point(make_job: MakeJob) -> None:
    """A number that is missing is no number in the chart."""
    record = make_job()
    bare = replace(record.policies[1], metrics={"gain/accuracy": 0.01})
    row = gains.interval_row(bare)
    assert (row["gain"], "lower" in row, row["sign"]) == (1.0, False, gains.OPEN)
