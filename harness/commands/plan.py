"""`harness plan`: what a job would cost; nothing is trained, predicted or recorded."""

import argparse
from typing import Any

from harness.compose import compose
from harness.json_output import print_json
from harness.plan import Plan
from harness.progress import PLAN_INDENT, plan_lines
from harness.runner import Job, finished_record, plan, prepare
from harness.terminal import folded


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the plan; 0."""
    job = prepare(compose(overrides))
    finished = finished_record(job.folder) is not None
    if finished and not options.json:
        text = f"this job is finished: nothing to train, no forward pass to run; its record is {job.folder}"
        print("\n".join(folded([text], indent=2)))
        return 0
    now = plan(job, job.source.cached())
    print_json(as_data(job, now, finished=finished)) if options.json else _show(job, now)
    return 0


def as_data(job: Job, now: Plan, *, finished: bool) -> dict[str, Any]:
    """The plan as plain data: what `harness plan --json` prints (docs/how-to/script-it.md)."""
    return {
        "folder": str(job.folder),
        "finished": finished,
        "trains": now.trains,
        "views": now.views,
        "passes": len(now.passes),
        "passes_asked": now.asked,
        "stored": now.stored,
        "to_compute": 0 if finished else now.to_compute,
        "examples": 0 if finished else now.examples,
        "seconds": now.seconds,
        "policies": [
            {"policy": one.name, "aggregation": one.aggregation.label(), "views": [view.name for view in one.views]}
            for one in now.policies
        ],
        "notes": list(job.notes),
    }


def _show(job: Job, now: Plan) -> None:
    print("\n".join(folded([*job.notes, *plan_lines(now)], indent=PLAN_INDENT)))
    for policy in now.policies:
        views = "1 view" if len(policy.views) == 1 else f"{len(policy.views)} views"
        print("\n".join(folded([f"  {policy.name}: {views}, {policy.aggregation.label()}"], indent=4)))
