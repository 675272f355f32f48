"""The story of a job, in order: policies, data, model, plan, missing passes, arithmetic, record, tracker."""

import atexit
import importlib
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from rich.console import Console

from harness import build
from harness.checkpoint_source import input_size
from harness.config import Checkpoint, Config
from harness.cross_fitting import Folds
from harness.errors import DataError, ModelError, TrackingError
from harness.evaluation import Settings
from harness.files import make_folder, rename_damaged
from harness.fingerprint import fingerprint
from harness.inference import run_missing
from harness.job_record import make_record, write_results
from harness.judgement import judge, steps
from harness.model_source import ModelInfo, ModelSource, load_model
from harness.plan import Plan, engine_label, logit_key, make_plan, required_passes
from harness.policies.policy import Policy, required_views
from harness.progress import TrainingBar, pass_bar, plan_lines, step_bar
from harness.record_files import PAGE, PREDICTIONS, RECORD, read_record
from harness.records import JobRecord
from harness.run_conditions import code_conditions, machine_conditions
from harness.selection import choose
from harness.store import INFERENCE_VERSION, LogitStore
from harness.tracking.location import Marker, logged_run, public_uri, resolve_uri, write_marker
from harness.types import Dataset
from harness.views import View

ALONE_TOLERANCE = 1e-3  # float rounding stays a hundred times below it
EVALUATION_VERSION = 4  # raise by hand when a change of our code changes metrics


@dataclass(frozen=True)
class Outcome:
    """What a job came to.

    Attributes:
        folder: where its record is. record: the record.
        trained: models trained by this call. computed: forward passes run by this call.
        run_id: of the parent run, None where nothing is tracked. tracking_error: why the tracker was not written.
    """

    folder: Path
    record: JobRecord
    trained: int
    computed: int
    run_id: str | None = None
    tracking_error: str | None = None


