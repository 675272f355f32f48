"""What a person sees: the plan first, no control codes where there is no terminal, lines that fit."""

import re
from typing import Any

import pytest

from harness.terminal import folded, seconds_text, worker_console

CONTROL = re.compile(r"\x1b|\r")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under 1 s"),
        (1.4, "about 1 s"),
        (59.2, "about 59 s"),
        (59.7, "about 1 min 0 s"),
        (200, "about 3 min 20 s"),
        (7500, "about 2 h 5 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Durations for people, without a `60 s` or a `0 s`."""
    assert seconds_text(seconds) == text


def test_run_begins_with_the_plan(harness: Any, tiny: tuple[str, ...]) -> None:
    """What `plan` prints is what `run` prints before its first pass."""
    planned = harness("plan", *tiny, "tta=[hflip,d4]", "tracking=none").out.splitlines()
    ran = harness("run", *tiny, "tta=[hflip,d4]", "tracking=none").err.splitlines()
    lines = [line for line in planned if not line.startswith("  ")]
    assert len(lines) >= 6
    assert ran[: len(lines)] == lines


def test_plan_names_the_policies(harness: Any, tiny: tuple[str, ...]) -> None:
    """Below the totals each policy has a line with its views and aggregation."""
    lines = harness("plan", *tiny, "tta=[hflip,d4]", "tracking=none").out.splitlines()
    assert lines[-3:] == [
        "  identity: 1 view, mean_probs",
        "  hflip: 2 views, mean_probs",
        "  d4: 8 views, mean_probs",
    ]


def test_a_plan_after_the_run_has_nothing_to_compute(harness: Any, tiny: tuple[str, ...]) -> None:
    """A finished job costs nothing; an added view is estimated from the passes that were measured."""
    harness("run", *tiny, "tta=hflip", "tracking=none")
    again = harness("plan", *tiny, "tta=hflip", "tracking=none").out
    assert "this job is finished: nothing to train, no forward pass to run" in again
    more = harness("plan", *tiny, "tta=[hflip,vflip]", "tracking=none").out
    assert "to compute      2 (135 image evaluations)" in more
    assert re.search(r"estimated time  (about .*|under 1) s", more)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_control_codes_and_no_wide_lines_in_a_pipe(
    harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Without a terminal nothing moves or is coloured, and the table fits the width that is set."""
    monkeypatch.setenv("COLUMNS", str(width))
    answer = harness("run", *tiny, "tta=[hflip,d4]", "tracking=none")
    assert CONTROL.findall(answer.out + answer.err) == []
    table = answer.out.split("models trained")[0]
    assert max(len(line) for line in table.splitlines()) <= width


@pytest.mark.parametrize("width", [40, 60, 120])
def test_plans_and_listings_fit_the_width(
    harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """With a width set, lines are folded between words; the words are those of the unfolded lines."""
    commands = [("plan", *tiny, "tta=[hflip,d4]", "tracking=none"), ("list", "policies"), ("list",)]
    unfolded = [harness(*command).out.split() for command in commands]
    monkeypatch.setenv("COLUMNS", str(width))
    for command, words in zip(commands, unfolded, strict=True):
        text = harness(*command).out
        assert text.split() == words
        assert max(len(line) for line in text.splitlines()) <= max(width, max(len(word) for word in words) + 4)


def test_paths_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that is wider than the terminal is not broken, so that it can be copied; without a width nothing is."""
    path = "results/" + "x" * 60
    assert folded([f"record: {path}"], indent=4) == [f"record: {path}"]
    monkeypatch.setenv("COLUMNS", "40")
    assert folded([f"record: {path}"], indent=4) == ["record:", f"    {path}"]


def test_no_color_is_respected(harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set no colour code is written even where a terminal is claimed."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = harness("run", *tiny, "tta=hflip", "tracking=none").out
    monkeypatch.setenv("NO_COLOR", "1")
    plain = harness("run", *tiny, "tta=hflip", "tracking=none").out
    colour = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|4[0-7]|9[0-7]|38;|48;)[0-9;]*m")
    assert colour.findall(plain) == []
    assert len(plain) <= len(coloured)


def test_processes_on_one_terminal_label_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker's lines are whole and carry its job; empty ones are dropped."""
    console = worker_console("seed=1")
    console.print("one", end="")
    console.print(" line\n\nanother")
    assert capsys.readouterr().err == "[seed=1] one line\n[seed=1] another\n"


def test_plan_lines_say_when_a_model_is_missing(harness: Any, tiny: tuple[str, ...]) -> None:
    """A plan for a model that is not there says that it must be trained first."""
    assert "to be trained or looked into first" in harness("plan", *tiny, "seed=5", "tta=hflip", "tracking=none").out
