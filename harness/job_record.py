"""From what a job has found to its record, and the files that go with it."""

import importlib.metadata
import json
import math
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from harness import __version__
from harness.config import Checkpoint, Config
from harness.contact_sheet import write_contact_sheet
from harness.cross_fitting import FittedPolicy
from harness.evaluation import GAINS, Evaluation, PolicyResult
from harness.fingerprint import array_digest, canonical
from harness.frames import write_frame
from harness.gallery import make_gallery, write_gallery
from harness.hardest import hardest_images, logged_table
from harness.model_source import ModelInfo
from harness.policies.policy import IDENTITY_POLICY, required_views
from harness.record_files import (
    CONFIG,
    ENVIRONMENT,
    FITTED,
    FRAME,
    HARDEST,
    LEADERBOARD,
    PLOTS,
    write_job,
    write_table,
    write_text,
)
from harness.records import (
    DatasetRecord,
    JobRecord,
    ModelRecord,
    PolicyPredictions,
    PolicyRecord,
    Reliability,
    SplitRecord,
    Table,
)
from harness.reliability import equal_width_edges, reliability_between
from harness.report import write_leaderboard_csv
from harness.selection import Recommendation, verdict_rule
from harness.tracking.location import public_uri
from harness.types import Dataset, Split
from harness.views import View

# What the numbers may depend on; written with every record, compared by `harness reproduce`.
PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "scipy", "pillow", "scikit-learn", "mlflow", "hydra-core")

VIEWS_PICTURE = "views.png"
SHOWN_VIEWS, SHOWN_IMAGES = 24, 4
"""Of the picture of the views: the first of them, on so many test images; `harness show` draws them all."""


def make_record(
    *,
    job_id: str,
    name: str,
    config: Config,
    dataset: Dataset,
    info: ModelInfo,
    evaluation: Evaluation,
    recommendation: Recommendation,
    numbers: Mapping[str, float],
    of_policies: Mapping[str, Mapping[str, float]],
    warnings: Sequence[str],
    started: datetime,
    command: str,
    sweep: str | None,
    conditions: Mapping[str, str],
) -> JobRecord:
    """Everything that is known about a finished job, as one frozen value; `conditions` join its versions."""
    shown = [result for result in evaluation.results if result.policy.name in ("identity", recommendation.policy)]
    return JobRecord(
        job_id=job_id,
        name=name,
        question=config.question,
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=_dataset_record(dataset),
        model=_model_record(info),
        seed=config.seed,
        policies=tuple(policy_record(result, of_policies.get(result.policy.name, {})) for result in evaluation.results),
        recommendation=recommendation,
        command=public_uri(command),
        params=_params(config, dataset, info),
        history=info.history or {},
        job_metrics={
            "train/seconds": info.seconds,
            "cost/model_from_cache": float(info.from_cache),
            **numbers,
        },
        reliability={one.policy.name: _reliability(one, one.scores.confidence) for one in shown},
        reliability_calibrated={one.policy.name: _reliability(one, one.confidence_calibrated) for one in shown},
        warnings=(*info.warnings, *warnings),
        versions={**versions(), **conditions},
        study=config.study,
        sweep=sweep,
        commit=_commit(),
        level=evaluation.settings.level,
        verdict_rule=_verdict_rule(evaluation),
        provenance=asdict(evaluation.identity.provenance),
    )


def _verdict_rule(evaluation: Evaluation) -> str:
    """Empty where identity stands alone."""
    settings, tried = evaluation.settings, evaluation.tried
    return verdict_rule(settings.criterion, tried=tried, level=settings.level) if tried else ""


def policy_record(result: PolicyResult, more: Mapping[str, float]) -> PolicyRecord:
    """A policy's numbers under their full names, and what was found beside the evaluation."""
    return PolicyRecord(
        name=result.policy.name,
        aggregation=result.policy.aggregation.label(),
        views=tuple(view.name for view in result.policy.views),
        view_keys=tuple(view.key for view in result.policy.views),
        passes=float(result.passes_per_image.mean()),
        metrics={**_metrics(result), **more},
        temperature=result.temperature,
        verdict="" if result.policy == IDENTITY_POLICY else result.verdict,
    )


