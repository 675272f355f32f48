"""`harness reproduce JOB`: a finished job once more, and every number compared."""

import argparse
import importlib
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic

from harness import __version__
from harness.compose import compose
from harness.config import Checkpoint, Config
from harness.errors import ConfigError, DataError, ModelError, TrackingError
from harness.job_lookup import job_folder
from harness.logged_config import changed_keys, checked_overrides, read_tree, to_run_again
from harness.record_files import CONFIG, RECORD, read_record
from harness.records import JobRecord
from harness.reproduction import Findings, compare, renamed
from harness.reproduction_facts import facts
from harness.reproduction_numbers import choices, predictions, table_numbers
from harness.reproduction_report import Reproduction, as_json, markdown, plain, text_lines
from harness.runner import run
from harness.terminal import progress_console
from harness.tracking.location import public_uri, read_marker, resolve_uri


@dataclass(frozen=True)
class First:
    """The first run: where its files are, what it found, its configuration as it was written, its parent run."""

    folder: Path
    findings: Findings
    tree: Mapping[str, Any]
    run_id: str | None


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Runs the job again, compares, tags both runs and prints the verdict.

    0; 5 where the numbers differ; 4 where they do not, but the tracker could not be told.
    """
    given, ours = checked_overrides(overrides)
    settings = compose(ours)
    uri = resolve_uri(settings.tracking.uri)
    command = shlex.join(["harness", "reproduce", options.job, *(["--fresh"] if options.fresh else []), *overrides])
    with tempfile.TemporaryDirectory(prefix="harness-reproduce-") as temporary:
        folder = Path(temporary)
        first = _first_run(options.job, settings, uri=uri, folder=folder / "first")
        store = folder / "store" if options.fresh else Path(settings.store)
        config = _again(first, given, output=folder / "results", store=store, uri=uri)
        config = _checked_paths(config, given, uri=uri, folder=folder / "model")
        found, second = _reproduce(first, config, given, command=command, fresh=options.fresh)
        found = _log(found, second, uri=uri)
    for warning in found.warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    print(as_json(found) if options.json else "\n".join(_shown(found)))
    return 5 if found.verdict == "different" else 4 if found.reproduces and not found.reproduction else 0


def _first_run(name: str, settings: Config, *, uri: str, folder: Path) -> First:
    """From a job's folder on this disk, else from the tracker.

    Raises:
        ConfigError: where there is no such job, or its configuration is not to be read.
        DataError: where its record is of another schema, or damaged.
    """
    local = job_folder(name, output=Path(settings.output))
    if local is None:
        folder.mkdir()
        run_id = importlib.import_module("harness.tracking.reproductions").fetch_original(name, uri=uri, folder=folder)
    else:
        folder, marker = local, read_marker(local)
        logged_here = marker is not None and marker.uri == public_uri(uri)
        run_id = marker.run_id if marker is not None and logged_here else None
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{folder} has no {CONFIG} that can be read: expected the folder of a finished job"
        ) from error
    findings = Findings(_record(folder, name), table_numbers(folder), predictions(folder))
    return First(folder, findings, read_tree(text), run_id)


def _record(folder: Path, name: str) -> JobRecord:
    """The first run's record, every value of the type that it should have: it may come from anywhere."""
    refused = f"the record of {name} cannot be compared by tta-harness {__version__}"
    try:
        record = read_record(folder)
        pydantic.TypeAdapter(JobRecord).validate_python(asdict(record))
    except DataError as error:
        raise DataError(f"{refused}: {str(error).removeprefix(f'{folder / RECORD}: ')}") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{refused}: {plain(where)}: {first['msg']}") from error
    return record


def _again(first: First, given: Mapping[str, str], *, output: Path, store: Path, uri: str) -> Config:
    try:
        return to_run_again(first.tree, given, output=output, store=store, uri=uri)
    except ConfigError as error:
        wrote = first.findings.record.versions.get("tta-harness", "an unknown version")
        raise ConfigError(
            f"the job's configuration does not fit this version ({__version__}; the job is of {plain(wrote)}): {error}"
        ) from error


