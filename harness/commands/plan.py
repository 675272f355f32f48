"""`harness plan`: what a job would cost; nothing is trained, predicted or recorded."""

import argparse

from harness.compose import compose
from harness.runner import finished_record, plan, prepare
from harness.terminal import plan_lines


def main(options: argparse.Namespace, overrides: list[str]) -> int:  # noqa: ARG001
    """Prints the plan; 0."""
    job = prepare(compose(overrides))
    if finished_record(job.folder) is not None:
        print(f"this job is finished: nothing to train, no forward pass to run; its record is {job.folder}")
        return 0
    now = plan(job, job.source.cached())
    print("\n".join([*job.notes, *plan_lines(now)]))
    for policy in now.policies:
        views = "1 view" if len(policy.views) == 1 else f"{len(policy.views)} views"
        print(f"  {policy.name}: {views}, {policy.aggregation.label()}")
    return 0
