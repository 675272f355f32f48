"""`harness run`: one job, or with `-m` a sweep of them."""

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from harness.compose import compose, job_overrides, sweep, to_config
from harness.errors import HarnessError
from harness.fingerprint import fingerprint
from harness.job_record import config_text
from harness.report import recommendation_headline, render_leaderboard, render_recommendation
from harness.runner import Outcome, run
from harness.terminal import worker_console
from harness.tracking.location import public_uri, read_marker

ROWS = 20


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Runs and prints; 0, or 3 where jobs of a sweep failed, or 4 where the tracker is still to be synced."""
    if options.multirun:
        return _sweep(overrides)
    config = compose(overrides)
    if options.cfg:
        print(config_text(config), end="")
        return 0
    outcome = run(config, console=Console(stderr=True), command=shlex.join(["harness", "run", *overrides]))
    return _show(outcome, tracking=[override for override in overrides if override.startswith("tracking.")])


@dataclass(frozen=True)
class Cell:
    """What one job of a sweep came to, small enough to travel between processes."""

    name: str
    error: str | None
    exit_code: int
    trained: int = 0
    computed: int = 0
    answer: str = ""
    tracked: bool = False
    found: bool = False


def run_cell(tree: Any, *, sweep_id: str, owner: int, shared: Sequence[str]) -> Cell:
    """One job of a sweep; an error becomes a line in the summary, so that the other jobs still run.

    Args:
        tree: its configuration.
        sweep_id: shared by the jobs.
        owner: the process that began the sweep; in another one the job shares the terminal.
        shared: the overrides that all jobs have in common.
    """
    overrides = job_overrides()
    name = " ".join(item for item in overrides if item not in shared) or "the only job"
    console = Console(stderr=True) if os.getpid() == owner else worker_console(name)
    try:
        if os.getpid() == owner:
            console.rule(name)
        command = shlex.join(["harness", "run", *overrides])
        outcome = run(to_config(tree), console=console, command=command, sweep=sweep_id)
    except HarnessError as error:
        console.print(f"error: {error}", highlight=False, markup=False, soft_wrap=True)
        return Cell(name, str(error), error.exit_code)
    except Exception as error:  # a defect of ours costs its own job only
        console.print(traceback.format_exc(), highlight=False, markup=False, soft_wrap=True)
        return Cell(name, f"{type(error).__name__}: {error}", 1)
    code = 4 if outcome.tracking_error else 0
    return Cell(
        name,
        outcome.tracking_error,
        code,
        outcome.trained,
        outcome.computed,
        recommendation_headline(outcome.record),
        tracked=outcome.run_id is not None,
        found=outcome.record.sweep != sweep_id,
    )


def _sweep(overrides: list[str]) -> int:
    # From what was asked, so that a sweep which was broken off and issued again is one sweep in MLflow.
    sweep_id = fingerprint(overrides)[:12]
    cells = sweep(overrides, partial(run_cell, sweep_id=sweep_id, owner=os.getpid(), shared=tuple(overrides)))
    failed = [cell for cell in cells if cell.exit_code not in (0, 4)]
    pending = [cell for cell in cells if cell.exit_code == 4]
    trained, computed = sum(cell.trained for cell in cells), sum(cell.computed for cell in cells)
    print(f"{len(cells)} jobs, {len(failed)} failed; models trained: {trained}, forward passes run: {computed}")
    for cell in cells:
        print(f"  {'failed' if cell in failed else 'done':7} {cell.name}  {cell.error or cell.answer}")
    if any(cell.tracked for cell in cells):
        earlier = "; jobs that were finished before keep their tags" if any(cell.found for cell in cells) else ""
        print(f"in MLflow: tags.`tta.sweep` = '{sweep_id}'{earlier}")
    return 3 if failed else 4 if pending else 0


def _show(outcome: Outcome, *, tracking: list[str]) -> int:
    """Prints the outcome; `tracking` are the overrides that `harness ui` needs as well."""
    console, record = Console(), outcome.record
    render_leaderboard(record, console, limit=ROWS)
    render_recommendation(record, console)
    work = f"models trained: {outcome.trained}, forward passes run: {outcome.computed}"
    if not outcome.trained and not outcome.computed:
        work += " (everything was there already)"
    console.print(f"{work}\nrecord: {outcome.folder}", highlight=False, soft_wrap=True)
    if outcome.tracking_error:
        print(f"warning: {outcome.tracking_error}; the results are on disk: `harness sync` later", file=sys.stderr)
        return 4
    if outcome.run_id:
        command = f"`{public_uri(shlex.join(['harness', 'ui', *tracking]))}`" + ("" if tracking else " (or `make ui`)")
        text = f"in MLflow: run {outcome.run_id}{_child_runs(outcome)}; open it with {command}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    return 0


def _child_runs(outcome: Outcome) -> str:
    """How many policies have a run of their own, where that is not all."""
    marker, count = read_marker(outcome.folder), len(outcome.record.policies)
    if marker is None or marker.child_runs is None or marker.child_runs >= count:
        return ""
    return f" and {marker.child_runs} of the {count} policies (tracking.child_runs), all in its leaderboard.json"
