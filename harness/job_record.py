"""From what a job has found to its record, and the files that go with it."""

import importlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml

from harness import __version__
from harness.config import Checkpoint, Config
from harness.evaluation import Evaluation, PolicyResult
from harness.metrics import reliability_bins
from harness.model_source import ModelInfo
from harness.record_files import write_job, write_text
from harness.records import (
    DatasetRecord,
    JobRecord,
    ModelRecord,
    PolicyPredictions,
    PolicyRecord,
    Reliability,
    SplitRecord,
)
from harness.report import write_leaderboard_csv
from harness.selection import Recommendation
from harness.tracking.location import public_uri
from harness.types import Dataset, Split

# What the numbers may depend on; written with every record, compared by `harness reproduce`.
PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scipy", "pillow", "scikit-learn", "mlflow", "hydra-core")


def make_record(
    *,
    job_id: str,
    name: str,
    config: Config,
    dataset: Dataset,
    info: ModelInfo,
    evaluation: Evaluation,
    recommendation: Recommendation,
    costs: Mapping[str, float],
    started: datetime,
    command: str,
    sweep: str | None,
) -> JobRecord:
    """Everything that is known about a finished job, as one frozen value."""
    shown = {"identity", recommendation.policy}
    return JobRecord(
        job_id=job_id,
        name=name,
        question=config.question,
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=_dataset_record(dataset),
        model=_model_record(info),
        seed=config.seed,
        policies=tuple(policy_record(result) for result in evaluation.results),
        recommendation=recommendation,
        command=public_uri(command),
        params=_params(config, dataset, info),
        history=info.history or {},
        job_metrics={
            "train/seconds": info.seconds,
            "cost/model_from_cache": float(info.from_cache),
            **costs,
        },
        reliability={
            result.policy.name: _reliability(result) for result in evaluation.results if result.policy.name in shown
        },
        warnings=info.warnings,
        versions=versions(),
        study=config.study,
        sweep=sweep,
        commit=_commit(),
        level=evaluation.level,
    )


def policy_record(result: PolicyResult) -> PolicyRecord:
    """A policy's numbers under their full names."""
    metrics = {f"test/{name}": value for name, value in result.test.items()}
    metrics |= {f"validation/{name}": value for name, value in result.validation.items()}
    for name, gain in result.gains.items():
        metrics[f"gain/{name}"] = gain.value
        metrics |= {f"gain/{name}_lower": gain.lower, f"gain/{name}_upper": gain.upper}
    metrics |= {
        "gain/p_value": result.p_value,
        "gain/p_value_adjusted": result.p_value_adjusted,
        "gain/corrected": float(result.corrected),
        "gain/corrupted": float(result.corrupted),
        "cost/views": float(len(result.policy.views)),
        "cost/passes": float(len(result.policy.views)),
    }
    return PolicyRecord(
        name=result.policy.name,
        aggregation=result.policy.aggregation,
        views=tuple(view.name for view in result.policy.views),
        view_keys=tuple(view.key for view in result.policy.views),
        passes=len(result.policy.views),
        metrics=metrics,
        temperature=result.temperature,
    )


def write_results(folder: Path, record: JobRecord, evaluation: Evaluation, *, config: Config, test: Split) -> None:
    """Writes the record and everything beside it; `record.json` comes last and says that the job is complete.

    Raises:
        StoreError: where the folder cannot be written.
    """
    write_text(folder / "config.yaml", config_text(config))
    write_text(folder / "environment.txt", "".join(f"{name}=={text}\n" for name, text in record.versions.items()))
    write_leaderboard_csv(record, folder / "leaderboard.csv")
    # Imported when there is something to draw: a plan needs no matplotlib.
    importlib.import_module("harness.plots").write_plots(record, folder / "plots")
    write_job(folder, record, predictions=_predictions(evaluation, test.labels), files=test.files)


def config_text(config: Config) -> str:
    """The complete configuration as YAML: data, enough to run the job again; without passwords."""
    tree = config.model_dump(mode="json")
    if config.tracking.uri:
        tree["tracking"]["uri"] = public_uri(config.tracking.uri)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def versions() -> dict[str, str]:
    """Versions of what the numbers may depend on."""
    found = {"python": platform.python_version(), "tta-harness": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "machine": f"{platform.system()}-{platform.machine()}"}


def _predictions(evaluation: Evaluation, labels: np.ndarray) -> Iterator[PolicyPredictions]:
    for result in evaluation.results:
        scores = result.scores
        yield PolicyPredictions(
            policy=result.policy.name,
            labels=labels,
            predicted=scores.predicted,
            confidence=scores.confidence,
            nll=scores.nll,
            correct=scores.correct,
        )


def _dataset_record(dataset: Dataset) -> DatasetRecord:
    splits = [split for split in (dataset.train, dataset.validation, dataset.test) if split is not None]
    return DatasetRecord(
        name=dataset.name,
        class_names=dataset.test.class_names,
        splits={split.name: SplitRecord(split.digest, len(split)) for split in splits},
        notes=dataset.notes,
    )


def _model_record(info: ModelInfo) -> ModelRecord:
    return ModelRecord(
        name=info.name,
        kind=info.kind,
        digest=info.digest,
        fingerprint=info.fingerprint,
        source=info.source,
        input_shape=info.input_shape,
        num_classes=info.num_classes,
        output=info.output,
        preprocessing=info.preprocessing.describe(),
        trained=not info.from_cache,
        path=str(info.path.absolute()) if info.path.suffix == ".keras" else None,
    )


def _params(config: Config, dataset: Dataset, info: ModelInfo) -> dict[str, str | int | float]:
    node = config.model
    return {
        "dataset": dataset.name,
        "model": info.name if isinstance(node, Checkpoint) else str(node.arguments.get("name", info.kind)),
        "seed": config.seed,
        "augmentation": config.augmentation.kind if info.fingerprint else "unknown",
        **({"epochs": len(next(iter((info.history or {}).values()), ()))} if info.fingerprint else {}),
        "engine": config.engine,
        "criterion": config.evaluation.criterion,
    }


def _reliability(result: PolicyResult) -> Reliability:
    bins = reliability_bins(result.scores)
    return Reliability(
        edges=tuple(bins.edges.tolist()),
        confidence=tuple(np.nan_to_num(bins.confidence).tolist()),
        accuracy=tuple(np.nan_to_num(bins.accuracy).tolist()),
        count=tuple(bins.count.tolist()),
    )


def _commit() -> str | None:
    """The git commit of the working directory, where there is one."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
