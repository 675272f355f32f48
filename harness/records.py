"""What is known about a finished job, as frozen values: numbers are numbers and fractions, never percent.

N examples, C classes, H height, W width.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.selection import Recommendation

SCHEMA = 2
IDENTITY = "identity"


@dataclass(frozen=True)
class PolicyRecord:
    """One policy's numbers.

    Attributes:
        name: label of the policy; `identity` is the reference.
        aggregation: label of the aggregation, e.g. `mean_probs` or `trimmed_mean_probs(0.2)`.
        views: short names of the views.
        view_keys: the views' full specifications, in the order of `views`.
        passes: forward passes per image on test, the mean.
        metrics: by full name, e.g. `test/accuracy`, `gain/accuracy_lower`, `cost/passes`.
        temperature: the temperature fitted on validation, where one was.
        verdict: on this policy as one of all that were tried; empty for identity.
    """

    name: str
    aggregation: str
    views: tuple[str, ...]
    view_keys: tuple[str, ...]
    passes: float
    metrics: Mapping[str, float]
    temperature: float | None = None
    verdict: str = ""

    def metric(self, name: str) -> float:
        """A metric by its full name, NaN where the policy has no such number."""
        return self.metrics.get(name, math.nan)


@dataclass(frozen=True)
class SplitRecord:
    """A split's digest (64 hex digits), its number of examples, and the digest of its labels alone, where known."""

    digest: str
    count: int
    labels: str = ""


@dataclass(frozen=True)
class DatasetRecord:
    """The data set: name, what was decided about it in sentences, class names, splits by name."""

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, SplitRecord]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelRecord:
    """The model.

    Attributes:
        name: for people.
        kind: the model's kind in the configuration, e.g. `small_cnn` or `checkpoint`.
        digest: SHA-256 over weights and architecture: what came out.
        fingerprint: SHA-256 of what was asked, or None for a checkpoint.
        source: where it came from, e.g. `trained here` or the checkpoint's path.
        input_shape: `(H, W, channels)`.
        num_classes: C.
        output: `logits` or `probs`.
        preprocessing: one line for people.
        trained: True when this job trained it, False when it was found or given.
        path: the `.keras` file, or None where there is none.
    """

    name: str
    kind: str
    digest: str
    fingerprint: str | None
    source: str
    input_shape: tuple[int, int, int]
    num_classes: int
    output: str
    preprocessing: str
    trained: bool
    path: str | None = None


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram's bins: `edges` has one element more than the rest; empty bins hold zeros."""

    edges: tuple[float, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]


@dataclass(frozen=True)
class JobRecord:
    """Everything that is known about a finished job.

    Attributes:
        job_id: the job's fingerprint, 64 hex digits.
        name: short name for people.
        question: one sentence.
        started: ISO 8601 in UTC, e.g. `2025-03-01T12:00:00+00:00`.
        finished: likewise.
        params: few and flat; repeated on every policy's run in the tracker.
        history: training curves, one number per epoch.
        recommendation: the policy chosen on validation and what test says about it.
        job_metrics: numbers of the job as a whole, e.g. `train/seconds`, `cost/passes_computed`.
        reliability: bins by policy name, for identity and the chosen policy.
        reliability_calibrated: the same after each policy's temperature; empty in a record of an earlier version.
        command: the line that runs the job again.
        level: of all intervals.
        verdict_rule: how the policies' verdicts are reached, one sentence.
        provenance: `fit`, `select` and `report`: digests of the ids of the examples that policies were fitted on,
            chosen on and reported on.
        commit: the git commit of the working directory, where there is one.
    """

    job_id: str
    name: str
    question: str
    started: str
    finished: str
    dataset: DatasetRecord
    model: ModelRecord
    seed: int
    policies: tuple[PolicyRecord, ...]
    recommendation: Recommendation
    command: str
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    job_metrics: Mapping[str, float] = field(default_factory=dict)
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    reliability_calibrated: Mapping[str, Reliability] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    study: str | None = None
    sweep: str | None = None
    commit: str | None = None
    level: float = 0.95
    verdict_rule: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    def policy(self, name: str) -> PolicyRecord:
        """The policy called `name`; KeyError where the job has none."""
        found = next((policy for policy in self.policies if policy.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    @property
    def model_name(self) -> str:
        """The model's name on leaderboards, the same for all seeds and data sets."""
        return str(self.params.get("model", self.model.name))

    @property
    def highlighted(self) -> PolicyRecord | None:
        """The policy that pictures look at closely.

        It is the chosen one, or where that is identity the next on validation; None where identity stands alone.
        """
        if self.recommendation.policy != IDENTITY:
            return self.policy(self.recommendation.policy)
        name = f"validation/{self.recommendation.criterion}"
        sign = -1.0 if self.recommendation.criterion == "accuracy" else 1.0
        others = [policy for policy in self.policies if policy.name != IDENTITY and name in policy.metrics]
        return min(others, key=lambda policy: (sign * policy.metrics[name], policy.passes, policy.name), default=None)


@dataclass(frozen=True, eq=False)
class PolicyPredictions:
    """One policy's predictions on the test split, each column `[N]`.

    Attributes:
        ids: the examples' names. nll_calibrated: `nll` after temperature.
        labels: true classes. predicted: most probable classes. confidence: their probabilities.
        nll: negative log-probability of the true class. correct: booleans.
    """

    policy: str
    ids: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    nll: np.ndarray
    correct: np.ndarray
    nll_calibrated: np.ndarray


Cell = str | float | bool | None


@dataclass(frozen=True)
class Table:
    """Numbers that go with a job, beside its leaderboard: written as `tables/<name>.csv`.

    Attributes:
        name: snake_case. columns: headings. rows: one value a column; None where there is none.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