@dataclass(frozen=True)
class Job:
    """A job's parts, built but not run."""

    config: Config
    policies: tuple[Policy, ...]
    dataset: Dataset
    source: ModelSource
    store: LogitStore

    @property
    def engine(self) -> str:
        """The engine's name in the store."""
        return engine_label(self.config.engine, self.config.batch_size)

    @property
    def job_id(self) -> str:
        """Fingerprint of everything that decides the record's numbers: what was asked, not what came out."""
        return fingerprint(
            {
                "versions": [EVALUATION_VERSION, INFERENCE_VERSION],
                "model": self.source.asked,
                "splits": [self.dataset.validation.digest, self.dataset.test.digest],
                "policies": [[one.name, one.spec] for one in self.policies],
                "slices": [[one.name, one.digest] for one in self.dataset.slices],
                "class_names": self.dataset.test.class_names,
                "evaluation": self.config.evaluation.model_dump(),
                "engine": self.engine,
            }
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on how the splits and the list of policies came about."""
        return self.dataset.notes

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the notes that are warnings."""
        return tuple(note.removeprefix("warning: ") for note in self.notes if note.startswith("warning: "))

    @property
    def settings(self) -> Settings:
        """How policies are fitted and compared."""
        node = self.config.evaluation
        return Settings(
            folds=Folds(node.folds, node.repeats, node.seed),
            criterion=node.criterion,
            resamples=node.resamples,
            seed=node.seed,
            level=node.level,
            alpha=node.miscoverage,
            randomised=node.randomised,
        )

    @property
    def folder(self) -> Path:
        """Where the record goes."""
        # A name may come with somebody else's configuration: it is no path.
        name = re.sub(r"[/\\\x00]+", "_", self.source.name)
        return Path(self.config.output) / f"{name}-{self.job_id[:8]}"


def prepare(config: Config) -> Job:
    """Builds a job's parts; a checkpoint is fetched, data are read, nothing is trained or predicted."""
    policies, left_out = build.policies(config)
    if config.tracking.enabled:
        resolve_uri(config.tracking.uri)
    path = _checkpoint_path(config)
    size = None
    if path is not None and getattr(config.dataset, "target_size", ()) is None:
        trust = bool(getattr(config.model, "trust", False))
        size = input_size(path, trust=trust, root=Path(config.store))
    store = LogitStore(Path(config.store))
    data = build.dataset(config, input_size=size)
    data = replace(data, notes=(*data.notes, *left_out))
    return Job(config, policies, data, build.model_source(config, data, path=path), store)


def input_shape(job: Job) -> tuple[int, int, int]:
    """`(H, W, channels)` of the model, as far as it can be known before TensorFlow loads.

    A model that is trained here takes the images as they are; so does a checkpoint that nobody has looked into.
    """
    info = job.source.cached() if isinstance(job.config.model, Checkpoint) else None
    return info.input_shape if info else job.dataset.test.images.shape


def finished_record(folder: Path) -> JobRecord | None:
    """The record of a job that is done; a damaged one, or one of another version, is set aside and counts as none."""
    if not all((folder / name).exists() for name in (RECORD, PREDICTIONS)):
        return None
    try:
        return read_record(folder)
    except DataError as error:
        rename_damaged(folder / RECORD)
        warnings.warn(f"record set aside, the job is evaluated again: {error}", stacklevel=2)
        return None


def plan(job: Job, info: ModelInfo | None) -> Plan:
    """What the job will cost, given what is known of its model."""
    digest = info.digest if info else None
    return make_plan(job.policies, dataset=job.dataset, store=job.store, model_digest=digest, engine=job.engine)


def run(config: Config, *, console: Console, command: str, sweep: str | None = None) -> Outcome:
    """Runs one job, or what is left of it, and returns what it came to.

    Args:
        config: the job.
        console: for progress and notes.
        command: the line that runs this job again; kept with the record.
        sweep: shared by the jobs of a multirun.

    Raises:
        HarnessError: one line for people, for everything that they can mend.
    """
    started = datetime.now(UTC)
    job = prepare(config)
    _say(console, job.notes)
    # Said now rather than after the training.
    job.settings.folds.require(len(job.dataset.validation))
    make_folder(job.store.root)
    make_folder(job.folder)
    # The lock dies with its owner; a second process that asks for the same job waits, then finds it done.
    with filelock.FileLock(job.folder / ".lock"):
        finished = finished_record(job.folder)
        if finished is not None:
            _draw(job)
            return _track(Outcome(job.folder, finished, 0, 0), config)
        info = _model(job, console)
        record = _evaluate(job, info, console, started=started, command=command, sweep=sweep)
        _draw(job)
    trained = int(not info.from_cache and info.fingerprint is not None)
    return _track(Outcome(job.folder, record, trained, int(record.job_metrics["cost/passes_computed"])), config)


def _model(job: Job, console: Console) -> ModelInfo:
    """The job's model, trained where it has to be; the plan is said before, what was noticed after."""
    info = job.source.cached()
    _say(console, plan_lines(plan(job, info)))
    if not isinstance(job.config.model, Checkpoint):
        _check_views(job, input_shape(job)[:2])
    if info is None:
        with TrainingBar(console, job.source.name) as bar:
            info = job.source.obtain(bar)
    _check_views(job, info.input_shape[:2])
    _say(console, [*info.notes, *(f"warning: {text}" for text in info.warnings)])
    return info


def _evaluate(
    job: Job, info: ModelInfo, console: Console, *, started: datetime, command: str, sweep: str | None
) -> JobRecord:
    """Runs the missing passes, fits and scores the policies, and writes the record and all that goes with it."""
    config = job.config
    logits, costs, notes = _logits(job, info, console)
    with step_bar(console, "policies", steps(job.policies, job.dataset), done="fitted and scored") as advance:
        evaluation, findings = judge(
            job.policies,
            job.dataset,
            logits,
            settings=job.settings,
            training=None if info.fingerprint is None else config.augmentation.model_dump(),
            input_size=info.input_shape[:2],
            advance=advance,
        )
    record = make_record(
        job_id=job.job_id,
        name=job.source.name,
        config=config,
        dataset=job.dataset,
        info=info,
        evaluation=evaluation,
        recommendation=choose(evaluation.results, criterion=config.evaluation.criterion),
        numbers={**costs, **findings.numbers},
        of_policies=findings.of_policies,
        warnings=(*job.warnings, *_company(costs), *findings.warnings),
        started=started,
        command=command,
        sweep=sweep,
        conditions=_conditions(notes),
    )
    if config.tracking.enabled:
        uri = public_uri(resolve_uri(config.tracking.uri))
        write_marker(job.folder, Marker("pending", uri, config.tracking.experiment))
    write_results(
        job.folder,
        record,
        evaluation,
        config=config,
        test=job.dataset.test,
        logits={view: found for (split, view), found in logits.items() if split == "test"},
        size=info.input_shape[:2],
        tables=findings.tables,
    )
    return record


def _logits(
    job: Job, info: ModelInfo, console: Console
) -> tuple[Mapping[tuple[str, View], np.ndarray], dict[str, float], Sequence[Mapping[str, Any]]]:
    """The logits of every pass, after the missing ones were run; what that cost; what the side files say of each."""
    passes = required_passes(job.policies, job.dataset)
    keys = {item: logit_key(item, dataset=job.dataset, model_digest=info.digest, engine=job.engine) for item in passes}
    missing = [key for key in keys.values() if key not in job.store]
    load = partial(
        load_model,
        info,
        job.dataset.validation,
        trust=isinstance(job.config.model, Checkpoint) and job.config.model.trust,
        engine=job.config.engine,
        batch_size=job.config.batch_size,
    )
    computed = 0
    # Twice: the second round computes again what turned out to be damaged when it was read.
    for _ in range(2):
        with pass_bar(console, plan(job, info)) as bar:
            computed += run_missing(
                keys,
                {item.split: job.dataset.split(item.split) for item in passes},
                store=job.store,
                load_model=load,
                batch_size=job.config.batch_size,
                advance=bar.advance,
            )
        found = {(item.split, item.view): job.store.get(key) for item, key in keys.items()}
        logits = {key: value for key, value in found.items() if value is not None}
        if len(logits) == len(found):
            notes = {key: job.store.note(key) for key in keys.values()}
            costs = _costs([notes[key] for key in missing], passes=len(passes), computed=computed)
            return logits, costs | _noted(notes[keys[passes[0]]]), list(notes.values())
    raise ModelError("logits in the store were damaged twice in a row: check the disk under `store`")


def _draw(job: Job) -> None:
    """Pictures and page of a finished job, where they are missing: all is drawn from its folder.

    Altair keeps hold of the frames that call it, until garbage is collected: they shall hold no open files.
    """
    if not (job.folder / PAGE).exists():
        # Imported when there is something to draw: a plan, or a job that is there already, needs no library for it.
        importlib.import_module("harness.page.job").write_page(job.folder, cache=job.store.root)


def _conditions(notes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    code = code_conditions(evaluation=EVALUATION_VERSION, inference=INFERENCE_VERSION)
    return code | machine_conditions(notes)


def _company(numbers: Mapping[str, float]) -> list[str]:
    """A sentence where the model does not treat each image by itself."""
    difference = numbers.get("probe/alone_difference", 0.0)
    if difference <= ALONE_TOLERANCE:
        return []
    return [
        f"the model gives an image alone other logits than in a batch (off by {difference:.2g} of the largest): "
        "its predictions depend on the company; look for layers that mix examples"
    ]


def _noted(note: Mapping[str, Any]) -> dict[str, float]:
    """What the side file of identity's pass says about the model: rounding of a fast engine, an image alone."""
    found = {f"cost/{name}": float(value) for name, value in note.items() if name.startswith("fast_")}
    alone = note.get("alone_difference")
    return found if alone is None else found | {"probe/alone_difference": float(alone)}


def _costs(notes: Sequence[Mapping[str, Any]], *, passes: int, computed: int) -> dict[str, float]:
    """What the passes cost: `notes` are the side files of those that were missing when the job began."""
    costs: dict[str, float] = {
        "cost/passes_required": passes,
        "cost/passes_from_store": max(passes - computed, 0),
        "cost/passes_computed": computed,
    }
    seconds = sum(float(note["seconds"]) for note in notes)
    if seconds > 0:
        costs["cost/examples_per_second"] = sum(int(note["shape"][0]) for note in notes) / seconds
    return costs


def _check_views(job: Job, size: tuple[int, int]) -> None:
    """Makes every view of one image, so that one that does not fit the images is said before time is spent.

    Raises:
        DataError: as the view does.
    """
    image = np.zeros((1, *job.dataset.test.images.shape), np.uint8)
    for view in required_views(job.policies):
        view(image, np.zeros(1, np.int64), size=size)


def _track(outcome: Outcome, config: Config) -> Outcome:
    """Writes a finished record to the tracker; what goes wrong there is said and can be made good by `harness sync`."""
    if not config.tracking.enabled:
        return outcome
    uri, experiment = resolve_uri(config.tracking.uri), config.tracking.experiment
    known = logged_run(outcome.folder, uri=uri, experiment=experiment)
    if known is not None:
        return replace(outcome, run_id=known)
    # Imported when there is something to log: mlflow takes more than a second.
    jobs = importlib.import_module("harness.tracking.jobs")
    how = {"child_runs": config.tracking.child_runs, "arranged": config.tracking.arrange}
    try:
        return replace(outcome, run_id=jobs.log_job(outcome.folder, uri=uri, experiment=experiment, **how))
    except TrackingError as error:
        return replace(outcome, tracking_error=str(error))


def _checkpoint_path(config: Config) -> Path | None:
    """The local path of a checkpoint, fetched from the tracker where it lies there.

    Raises:
        ModelError: where there is nothing.
    """
    node = config.model
    if not isinstance(node, Checkpoint):
        return None
    if node.path.startswith(("models:/", "runs:/")):
        reading = importlib.import_module("harness.tracking.reading")
        folder = Path(tempfile.mkdtemp(prefix="harness-model-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        fetched: Path = reading.download_model(node.path, uri=resolve_uri(config.tracking.uri), folder=folder)
        return fetched
    path = Path(node.path).expanduser()
    if not path.exists():
        raise ModelError(f"no checkpoint at {path}: model.path takes a .keras or .h5 file or a SavedModel folder")
    return path


def _say(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