def _metrics(result: PolicyResult) -> dict[str, float]:
    passes = result.passes_per_image
    metrics = {f"test/{name}": value for name, value in result.test.items()}
    metrics |= {f"validation/{name}": value for name, value in result.validation.items()}
    for name, gain in result.gains.items():
        metrics |= {f"gain/{name}": gain.value, f"gain/{name}_lower": gain.lower, f"gain/{name}_upper": gain.upper}
    for name, error in result.calibration.items():
        metrics |= {f"test/{name}_lower": error.lower, f"test/{name}_upper": error.upper}
    for name in GAINS:
        suffix = "p_value" if name == "accuracy" else f"{name}_p_value"
        metrics |= {
            f"gain/{suffix}": result.p_values[name],
            f"gain/{suffix}_adjusted": result.p_values_adjusted[name],
            f"gain/{suffix}_bh": result.p_values_bh[name],
        }
    for name, sets in result.conformal.items():
        metrics |= {
            f"conformal/{name}_coverage": sets.coverage,
            f"conformal/{name}_size": sets.mean_size,
            f"conformal/{name}_worst_class_coverage": sets.worst_class_coverage,
        }
    return metrics | {
        "gain/corrected": float(result.corrected),
        "gain/corrupted": float(result.corrupted),
        # How much better a policy looked where it was chosen than where it is judged.
        "optimism/accuracy": result.validation["accuracy"] - result.test["accuracy"],
        "optimism/nll_calibrated": result.test["nll_calibrated"] - result.validation["nll_calibrated"],
        "cost/views": float(len(result.policy.views)),
        "cost/passes": float(passes.mean()),
        "cost/passes_p95": float(np.quantile(passes, 0.95, method="higher")),
        "cost/passes_max": float(passes.max()),
    }


def write_results(
    folder: Path,
    record: JobRecord,
    evaluation: Evaluation,
    *,
    config: Config,
    test: Split,
    logits: Mapping[View, np.ndarray],
    size: tuple[int, int],
    tables: Sequence[Table] = (),
) -> None:
    """Writes the record and everything beside it; `record.json` comes last and says that the job is complete.

    Args:
        folder: the job's.
        record: the job.
        evaluation: what predictions, and what was learned, are written from.
        config: the complete configuration.
        test: the images of the gallery.
        logits: `[N, C]` of test by view.
        size: (H, W) of the model.
        tables: what was found beside the leaderboard.

    Raises:
        StoreError: where the folder cannot be written.
    """
    write_text(folder / CONFIG, config_text(config))
    write_text(folder / ENVIRONMENT, "".join(f"{name}=={text}\n" for name, text in record.versions.items()))
    write_leaderboard_csv(record, folder / LEADERBOARD)
    write_frame(record, folder / FRAME)
    write_text(folder / FITTED, json.dumps({one.policy.name: fitted_spec(one) for one in evaluation.fitted}) + "\n")
    for table in tables:
        write_table(folder, table)
    write_text(folder / HARDEST, logged_table(hardest_images(evaluation, record.recommendation.policy, test)))
    if record.highlighted is not None:
        policy = evaluation.result(record.highlighted.name)
        write_gallery(folder, *make_gallery(evaluation.identity, policy, test, logits, size=size))
    views = required_views([one.policy for one in evaluation.fitted])[:SHOWN_VIEWS]
    write_contact_sheet(folder / PLOTS / VIEWS_PICTURE, test, views, size=size, images=SHOWN_IMAGES)
    write_job(folder, record, predictions=_predictions(evaluation, test))


def fitted_spec(fitted: FittedPolicy) -> dict[str, Any]:
    """A fitted policy as plain data: what it does, what it learned, its temperature, how its conformal sets are made.

    A threshold is None where every set holds all classes.
    """
    learned = canonical(fitted.fitted.parameters())
    conformal = {
        "thresholds": {
            name: value if math.isfinite(value) else None for name, value in fitted.conformal.thresholds.items()
        },
        "temperature": fitted.conformal.temperature,
        "learned": canonical(fitted.conformal.fitted.parameters()),
        "randomised": fitted.conformal.randomised,
    }
    return {**fitted.policy.spec, "learned": learned, "temperature": fitted.temperature, "conformal": conformal}


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


def _predictions(evaluation: Evaluation, test: Split) -> Iterator[PolicyPredictions]:
    for result in evaluation.results:
        scores = result.scores
        yield PolicyPredictions(
            policy=result.policy.name,
            ids=test.ids,
            labels=test.labels,
            predicted=scores.predicted,
            confidence=scores.confidence,
            nll=scores.nll,
            correct=scores.correct,
            nll_calibrated=result.nll_calibrated,
        )


def _dataset_record(dataset: Dataset) -> DatasetRecord:
    splits = [one for one in (dataset.train, dataset.validation, dataset.test, *dataset.slices) if one is not None]
    return DatasetRecord(
        name=dataset.name,
        class_names=dataset.test.class_names,
        splits={split.name: SplitRecord(split.digest, len(split), array_digest(split.labels)) for split in splits},
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


def _reliability(result: PolicyResult, confidence: np.ndarray) -> Reliability:
    bins = reliability_between(confidence, result.scores.correct, edges=equal_width_edges())
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
