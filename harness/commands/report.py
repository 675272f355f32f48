"""`harness report`: one self-contained HTML page, for one job or for several."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from harness.compose import compose
from harness.config import Config
from harness.errors import ConfigError
from harness.files import make_folder
from harness.frames import job_folders
from harness.job_lookup import find_job
from harness.page.job import job_page
from harness.page.pictures import pictures
from harness.page.reading import read_job
from harness.page.together import jobs_page
from harness.record_files import PAGE, write_text
from harness.tracking.location import resolve_uri


def main(options: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Writes the page and says where it is; 0."""
    # The parser cannot tell an override from a job.
    given = [word for word in options.jobs if "=" in word and not Path(word).exists()]
    names = [word for word in options.jobs if word not in given]
    config = compose([*given, *overrides])
    target = Path(options.page or PAGE)
    if target.is_dir():
        raise ConfigError(f"--output takes the path of the page, e.g. {target / PAGE}; {target} is a folder")
    jobs = [read_job(folder) for folder in _folders(names, options.of_experiment, config)]
    cache = Path(config.store)
    single = len(jobs) == 1
    text = job_page(jobs[0], pictures(jobs[0]), cache=cache) if single else jobs_page(jobs, cache=cache)
    make_folder(target.parent)
    write_text(target, text)
    print(f"{len(jobs)} {'job' if single else 'jobs'}: {target}")
    return 0


def _folders(names: Sequence[str], experiment: str | None, config: Config) -> list[Path]:
    """The jobs' folders, each once, in the order given.

    Raises:
        ConfigError: for a name that is no job's, an experiment without finished jobs, or both given.
    """
    if names and experiment:
        raise ConfigError("expected jobs or --experiment, got both")
    output, store = Path(config.output), Path(config.store)
    if not names and not experiment:
        return job_folders(output)
    uri = resolve_uri(config.tracking.uri)
    if experiment:
        from harness.tracking.reading import finished_jobs

        names = finished_jobs(experiment, uri=uri)
    found = [find_job(name, output=output, store=store, uri=uri) for name in names]
    return list({folder.resolve(): folder for folder in found}.values())
