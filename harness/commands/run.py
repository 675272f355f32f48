"""`harness run`: one job, or with `-m` a sweep of them."""

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml
from rich.console import Console

from harness.compose import compose, job_overrides, sweep, to_config
from harness.errors import HarnessError
from harness.fingerprint import fingerprint
from harness.job_record import config_text
from harness.json_output import print_json
from harness.record_files import PAGE
from harness.records import JobRecord, PolicyRecord
from harness.report import ranked, recommendation_headline, render_leaderboard, render_recommendation
from harness.runner import Outcome, run
from harness.terminal import folded, progress_console, worker_console
from harness.tracking.location import public_uri, read_marker

ROWS = 20
MAIN_METRICS = (
    "test/accuracy",
    "test/nll",
    "test/nll_calibrated",
    "test/ece",
    "validation/accuracy",
    "validation/nll_calibrated",
    "gain/accuracy",
    "gain/accuracy_lower",
    "gain/accuracy_upper",
    "gain/nll_calibrated",
    "gain/nll_calibrated_lower",
    "gain/nll_calibrated_upper",
    "gain/p_value",
    "gain/p_value_adjusted",
    "gain/corrected",
    "gain/corrupted",
    "cost/passes",
)
"""Of each policy in what `--json` prints; `record.json` has all."""


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Runs and prints; 0, or 3 where jobs of a sweep failed, or 4 where the tracker is still to be synced."""
    if options.multirun:
        return _sweep(overrides, as_json=options.json)
    config = compose(overrides)
    if options.cfg:
        text = config_text(config)
        print_json(yaml.safe_load(text)) if options.json else print(text, end="")
        return 0
    outcome = run(config, console=progress_console(), command=shlex.join(["harness", "run", *overrides]))
    tracking = [override for override in overrides if override.startswith("tracking.")]
    print_json(as_data(outcome)) if options.json else _show(outcome, tracking=tracking)
    if outcome.tracking_error:
        print(f"warning: {outcome.tracking_error}; the results are on disk: `harness sync` later", file=sys.stderr)
        return 4
    return 0


def as_data(outcome: Outcome) -> dict[str, Any]:
    """A finished job as plain data: what `harness run --json` prints (docs/how-to/script-it.md)."""
    record, choice = outcome.record, outcome.record.recommendation
    return {
        "folder": str(outcome.folder),
        "run_id": outcome.run_id,
        "job_id": record.job_id,
        "name": record.name,
        "models_trained": outcome.trained,
        "passes_computed": outcome.computed,
        "tracking_error": outcome.tracking_error,
        "recommendation": {
            "policy": choice.policy,
            "verdict": choice.verdict,
            "headline": recommendation_headline(record),
            "reason": choice.reason,
        },
        "leaderboard": [_row(policy, record) for policy in ranked(record)],
        "warnings": list(record.warnings),
    }


def _row(policy: PolicyRecord, record: JobRecord) -> dict[str, Any]:
    return {
        "policy": policy.name,
        "chosen": policy.name == record.recommendation.policy,
        "verdict": policy.verdict or None,
        "aggregation": policy.aggregation,
        "views": len(policy.views),
        "passes": policy.passes,
        "temperature": policy.temperature,
        "metrics": {name: policy.metrics.get(name) for name in MAIN_METRICS},
    }


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
    data: Mapping[str, Any] | None = None


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
    console = progress_console() if os.getpid() == owner else worker_console(name)
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
        data=as_data(outcome),
    )


def _sweep(overrides: list[str], *, as_json: bool) -> int:
    # From what was asked, so that a sweep which was broken off and issued again is one sweep in MLflow.
    sweep_id = fingerprint(overrides)[:12]
    cells = sweep(overrides, partial(run_cell, sweep_id=sweep_id, owner=os.getpid(), shared=tuple(overrides)))
    failed = [cell for cell in cells if cell.exit_code not in (0, 4)]
    pending = [cell for cell in cells if cell.exit_code == 4]
    if as_json:
        print_json([_cell(cell) for cell in cells])
    else:
        _show_sweep(cells, failed, sweep_id=sweep_id)
    return 3 if failed else 4 if pending else 0


def _cell(cell: Cell) -> dict[str, Any]:
    done = cell.exit_code in (0, 4)
    return {
        "job": cell.name,
        "exit_code": cell.exit_code,
        "error": cell.error,
        "result": cell.data if done else None,
    }


def _show_sweep(cells: Sequence[Cell], failed: Sequence[Cell], *, sweep_id: str) -> None:
    trained, computed = sum(cell.trained for cell in cells), sum(cell.computed for cell in cells)
    print(f"{len(cells)} jobs, {len(failed)} failed; models trained: {trained}, forward passes run: {computed}")
    for cell in cells:
        print(f"  {'failed' if cell in failed else 'done':7} {cell.name}  {cell.error or cell.answer}")
    if any(cell.tracked for cell in cells):
        earlier = "; jobs that were finished before keep their tags" if any(cell.found for cell in cells) else ""
        print(f"in MLflow: tags.`tta.sweep` = '{sweep_id}'{earlier}")


def _show(outcome: Outcome, *, tracking: Sequence[str]) -> None:
    """Prints the outcome; `tracking` are the overrides that `harness ui` needs as well."""
    console, record = Console(), outcome.record
    render_leaderboard(record, console, limit=ROWS)
    render_recommendation(record, console)
    work = f"models trained: {outcome.trained}, forward passes run: {outcome.computed}"
    if not outcome.trained and not outcome.computed:
        work += " (everything was there already)"
    lines = [work, f"record: {outcome.folder}", f"report: {outcome.folder / PAGE}"]
    if outcome.run_id:
        command = f"`{public_uri(shlex.join(['harness', 'ui', *tracking]))}`" + ("" if tracking else " (or `make ui`)")
        lines.append(f"in MLflow: run {outcome.run_id}{_child_runs(outcome)}; open it with {command}")
    print("\n".join(folded(lines, indent=4)))


def _child_runs(outcome: Outcome) -> str:
    """How many policies have a run of their own, where that is not all."""
    marker, count = read_marker(outcome.folder), len(outcome.record.policies)
    if marker is None or marker.child_runs is None or marker.child_runs >= count:
        return ""
    return f" and {marker.child_runs} of the {count} policies (tracking.child_runs), all in its leaderboard.json"
