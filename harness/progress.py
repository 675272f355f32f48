"""What a person sees while a job runs: the plan, then progress with the speed and the time left.

A bar where a terminal can move it, elsewhere a plain line every ten seconds.

Nothing that moves the cursor is ever written to a pipe or a file, whatever FORCE_COLOR says.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from harness.plan import Plan
from harness.terminal import seconds_text

LINE_SECONDS = 10.0
MIN_SECONDS = 1e-9
PLAN_INDENT = 16
"""Columns of the names in a plan."""


def plan_lines(plan: Plan) -> list[str]:
    """The plan in a few lines; the same whether it is run afterwards or not."""
    lines = [
        f"policies        {len(plan.policies)}",
        f"views           {plan.views} (the union over all policies)",
        f"forward passes  {len(plan.passes)} instead of {plan.asked}: each view once over {_splits_text(plan)}",
        f"stored          {plan.stored}",
        f"to compute      {plan.to_compute} ({plan.examples:,} image evaluations)",
    ]
    if plan.trains:
        lines.append("model           to be trained or looked into first, once")
    if plan.to_compute:
        known = "unknown: nothing was measured yet for this model; the progress bar will say"
        lines.append(f"estimated time  {known if plan.seconds is None else seconds_text(plan.seconds)}")
    return lines


def _splits_text(plan: Plan) -> str:
    slices = len({item.split for item in plan.passes}) - 2
    return "validation and test" if slices <= 0 else f"validation, test and {slices} corrupted copies of it"


class Meter:
    """How far something is, how fast it goes, and how long it will take at the mean speed so far.

    Args:
        total: what `done` will be at the end. clock: gives seconds.
    """

    def __init__(self, total: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done = total, 0.0
        self._clock, self._started = clock, clock()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._started

    @property
    def rate(self) -> float:
        """Per second, the mean since the start."""
        return self.done / max(self.seconds, MIN_SECONDS)

    @property
    def share(self) -> float:
        """What is done of the whole, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 1.0

    @property
    def left(self) -> float | None:
        """Seconds at the mean speed so far, None where nothing is done yet."""
        return max(self.total - self.done, 0) / self.rate if self.done else None


class PassBar:
    """Counts image evaluations; their speed is said in images and in forward passes a second."""

    def __init__(self, console: Console, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.meter = Meter(plan.examples, clock=clock)
        self._passes = plan.to_compute
        self._shown = _Shown(console, "forward passes", self.meter, self._rates, clock=clock, unit="images")

    def advance(self, examples: int, view: str) -> None:
        """`examples` more are done; `view` is the one being worked on."""
        self.meter.done += examples
        self._shown.update(view)

    def _rates(self) -> str:
        passes = self.meter.rate * self._passes / max(self.meter.total, 1)
        return f"{self.meter.rate:,.0f} images/s, {_digits(passes)} passes/s"

    def _summary(self) -> str:
        passes = f"{self._passes} forward pass{'' if self._passes == 1 else 'es'}"
        return f"{passes} in {_precisely(self.meter.seconds)}: {self._rates()}"


@contextmanager
def pass_bar(console: Console, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> Iterator[PassBar]:
    """Progress over passes times examples; a line at the end says how fast it went."""
    bar = PassBar(console, plan, clock=clock)
    with bar._shown:
        yield bar
    if plan.to_compute:
        _say(console, bar._summary())


@contextmanager
def step_bar(
    console: Console,
    title: str,
    steps: Mapping[str, float],
    *,
    done: str,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[str], None]]:
    """Progress over named steps, whose share of the work is known roughly.

    Gives what is told each step's name before it begins. A line at the end says what was `done` and how long it took.
    """
    meter = Meter(sum(steps.values()), clock=clock)
    shown = _Shown(console, title, meter, lambda: "", clock=clock)
    begun: list[str] = []

    def advance(step: str) -> None:
        if begun:
            meter.done += steps.get(begun[-1], 0.0)
        begun.append(step)
        shown.update(step)

    with shown:
        yield advance
    _say(console, f"{title} {done} in {_precisely(meter.seconds)}")


class _Shown:
    """A meter on a console: a bar that vanishes when it is done, or lines."""

    def __init__(
        self,
        console: Console,
        title: str,
        meter: Meter,
        rates: Callable[[], str],
        *,
        clock: Callable[[], float],
        unit: str = "",
    ) -> None:
        self._console, self._title, self._meter, self._rates, self._unit = console, title, meter, rates, unit
        self._clock, self._said = clock, clock()
        self._bar = _bar(console, title, unit=unit)
        self._task = self._bar.add_task("", total=meter.total, rates="", now="")

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, now: str) -> None:
        """Shows the meter; `now` is what is being worked on."""
        self._bar.update(self._task, completed=self._meter.done, rates=self._rates(), now=now)
        if not self._console.is_interactive and self._clock() - self._said >= LINE_SECONDS:
            self._said = self._clock()
            _say(self._console, self._line(now))

    def _line(self, now: str) -> str:
        meter, left = self._meter, self._meter.left
        share = f"{meter.done:,.0f} of {meter.total:,.0f} {self._unit}" if self._unit else f"{meter.share:.0%}"
        parts = [
            share,
            self._rates(),
            "" if left is None else f"{seconds_text(left)} left",
        ]
        return f"{self._title}: {', '.join(part for part in parts if part)} ({now})"


