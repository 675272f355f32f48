"""What people read: the order, the marks, the answer, and no number lost in the CSV."""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness import report
from harness.records import JobRecord
from harness.selection import Recommendation

MakeJob = Callable[..., JobRecord]


def printed(record: JobRecord, *, width: int, encoding: str = "utf-8", limit: int | None = None) -> list[str]:
    """The leaderboard as printed without colour, line by line."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    report.render_leaderboard(record, Console(file=stream, width=width, no_color=True), limit=limit)
    stream.seek(0)
    return stream.read().splitlines()


def test_the_order_is_by_calibrated_nll_on_test_with_missing_numbers_last(make_job: MakeJob) -> None:
    """Lowest first, ties by name, a policy without the number at the end."""
    record = make_job((0.02, -0.03, 0.02))
    bare = replace(record.policies[1], name="bare", metrics={})
    record = replace(record, policies=(bare, *record.policies))
    names = [policy.name for policy in report.ranked(record)]
    assert names == ["policy_1", "policy_3", "identity", "policy_2", "bare"]


def test_the_short_list_keeps_identity_and_the_chosen_policy(make_job: MakeJob) -> None:
    """A limit drops others first, also where both would fall off the end."""
    record = make_job((0.05, 0.04, 0.03, -0.02, -0.04), chosen=5)
    names = [policy.name for policy in report.shown(record, limit=3)]
    assert names == ["policy_1", "identity", "policy_5"]
    assert len(report.shown(record, limit=None)) == 6


@pytest.mark.parametrize("width", [80, 100, 120, 140])
def test_no_line_is_wider_than_the_console(make_job: MakeJob, width: int) -> None:
    """Columns are dropped where the console is narrow, and the telling ones stay."""
    lines = printed(make_job(tuple(0.001 * i for i in range(12))), width=width)
    assert max(len(line) for line in lines) <= width
    head = " ".join(lines[:2])
    assert all(word in head for word in ("policy", "passes", "accuracy", "gain", "NLL"))
    assert ("ECE" in head) == (width >= 140)
    assert ("verdict" in head) == (width >= 112)


def test_long_names_are_shown_whole_on_a_narrow_console(make_job: MakeJob) -> None:
    """A name wraps and is never cut, so that it can be copied."""
    record = make_job()
    name = "rotations_of_ten_degrees_x_hflip_x_zooms_mean_logits"
    record = replace(record, policies=(*record.policies, replace(record.policies[2], name=name)))
    column = "".join(line[3:].split()[0] if line[3:].strip() else "" for line in printed(record, width=80))
    assert name in column


def test_marks_tell_identity_and_the_chosen_policy_without_colour(make_job: MakeJob) -> None:
    """A star and a ring in UTF-8, plain letters where the terminal has no such signs."""
    lines = printed(make_job(), width=80)
    assert next(line for line in lines if "policy_1" in line).startswith("★")
    assert next(line for line in lines if "identity" in line).startswith("○")
    plain = printed(make_job(), width=80, encoding="ascii")
    assert next(line for line in plain if "policy_1" in line).startswith("*")
    assert next(line for line in plain if "identity" in line).startswith("o")


def test_a_gain_is_written_in_points_with_its_interval(make_job: MakeJob) -> None:
    """0.02 is +2.00 points; identity is the reference and gains nothing; minus zero is plus zero."""
    record = make_job()
    assert report.gain_text(record.policies[1]) == "+2.00 [+1.00, +3.00]"
    assert report.gain_text(record.policies[2]) == "-3.00 [-4.00, -2.00]"
    assert report.gain_text(record.policies[0]) == "reference"
    assert report.corrected_text(record.policies[1]) == "+31/-12"
    assert report.p_text(record.policies[1]) == "<0.001"
    assert (report.points(-0.0), report.points(math.nan)) == ("+0.00", "–")


@pytest.mark.parametrize(
    ("policy", "verdict", "headline"),
    [
        ("policy_1", "ship", "Ship policy_1"),
        ("policy_1", "undecided", "Undecided: the gain of policy_1 may be chance"),
        ("policy_1", "do not ship", "Do not ship policy_1: it is not better than identity"),
        ("identity", "do not ship", "No policy is better than identity"),
    ],
)
def test_the_headline_says_the_verdict(make_job: MakeJob, policy: str, verdict: str, headline: str) -> None:
    """Each verdict has its own sentence, and the note begins with it."""
    choice = Recommendation(policy, verdict, "Because.", "A rule.", "nll")  # type: ignore[arg-type]
    record = make_job(recommendation=choice)
    assert report.recommendation_headline(record) == headline
    assert report.markdown_note(record).startswith(f"**{headline}**")


def test_the_recommendation_is_printed_with_reason_rule_and_warnings(make_job: MakeJob) -> None:
    """The numbers are identity's and the policy's on test, and the price."""
    console = Console(width=100, no_color=True, record=True, file=io.StringIO())
    report.render_recommendation(make_job(), console)
    text = console.export_text()
    assert "identity → policy_1: test accuracy 88.00 → 90.00 %, 2 passes per image" in text
    assert all(words in text for words in ("Ship policy_1", "It gains.", "A rule.", "warning: careful"))


def test_the_note_holds_what_a_reader_needs(make_job: MakeJob) -> None:
    """Question, table, data, model, warnings, and the command that runs it again."""
    note = report.markdown_note(make_job())
    expected = ["Does it pay", "| ★ | policy_1 | 2 | 90.00 |", "| ○ | identity |", "digits (train 800, validation 100, "
                "test 200; 2 classes)", "a note", "careful", "harness run dataset=digits"]  # fmt: skip
    assert [part for part in expected if part not in note] == []


def test_the_csv_loses_nothing(make_job: MakeJob, tmp_path: Path) -> None:
    """Every metric of every policy is found again to the last bit, as a fraction; a missing one is empty."""
    record = make_job()
    report.write_leaderboard_csv(record, tmp_path / "leaderboard.csv")
    with (tmp_path / "leaderboard.csv").open(newline="") as stream:
        rows = {row["policy"]: row for row in csv.DictReader(stream)}
    for policy in record.policies:
        row = rows[policy.name]
        assert {name: float(row[name]) for name in policy.metrics} == dict(policy.metrics)
        assert row["views"].split() == list(policy.views)
    assert rows["identity"]["gain/accuracy"] == ""
    assert [name for name, row in rows.items() if row["chosen"] == "True"] == ["policy_1"]
