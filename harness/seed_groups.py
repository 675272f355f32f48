"""Which finished jobs differ in their training seed alone: those that can be combined."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from harness.dotted_keys import leaves
from harness.errors import DataError
from harness.record_files import CONFIG, RECORD, read_record
from harness.records import JobRecord

SAME = ("model", "training", "augmentation", "evaluation", "engine")
"""Sections of the configuration that jobs share when only the training seed tells them apart."""
MOST_NAMES = 5  # in a sentence

Job = tuple[JobRecord, Path]
Shared = tuple[tuple[str, str], ...]
"""What jobs that are combined have in common: data set, model, then dotted keys of the sections and their values."""


def find_jobs(output: Path, *, study: str | None, sweep: str | None) -> list[Path]:
    """The folders of finished jobs below `output`, of one study or sweep where one is named."""
    return [folder for record, folder in _jobs(output, study) if sweep in (None, record.sweep)]


def seeds_apart(folders: Iterable[Path]) -> list[list[Path]]:
    """Those of the jobs that differ from another one in their training seed alone, in groups.

    Raises:
        DataError: where there are none.
    """
    return _apart(_alike((read_record(folder), folder) for folder in folders))


def select(output: Path, *, study: str | None, sweep: str | None) -> tuple[list[list[Path]], list[str]]:
    """The jobs below `output` to combine, in groups, and a sentence for each reason why others are left out.

    A sweep does not hold the jobs that it found finished: their seeds are missing in its groups.

    Raises:
        DataError: where no two jobs differ in their seed alone.
    """
    every = _jobs(output, study)
    asked = _alike(job for job in every if sweep in (None, job[0].sweep))
    others = () if sweep is None else (job for job in every if job[0].sweep != sweep)
    kin = [
        folder
        for key, jobs in _alike(others, strict=False).items()
        for record, folder in jobs
        if key in asked and record.seed not in {ours.seed for ours, _ in asked[key]}
    ]
    joining = f"not of this sweep, but alike with other seeds: {_names(kin)}; without --sweep they join" if kin else ""
    groups = _apart(asked, hint=joining and f"; {joining}")
    alone = [jobs[0][1] for jobs in asked.values() if len(jobs) == 1]
    lonely = f"left out, because no other job differs in the seed alone: {_names(alone)}" if alone else ""
    return groups, [sentence for sentence in (lonely, joining) if sentence]


def in_common(record: JobRecord, folder: Path) -> Shared:
    """What a job has in common with those that differ in their seed alone: data set, model and way to train.

    Raises:
        DataError: where its configuration is missing or damaged.
    """
    try:
        tree = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        asked = [
            (key, str(value))
            for section in SAME
            for key, value in sorted(leaves(tree[section], section))
            if value != {}
        ]
        trained_on = str(tree["dataset"].get("train_fraction", 1.0))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise DataError(f"expected the configuration of a job in {folder / CONFIG}, got {error!r}") from error
    model = str(record.params["model"])
    return ("dataset", record.dataset.name), ("model", model), *asked, ("dataset.train_fraction", trained_on)


def _jobs(output: Path, study: str | None) -> list[Job]:
    found = ((_readable(file.parent), file.parent) for file in sorted(output.glob(f"*/{RECORD}")))
    return [(record, folder) for record, folder in found if record is not None and study in (None, record.study)]


def _readable(folder: Path) -> JobRecord | None:
    """The record, or None with a warning where it is damaged or of an older version."""
    try:
        return read_record(folder)
    except DataError as error:
        warnings.warn(f"left out: {error}", stacklevel=2)
        return None


def _alike(jobs: Iterable[Job], *, strict: bool = True) -> dict[object, list[Job]]:
    """Jobs by all that they have in common but the seed: training, policies, test images.

    Without `strict` those are left out whose configuration cannot be read.
    """
    groups: dict[object, list[Job]] = {}
    for record, folder in jobs:
        try:
            common = in_common(record, folder)
        except DataError:
            if strict:
                raise
            continue
        asked = frozenset((one.name, one.aggregation, one.view_keys) for one in record.policies)
        test = record.dataset.splits["test"].digest
        groups.setdefault((common, asked, test), []).append((record, folder))
    return groups


def _apart(groups: Mapping[object, Sequence[Job]], *, hint: str = "") -> list[list[Path]]:
    found = [[folder for _, folder in jobs] for jobs in groups.values() if len(jobs) > 1]
    if not found:
        raise DataError(
            f"expected jobs that differ in their training seed alone, got {len(groups)} that do not: run one command "
            f"with -m and seed=0,1,2, or name folders{hint}"
        )
    return found


def _names(folders: Sequence[Path]) -> str:
    more = f" and {len(folders) - MOST_NAMES} more" if len(folders) > MOST_NAMES else ""
    return ", ".join(folder.name for folder in folders[:MOST_NAMES]) + more