class _Count(ProgressColumn):
    """`12,345/60,200`."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f}", style="progress.download")


class _Left(TimeRemainingColumn):
    """`0:01:20 left`."""

    def render(self, task: Task) -> Text:
        return super().render(task).append(" left")


def _bar(console: Console, title: str, *, unit: str) -> Progress:
    """Columns in the order of reading, as many as the width takes."""
    width = console.width
    bar = BarColumn(bar_width=8 if width < 60 else 16 if width < 100 else 30)
    left, now = _Left(), TextColumn("{task.fields[now]}", markup=False)
    counted: list[tuple[int, ProgressColumn]] = [
        (56, _Count()),
        (72, TextColumn(unit)),
        (88, TextColumn("{task.fields[rates]}")),
        (0, left),
        (130, now),
    ]
    stepped: list[tuple[int, ProgressColumn]] = [(56, TaskProgressColumn()), (0, left), (60, now)]
    columns: list[tuple[int, ProgressColumn]] = [(0, TextColumn(title)), (0, bar), *(counted if unit else stepped)]
    shown = [column for minimum, column in columns if width >= minimum]
    return Progress(*shown, console=console, transient=True, disable=not console.is_interactive)


class TrainingBar:
    """A progress bar over the epochs of a training, with the latest metrics."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        columns: list[tuple[int, ProgressColumn]] = [
            (0, TextColumn("training")),
            (100, TextColumn(name, markup=False)),
            (60, BarColumn(bar_width=8 if console.width < 100 else 20)),
            (0, TextColumn("epoch {task.fields[epoch]}")),
            (140, TimeElapsedColumn()),
            (0, _Left()),
            (80, TextColumn("{task.fields[metrics]}", markup=False)),
        ]
        shown = [column for minimum, column in columns if console.width >= minimum]
        self._progress = Progress(*shown, console=console, transient=True)
        self._task: TaskID | None = None
        self._epoch = 0

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.stop()

    def on_wait(self, folder: Path) -> None:
        """Says that another process is training this model."""
        _say(self._console, f"another process trains this model ({folder.name}); waiting for it")

    def on_epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """Shows the metrics of a finished epoch; without a terminal each epoch is a line."""
        self._epoch = epoch
        text = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        if not self._console.is_interactive:
            _say(self._console, f"epoch {epoch}/{epochs}  {text}")
            return
        task = self._started(epochs)
        self._progress.update(task, total=epochs, completed=epoch, epoch=f"{epoch}/{epochs}", metrics=text)

    def on_batch(self, done: int, total: int) -> None:
        """Moves the bar within an epoch."""
        if self._console.is_interactive:
            task = self._started(None)
            self._progress.update(task, completed=self._epoch + done / total)

    def _started(self, epochs: int | None) -> TaskID:
        if self._task is None:
            self._task = self._progress.add_task("", total=epochs, epoch="1", metrics="")
            self._progress.start()
        return self._task


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _precisely(seconds: float) -> str:
    """A duration that was measured: `0.4 s`, `12 s`, `3 min 20 s`."""
    return f"{seconds:.1f} s" if seconds < 10 else seconds_text(seconds).removeprefix("about ")


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value >= 0.1 else f"{value:.1g}"
