"""Progress: the speed and the time left, bars that move on a terminal only, plain lines elsewhere."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.plan import Plan
from harness.policies.policy import IDENTITY_POLICY
from harness.progress import Meter, TrainingBar, pass_bar, step_bar
from harness.terminal import progress_console
from harness.views import IDENTITY, ForwardPass

CONTROL = re.compile(r"\x1b|\r")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def plan(passes: int, examples: int) -> Plan:
    """So many passes to compute over so many images together."""
    items = tuple(ForwardPass(f"split{number}", IDENTITY) for number in range(passes))
    return Plan((IDENTITY_POLICY,), items, stored=0, trains=False, examples=examples, seconds=None)


def pipe() -> tuple[Console, io.StringIO]:
    """A console that is no terminal, and what it was written."""
    stream = io.StringIO()
    return Console(file=stream, force_terminal=False, width=80), stream


def terminal(width: int) -> tuple[Console, io.StringIO]:
    """A console that is a terminal of this width, and what it was written."""
    stream = io.StringIO()
    return Console(file=stream, force_terminal=True, width=width), stream


def test_a_meter_by_hand() -> None:
    """300 of 1,200 in 10 seconds: 30 a second, a quarter, and 30 seconds to go; nothing is known before the first."""
    clock = Clock()
    meter = Meter(1200, clock=clock)
    assert (meter.left, meter.share) == (None, 0.0)
    clock.now += 10
    meter.done += 300
    assert (meter.rate, meter.share, meter.left) == (30.0, 0.25, 30.0)


def test_passes_without_a_terminal_are_a_line_every_ten_seconds() -> None:
    """Each line has what is done, images and passes a second, and the time left; the last one the whole.

    8 passes over 800 images at 10 images a second are 0.1 passes a second.
    """
    console, stream = pipe()
    clock = Clock()
    with pass_bar(console, plan(8, 800), clock=clock) as bar:
        for _ in range(32):
            clock.now += 2.5
            bar.advance(25, "hflip")
    lines = stream.getvalue().splitlines()
    assert lines[0] == ("forward passes: 100 of 800 images, 10 images/s, 0.1 passes/s, about 1 min 10 s left (hflip)")
    assert len(lines) == 8 + 1
    assert lines[-1] == "8 forward passes in 1 min 20 s: 10 images/s, 0.1 passes/s"


def test_nothing_is_said_of_no_passes() -> None:
    """Where everything is stored there is no line."""
    console, stream = pipe()
    with pass_bar(console, plan(0, 0)):
        pass
    assert stream.getvalue() == ""


def test_steps_are_weighed() -> None:
    """A step that is nine times the other is nine tenths of the work, once it is done, and not when it begins."""
    console, stream = pipe()
    clock = Clock()
    with step_bar(console, "policies", {"light": 1, "heavy": 9}, done="fitted", clock=clock) as advance:
        advance("light")
        clock.now += 10
        advance("heavy")
        clock.now += 90
    assert stream.getvalue().splitlines() == [
        "policies: 10%, about 1 min 30 s left (heavy)",
        "policies fitted in 1 min 40 s",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_bars_fit_the_terminal(width: int) -> None:
    """Whatever the width, a bar is one line of it and says how long it will take."""
    console, stream = terminal(width)
    with pass_bar(console, plan(90, 900_000)) as bar:
        bar.advance(300_000, "horizontal_flip+rotate90(1)")
        bar._shown._bar.refresh()
    with step_bar(console, "policies", {"fitting gps(5)": 1.0, "scoring gps(5)": 1.0}, done="fitted") as advance:
        advance("fitting gps(5)")
    with TrainingBar(console, "small_cnn-fashion_mini-seed0") as training:
        training.on_epoch(1, 20, {"loss": 0.5, "accuracy": 0.25, "val_loss": 0.75, "val_accuracy": 0.125})
    shown = re.split(r"\r|\n", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue()))
    moving = [line for line in shown if "left" in line]
    assert {line.split()[0] for line in moving} == {"forward", "policies", "training"}
    assert max(len(line.rstrip()) for line in moving) <= width


@pytest.mark.parametrize(
    "variables", [{}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}, {"FORCE_COLOR": "1", "TERM": "dumb"}]
)
def test_a_pipe_gets_no_control_characters(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing moves in a pipe or on a dumb terminal, although colours may be forced."""
    for name in ("FORCE_COLOR", "TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    console = progress_console()
    with pass_bar(console, plan(2, 20)) as bar:
        bar.advance(20, "hflip")
    with step_bar(console, "policies", {"one": 1.0}, done="fitted") as advance:
        advance("one")
    text = capsys.readouterr().err
    assert CONTROL.findall(text) == []
    assert len(text.splitlines()) == 2


def test_epochs_are_lines_without_a_terminal() -> None:
    """A log file gets one line an epoch, with the metrics."""
    console, stream = pipe()
    with TrainingBar(console, "net") as bar:
        bar.on_batch(1, 10)
        bar.on_epoch(1, 2, {"loss": 0.5})
        bar.on_wait(Path("net-1234"))
    assert stream.getvalue().splitlines() == [
        "epoch 1/2  loss 0.5000",
        "another process trains this model (net-1234); waiting for it",
    ]


def test_epochs_are_a_bar_on_a_terminal() -> None:
    """On a terminal the bar carries the epoch and its metrics."""
    console, stream = terminal(120)
    with TrainingBar(console, "net") as bar:
        bar.on_batch(1, 10)
        bar.on_epoch(1, 2, {"loss": 0.5})
    assert "training net" in stream.getvalue()
    assert "loss 0.5000" in stream.getvalue()


def test_an_interrupted_bar_says_no_end() -> None:
    """After Ctrl-C there is no line that says how fast it went."""
    console, stream = pipe()

    def interrupted(work: Callable[[], None]) -> None:
        with pytest.raises(KeyboardInterrupt), pass_bar(console, plan(2, 20)):
            work()

    def stop() -> None:
        raise KeyboardInterrupt

    interrupted(stop)
    assert stream.getvalue() == ""
