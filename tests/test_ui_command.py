"""`harness ui`: what it prints, and when it opens a browser."""

import sys
import webbrowser
from collections.abc import Callable
from typing import Any

import pytest

from harness.commands import ui


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened, while the server that is made believe answers at once."""
    found: list[str] = []

    def serve(uri: str, *, port: int, ready: Callable[[], None]) -> None:  # noqa: ARG001
        assert not found, "the browser was opened before the server answered"
        ready()

    monkeypatch.setattr(ui, "serve_ui", serve)
    monkeypatch.setattr(webbrowser, "open", lambda url: found.append(url))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("terminal", "environment", "flags", "opens"),
    [
        (True, {"DISPLAY": ":0"}, (), True),
        (True, {"WAYLAND_DISPLAY": "wayland-0"}, (), True),
        (True, {"DISPLAY": ":0"}, ("--no-open",), False),
        (True, {}, (), False),
        (False, {"DISPLAY": ":0"}, (), False),
    ],
)
def test_a_browser_opens_where_somebody_sees_it(
    harness: Any,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    environment: dict[str, str],
    flags: tuple[str, ...],
    opens: bool,
) -> None:
    """At a terminal with a screen, unless told not to; two links are printed in any case, one a line."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: terminal, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    answer = harness("ui", "--port", "5999", *flags)
    assert answer.code == 0, answer.err
    links = dict(line.split() for line in answer.out.splitlines())
    assert list(links) == ["leaderboard", "charts"]
    assert opened == ([links["leaderboard"]] if opens else [])


@pytest.mark.usefixtures("database", "opened")
def test_an_experiment_can_be_left_as_it_is(harness: Any) -> None:
    """With `tracking.arrange=false` the links name no saved view."""
    answer = harness("ui", "--port", "5999", "tracking.arrange=false")
    assert answer.code == 0, answer.err
    assert "viewStateShareKey" not in answer.out
    assert "tta.role" in answer.out


def test_the_end_of_a_run_names_the_command_that_shows_it(harness: Any, tiny: tuple[str, ...], database: Any) -> None:
    """With the overrides of the tracker that the run had, and how many policies have a run where not all have."""
    answer = harness("run", *tiny, "tta=[hflip,vflip]", "tracking.experiment=my own", "tracking.child_runs=0")
    assert answer.code == 0, answer.err
    assert database.exists()
    last = answer.out.splitlines()[-1]
    assert "of the 3 policies (tracking.child_runs)" in last
    assert last.endswith("open it with `harness ui 'tracking.experiment=my own' tracking.child_runs=0`")
