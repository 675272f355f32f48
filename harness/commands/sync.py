"""`harness sync`: finished jobs that MLflow has missed are written to it now."""

import argparse
from pathlib import Path

from harness.compose import compose
from harness.tracking.jobs import log_job
from harness.tracking.location import pending_jobs, resolve_uri


def main(options: argparse.Namespace, overrides: list[str]) -> int:  # noqa: ARG001
    """Logs what is pending below `output`; 0, or 4 by the error that the tracker raises."""
    config = compose(overrides)
    uri, experiment = resolve_uri(config.tracking.uri), config.tracking.experiment
    folders = pending_jobs(Path(config.output))
    for folder in folders:
        print(f"{folder.name}: run {log_job(folder, uri=uri, experiment=experiment)}")
    print(f"{len(folders)} jobs synced" if folders else "nothing to sync: MLflow has every finished job")
    return 0