def _checked_paths(config: Config, given: Mapping[str, str], *, uri: str, folder: Path) -> Config:
    """The configuration with a checkpoint of the tracker's fetched, after a look at what must be on this machine.

    Raises:
        DataError, ModelError: for data or a checkpoint that is gone, with the override that says where it is now.
        ModelError: for a SavedModel that the user has neither named nor trusted: it is a program.
    """
    for key, path in (
        ("dataset.path", getattr(config.dataset, "path", None)),
        ("corruption_path", config.corruption_path),
    ):
        if path is not None and not os.path.exists(Path(path).expanduser()):  # noqa: PTH110 - never raises
            raise DataError(f"the job's data are not at {path}: {key}=… says where they are now")
    node = config.model
    if not isinstance(node, Checkpoint):
        return config
    path = Path(node.path).expanduser()
    if node.path.startswith(("models:/", "runs:/")):
        folder.mkdir()
        path = importlib.import_module("harness.tracking.reading").download_model(node.path, uri=uri, folder=folder)
    elif not os.path.exists(path):  # noqa: PTH110 - never raises
        raise ModelError(f"the job's checkpoint is not at {node.path}: model.path=… says where it is now")
    if path.is_dir() and not node.trust and "model.path" not in given:
        raise ModelError(
            f"{node.path} is a SavedModel, a program that TensorFlow runs as it is: give model.trust=true if you trust "
            "its author"
        )
    return config.model_copy(update={"model": node.model_copy(update={"path": str(path)})})


def _reproduce(
    first: First, config: Config, given: Mapping[str, str], *, command: str, fresh: bool
) -> tuple[Reproduction, Path]:
    """The verdict, and the second run's folder."""
    before = first.findings.record
    outcome = run(config, console=progress_console(), command=command)
    second = Findings(outcome.record, table_numbers(outcome.folder), predictions(outcome.folder))
    why = facts(
        before,
        outcome.record,
        keys=[item for item in changed_keys(first.tree, config) if item[0] != "model.path" or item[0] in given],
        given=given,
        renamed=renamed(before, outcome.record),
        chosen=(choices(first.folder), choices(outcome.folder)),
    )
    return Reproduction(
        comparison=compare(first.findings, second),
        facts=why,
        name=before.name,
        started=before.started,
        how="from nothing" if fresh else "from the store",
        trained=outcome.trained,
        computed=outcome.computed,
        reproduces=first.run_id,
        given=given,
        warnings=_other_store(first, config) if outcome.computed and not fresh else (),
    ), outcome.folder


def _other_store(first: First, config: Config) -> tuple[str, ...]:
    """A hint where the job's own store is on this machine and was not asked."""
    theirs = first.tree.get("store")
    if not isinstance(theirs, str) or not os.path.isdir(theirs) or os.path.samefile(theirs, config.store):  # noqa: PTH112, PTH121
        return ()
    return (f"the job used the store {theirs}, which is here too: store=… reads it",)


def _log(found: Reproduction, folder: Path, *, uri: str) -> Reproduction:
    """With the second run's id where the first one is in the tracker; a tracker that refuses is a warning."""
    if found.reproduces is None:
        return found
    reproductions = importlib.import_module("harness.tracking.reproductions")
    date = datetime.now(UTC).date().isoformat()
    verdict = reproductions.Verdict(found.verdict, found.how, date, markdown(found), as_json(found))
    try:
        run_id = reproductions.log_reproduction(folder, reproduces=found.reproduces, verdict=verdict, uri=uri)
    except TrackingError as error:
        return replace(found, warnings=(*found.warnings, f"the runs are not tagged: {error}"))
    return replace(found, reproduction=run_id)


def _shown(found: Reproduction) -> list[str]:
    logged = [f"in MLflow: run {found.reproduction}, beside the first"] if found.reproduction else []
    return [*text_lines(found), *logged]
