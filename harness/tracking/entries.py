"""What MLflow is told about a record: tags, params, metrics and data sets. Pure functions."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from harness.json_output import strict
from harness.records import JobRecord, PolicyRecord
from harness.report import leaderboard_columns, leaderboard_rows, markdown_note

DIGEST_LENGTH = 12  # the UI prints all of it, MLflow takes 36
PARAM_LENGTH = 500
NOTE_LENGTH = 8000
TABLE = "leaderboard.json"
LOGGED = "tta.logged"
HEADLINE = ("test/accuracy", "test/nll_calibrated", "test/ece", "gain/accuracy", "gain/accuracy_lower",
            "gain/accuracy_upper", "gain/nll_calibrated", "cost/passes")  # fmt: skip


def job_tags(record: JobRecord, *, tables: Iterable[str] = ()) -> dict[str, str]:
    """The parent run's tags; `tables` are those of its artifacts that are logged tables, beside the leaderboard."""
    logged = json.dumps([{"path": path, "type": "table"} for path in (TABLE, *tables)])
    return {
        **_shared_tags(record),
        "tta.role": "job",
        "tta.chosen": record.recommendation.policy,
        "tta.verdict": record.recommendation.verdict,
        "mlflow.loggedArtifacts": logged,
    }


def finished_tags(record: JobRecord, *, run_id: str, child_runs: int) -> dict[str, str]:
    """What the parent run gets with its last numbers: the note that names its own run, and that it is whole."""
    return {"mlflow.note.content": _note(record, run_id=run_id, child_runs=child_runs), LOGGED: "1"}


def policy_tags(record: JobRecord, *, parent_run_id: str) -> dict[str, str]:
    """A child run's tags."""
    return {**_shared_tags(record), "tta.role": "policy", "mlflow.parentRunId": parent_run_id}


def job_params(record: JobRecord) -> list[Param]:
    """The parent run's params: the job's, and the policy chosen."""
    return _params({**record.params, "chosen": record.recommendation.policy})


def policy_params(record: JobRecord, policy: PolicyRecord) -> list[Param]:
    """A child run's params: the job's repeated, and the policy's."""
    own = {"policy": policy.name, "aggregation": policy.aggregation, "views": " ".join(policy.views)}
    return _params({**record.params, **own, **({"verdict": policy.verdict} if policy.verdict else {})})


def job_metrics(record: JobRecord) -> list[Metric]:
    """The parent run's metrics: the job's numbers, the training curves by epoch, the chosen policy's headline."""
    chosen = record.policy(record.recommendation.policy).metrics
    numbers = {**{name: chosen[name] for name in HEADLINE if name in chosen}, **record.job_metrics}
    curves = [
        Metric(f"train/{name}", rounded(value), milliseconds(record.finished), epoch)
        for name, values in record.history.items()
        for epoch, value in enumerate(values, start=1)
        if math.isfinite(value)
    ]
    return [*metrics(numbers, record.finished), *curves]


def policy_metrics(record: JobRecord, policy: PolicyRecord) -> list[Metric]:
    """A child run's metrics."""
    return metrics(policy.metrics, record.finished)


def dataset_inputs(record: JobRecord, splits: Iterable[str]) -> list[DatasetInput]:
    """The splits as MLflow data sets: the data set's name, the split's digest, the split's name as context."""
    return [
        DatasetInput(
            Dataset(
                name=record.dataset.name,
                digest=record.dataset.splits[name].digest[:DIGEST_LENGTH],
                source_type="local",
                source=json.dumps({"uri": record.dataset.name}),
                profile=json.dumps({"num_rows": record.dataset.splits[name].count}),
            ),
            [InputTag("mlflow.data.context", name)],
        )
        for name in splits
        if name in record.dataset.splits
    ]


def table_json(record: JobRecord) -> str:
    """The leaderboard in the form of MLflow's logged tables, rounded; numbers that are not finite become null."""
    rows = [[rounded(cell) if isinstance(cell, float) else cell for cell in row] for row in leaderboard_rows(record)]
    return json.dumps({"columns": leaderboard_columns(record), "data": strict(rows)}, allow_nan=False)


def rounded(value: float) -> float:
    """Six significant digits, because the UI prints all it is given; whole numbers stay as they are."""
    return value if float(value).is_integer() else float(f"{value:.6g}")


def milliseconds(timestamp: str) -> int:
    """An ISO 8601 time as milliseconds since 1970."""
    return round(1000 * datetime.fromisoformat(timestamp).timestamp())


def run_tags(tags: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow's entities."""
    return [RunTag(name, value) for name, value in tags.items()]


def _shared_tags(record: JobRecord) -> dict[str, str]:
    tags = {
        "tta.fingerprint": record.job_id,
        "tta.model_digest": record.model.digest,
        "tta.schema": str(record.schema),
        "tta.sweep": record.sweep,
        "tta.study": record.study,
        "mlflow.source.name": "harness",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": record.commit,
    }
    return {name: value for name, value in tags.items() if value}


def _note(record: JobRecord, *, run_id: str, child_runs: int) -> str:
    """The note with as many leaderboard rows as MLflow takes."""
    notes = [markdown_note(record, limit=limit, run_id=run_id, child_runs=child_runs) for limit in (10, 5, 2)]
    return next((note for note in notes if len(note) <= NOTE_LENGTH), notes[-1][:NOTE_LENGTH])


def _params(values: Mapping[str, object]) -> list[Param]:
    return [Param(name, _shortened(str(value))) for name, value in values.items()]


def _shortened(text: str) -> str:
    return text if len(text) <= PARAM_LENGTH else text[: PARAM_LENGTH - 2] + " …"


def metrics(values: Mapping[str, float], timestamp: str) -> list[Metric]:
    """Finite numbers only: an infinity ruins every chart of MLflow's."""
    moment = milliseconds(timestamp)
    return [Metric(name, rounded(value), moment, 0) for name, value in values.items() if math.isfinite(value)]
