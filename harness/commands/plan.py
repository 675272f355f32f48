"""`harness plan`: what a job would cost; nothing is trained, predicted or written."""

import argparse

from harness.compose import compose
from harness.runner import plan, prepare
from harness.terminal import plan_lines


def main(options: argparse.Namespace, overrides: list[str]) -> int:  # noqa: ARG001
    """Prints the plan; 0."""
    job = prepare(compose(overrides))
    now = plan(job, job.source.cached())
    print("\n".join([*job.dataset.notes, *plan_lines(now)]))
    for policy in now.policies:
        print(f"  {policy.name}: {len(policy.views)} views, {policy.aggregation}")
    return 0
