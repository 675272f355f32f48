"""`harness sync`: finished jobs that MLflow has missed are written to it now."""

import argparse
import sys
from pathlib import Path

from harness.compose import compose
from harness.errors import DataError
from harness.tracking.jobs import log_job
from harness.tracking.location import Marker, pending_jobs, read_marker, resolve_uri


def main(options: argparse.Namespace, overrides: list[str]) -> int:  # noqa: ARG001
    """Logs what is pending below `output`, each job where it was to go unless the command line says otherwise.

    0; 3 where a record cannot be read; 4 by the error that the tracker raises.
    """
    config = compose(overrides)
    given = {override.partition("=")[0] for override in overrides}
    folders = pending_jobs(Path(config.output))
    damaged = 0
    for folder in folders:
        marker = read_marker(folder) or Marker("pending", resolve_uri(config.tracking.uri), config.tracking.experiment)
        uri = resolve_uri(config.tracking.uri if "tracking.uri" in given else marker.uri)
        experiment = config.tracking.experiment if "tracking.experiment" in given else marker.experiment
        try:
            run_id = log_job(
                folder,
                uri=uri,
                experiment=experiment,
                child_runs=config.tracking.child_runs,
                arranged=config.tracking.arrange,
            )
            print(f"{folder.name}: run {run_id} in {experiment}")
        except DataError as error:
            damaged += 1
            print(f"error: {error}", file=sys.stderr)
    print(f"{len(folders) - damaged} jobs synced" if folders else "nothing to sync")
    return 3 if damaged else 0
