"""What a person sees while a job runs: the plan, two progress bars, single lines."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.plan import Plan


class _LabelledLines(io.TextIOBase):
    """Writes whole lines to standard error, each behind a label, so that processes that share it can be told apart."""

    def __init__(self, label: str) -> None:
        self._label, self._rest = label, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            sys.stderr.write("".join(f"[{self._label}] {line}\n" for line in lines if line.strip()))
            sys.stderr.flush()
        return len(text)


def worker_console(label: str) -> Console:
    """A console for one of several processes on one terminal: labelled lines, no bars."""
    return Console(file=cast(IO[str], _LabelledLines(label)), force_terminal=False, no_color=True)


def seconds_text(seconds: float) -> str:
    """A rough duration for people: `about 7 s`, `about 3 min 20 s`, `under 1 s`."""
    if seconds < 59.5:
        return f"about {seconds:.0f} s" if seconds >= 1 else "under 1 s"
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest} s" if minutes < 60 else f"about {minutes // 60} h {minutes % 60} min"


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


class TrainingBar:
    """A progress bar over the epochs of a training, with the latest metrics."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn(f"training {name}"),
            BarColumn(),
            TextColumn("epoch {task.fields[epoch]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._epoch = 0

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.stop()

    def on_wait(self, folder: Path) -> None:
        """Says that another process is training this model."""
        self._console.print(
            f"another process trains this model ({folder.name}); waiting for it", highlight=False, soft_wrap=True
        )

    def on_epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """Shows the metrics of a finished epoch; without a terminal each epoch is a line."""
        self._epoch = epoch
        text = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        if not self._console.is_terminal:
            self._console.print(f"epoch {epoch}/{epochs}  {text}", highlight=False, soft_wrap=True)
            return
        task = self._started(epochs)
        self._progress.update(task, total=epochs, completed=epoch, epoch=f"{epoch}/{epochs}", metrics=text)

    def on_batch(self, done: int, total: int) -> None:
        """Moves the bar within an epoch."""
        if self._console.is_terminal:
            task = self._started(None)
            self._progress.update(task, completed=self._epoch + done / total)

    def _started(self, epochs: int | None) -> TaskID:
        if self._task is None:
            self._task = self._progress.add_task("", total=epochs, epoch="1", metrics="")
            self._progress.start()
        return self._task


@contextmanager
def pass_bar(console: Console, plan: Plan) -> Iterator["PassBar"]:
    """One progress bar over passes times examples, with the time that is left."""
    progress = Progress(
        TextColumn("forward passes"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[view]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        yield PassBar(progress, progress.add_task("", total=plan.examples, view=""))


@contextmanager
def policy_bar(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar over policies that are fitted and scored; gives what is told each one's name."""
    progress = Progress(
        TextColumn("policies"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[policy]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("", total=total, policy="", completed=-1)
        yield lambda name: progress.update(task, advance=1, policy=name)


class PassBar:
    """Counts image evaluations on a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, examples: int, view: str) -> None:
        """`examples` more are done; `view` is the one being worked on."""
        self._progress.update(self._task, advance=examples, view=view)
