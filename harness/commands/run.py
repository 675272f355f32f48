"""`harness run`: one job, or with `-m` a sweep of them."""

import argparse
import os
import shlex
import sys
import uuid
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from harness.compose import compose, sweep, to_config
from harness.errors import HarnessError
from harness.job_record import config_text
from harness.report import render_leaderboard, render_recommendation
from harness.runner import Outcome, run

SWEEP_VARIABLE = "HARNESS_SWEEP"
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
    return _show(outcome)


@dataclass(frozen=True)
class Cell:
    """What one job of a sweep came to, small enough to travel between processes."""

    name: str
    error: str | None
    exit_code: int
    trained: int = 0
    computed: int = 0
    answer: str = ""


def run_cell(tree: Any) -> Cell:
    """One job of a sweep; an error becomes a line in the summary, so that the other jobs still run."""
    console = Console(stderr=True)
    name = "job"
    try:
        config = to_config(tree)
        name = f"dataset={config.dataset.kind} model={config.model.kind} seed={config.seed}"
        console.rule(name)
        outcome = run(config, console=console, command=_command(tree), sweep=os.environ.get(SWEEP_VARIABLE))
    except HarnessError as error:
        console.print(f"error: {error}", highlight=False, markup=False, soft_wrap=True)
        return Cell(name, str(error), error.exit_code)
    choice = outcome.record.recommendation
    code = 4 if outcome.tracking_error else 0
    answer = f"{choice.verdict}: {choice.policy}"
    return Cell(name, outcome.tracking_error, code, outcome.trained, outcome.computed, answer)


def _sweep(overrides: list[str]) -> int:
    # In the environment, because that is what reaches the workers of every launcher.
    os.environ[SWEEP_VARIABLE] = uuid.uuid4().hex[:12]
    cells = sweep(overrides, run_cell)
    failed = [cell for cell in cells if cell.exit_code not in (0, 4)]
    pending = [cell for cell in cells if cell.exit_code == 4]
    trained, computed = sum(cell.trained for cell in cells), sum(cell.computed for cell in cells)
    print(f"{len(cells)} jobs, {len(failed)} failed; models trained: {trained}, forward passes run: {computed}")
    for cell in cells:
        print(f"  {'failed' if cell in failed else 'done':7} {cell.name}  {cell.error or cell.answer}")
    print(f"in MLflow: tags.`tta.sweep` = '{os.environ[SWEEP_VARIABLE]}'")
    return 3 if failed else 4 if pending else 0


def _command(tree: Any) -> str:
    overrides = tree.hydra.overrides.task if "hydra" in tree else []
    return shlex.join(["harness", "run", *overrides])


def _show(outcome: Outcome) -> int:
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
        console.print(f"in MLflow: run {outcome.run_id}; open it with `harness ui` (or `make ui`)", highlight=False)
    return 0
