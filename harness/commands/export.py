"""`harness export JOB --policy P --format F --output PATH`: a policy as one model that is used without the harness."""

import argparse
import importlib
import sys
from pathlib import Path

from rich.console import Console

from harness.compose import compose
from harness.job_lookup import find_job
from harness.tracking.location import resolve_uri


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints what was written and how near it is to the job's numbers."""
    config = compose(overrides)
    folder = find_job(
        options.job, output=Path(config.output), store=Path(config.store), uri=resolve_uri(config.tracking.uri)
    )
    writing = importlib.import_module("harness.export.writing")
    target = Path(options.target).expanduser()
    writing.check_target(options.format, target)
    with Console(stderr=True).status(f"{options.policy}: put together, checked on test images and written …"):
        job = importlib.import_module("harness.export.job").open_job(folder)
        exported = writing.export(job, options.policy, options.format, target)
    parity, found = exported.parity, job.record.policy(options.policy)
    if found.verdict not in ("ship", ""):
        print(f"warning: the verdict on {found.name} is: {found.verdict}", file=sys.stderr)
    card = importlib.import_module("harness.export.card")
    print(f"{exported.path}  {_size(exported.path)}")
    print(f"  {found.name}: {card.summary(found)}")
    print(f"  on {parity.images} test images within {parity.difference:.1e} of the job's probabilities")
    return 0


def _size(path: Path) -> str:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
