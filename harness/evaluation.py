"""From stored logits to what is said about every policy: metrics, paired gains, significance.

Everything that is fitted is fitted on validation. Test labels reach scores, gains and tests of significance only:
`_fit` has no way to see them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.calibration import calibrated_nll, fit_temperature
from harness.errors import ConfigError, DataError, ModelError
from harness.intervals import paired_intervals
from harness.metrics import ExampleScores, example_scores, summary
from harness.policies.aggregation import Aggregation, aggregation
from harness.policies.policy import Policy, with_identity
from harness.significance import holm, mcnemar_exact
from harness.types import Estimate, Predictions
from harness.views import View

LogitSource = Callable[[str, View], np.ndarray]
"""The logits `[N, C]` float32, possibly memory-mapped, of a split (by name) under a view."""

GAINS = ("accuracy", "nll", "nll_calibrated")
"""What is compared with identity, example by example; all gains are positive where the policy is better."""

_BLOCK = 1 << 15  # logits that are aggregated at once: float64 blocks that stay in the processor's cache


@dataclass(frozen=True, eq=False)
class PolicyResult:
    """What is known about one policy.

    Attributes:
        policy: the policy.
        temperature: fitted on validation; used for `nll_calibrated` on both splits.
        validation: accuracy, top5_accuracy (C > 5), nll, nll_calibrated, brier, ece on validation.
            There nll_calibrated is in-sample: its one parameter was fitted on the same examples.
        test: the same on test, with the temperature from validation.
        gains: accuracy, nll and nll_calibrated gain over identity on test, each with its paired interval.
            Positive is better for all: identity's NLL minus the policy's, for nll_calibrated each after its own
            temperature.
        corrected: test examples that identity gets wrong and the policy right.
        corrupted: the reverse.
        p_value: exact two-sided McNemar p of corrected against corrupted.
        p_value_adjusted: the same after Holm over all policies of the job but identity, for which both are one.
        scores: the scores of each test example.
        nll_calibrated: `[N]` float64, the NLL of each test example after temperature.
    """

    policy: Policy
    temperature: float
    validation: Mapping[str, float]
    test: Mapping[str, float]
    gains: Mapping[str, Estimate]
    corrected: int
    corrupted: int
    p_value: float
    p_value_adjusted: float
    scores: ExampleScores
    nll_calibrated: np.ndarray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of a job: identity first, then the policies in the order given.

    Attributes:
        results: one per policy.
        resamples, seed, level: how the intervals were made.
    """

    results: tuple[PolicyResult, ...]
    resamples: int
    seed: int
    level: float

    @property
    def identity(self) -> PolicyResult:
        """The reference of every gain."""
        return self.results[0]

    def result(self, name: str) -> PolicyResult:
        """The result of the policy called `name`.

        Raises:
            KeyError: where there is none.
        """
        return {result.policy.name: result for result in self.results}[name]


@dataclass(frozen=True, eq=False)
class _Scored:
    """One policy's own numbers, before it is compared with identity."""

    policy: Policy
    temperature: float
    validation: Mapping[str, float]
    scores: ExampleScores
    nll_calibrated: np.ndarray

    def columns(self) -> np.ndarray:
        """`[N, 3]` float64 per-example utilities in the order of `GAINS`: larger is better."""
        return np.stack([self.scores.correct.astype(np.float64), -self.scores.nll, -self.nll_calibrated], axis=1)


def predict_policy(
    policy: Policy, logits_of: Callable[[View], np.ndarray], labels: np.ndarray, *, block: int = _BLOCK
) -> Predictions:
    """The policy's predictions from its views' logits, a block of examples at a time.

    Only the `[N, C]` result is held in memory; the views' logits are read from where they are.

    Args:
        policy: its aggregation is applied to its views in their order.
        logits_of: a view to its logits `[N, C]` float32, possibly memory-mapped.
        labels: `[N]` integers in [0, C).
        block: about how many logits (over views, examples and classes) are worked on at once; changes no result.

    Raises:
        DataError: for views whose logits differ in shape, or a number of examples that differs from the labels'.
        ModelError: for logits that are not finite.
        ConfigError: for an aggregation (of another package) that does not return finite log-probabilities `[n, C]`.
    """
    # Plain arrays over the same memory: slicing a memmap object is many times slower.
    views = [np.asarray(logits_of(view)) for view in policy.views]
    examples, classes = _common_shape(policy, views, len(labels))
    combine = aggregation(policy.aggregation)
    log_probs = np.empty((examples, classes))
    step = max(1, block // (len(views) * classes))
    for start in range(0, examples, step):
        stacked = np.stack([logits[start : start + step] for logits in views])
        log_probs[start : start + step] = _aggregated(policy, combine, stacked)
    try:
        return Predictions(log_probs, np.asarray(labels, np.int64))
    except ValueError as error:
        raise ConfigError(f"aggregation {policy.aggregation!r} must return log-probabilities: {error}") from error


def _common_shape(policy: Policy, views: Sequence[np.ndarray], labels: int) -> tuple[int, int]:
    shapes = {logits.shape for logits in views}
    if len(shapes) != 1 or any(len(shape) != 2 for shape in shapes):
        raise DataError(f"policy {policy.name!r}: its views' logits need one shape [N, C], got {sorted(shapes)}")
    examples, classes = shapes.pop()
    if examples != labels:
        raise DataError(f"policy {policy.name!r}: logits of {examples} examples but {labels} labels")
    return examples, classes


def _aggregated(policy: Policy, combine: Aggregation, stacked: np.ndarray) -> np.ndarray:
    finite = np.isfinite(stacked).all(axis=(1, 2))
    if not finite.all():
        view = policy.views[int(np.argmin(finite))]
        raise ModelError(f"the model's logits under view {view.name} are not all finite numbers; check its weights")
    found = combine(stacked)
    if found.shape != stacked.shape[1:] or not np.isfinite(found).all():
        raise ConfigError(
            f"aggregation {policy.aggregation!r} must return finite log-probabilities {stacked.shape[1:]}, "
            f"got {found.shape}"
        )
    return found


def evaluate(
    policies: Sequence[Policy],
    logits: LogitSource,
    labels: Mapping[str, np.ndarray],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Evaluation:
    """Everything about the policies and identity, from stored logits of `validation` and `test`.

    Args:
        policies: in the order wanted; identity is added in front where it is missing.
        logits: asked for the splits `validation` and `test` under every view of the policies and identity.
        labels: `[N]` integers of `validation` and of `test`.
        resamples: B of the paired bootstrap, one stream shared by all policies.
        seed: of the bootstrap.
        level: of the intervals.

    Raises:
        ConfigError, DataError, ModelError: as `with_identity` and `predict_policy`.
    """
    scored = [_scored(policy, logits, labels) for policy in with_identity(policies)]
    return Evaluation(_compared(scored, resamples=resamples, seed=seed, level=level), resamples, seed, level)


def _scored(policy: Policy, logits: LogitSource, labels: Mapping[str, np.ndarray]) -> _Scored:
    """One policy fitted on validation, then scored on test; its predictions are let go on return."""
    temperature, validation = _fit(policy, lambda view: logits("validation", view), labels["validation"])
    predictions = predict_policy(policy, lambda view: logits("test", view), labels["test"])
    after = calibrated_nll(predictions.log_probs, predictions.labels, temperature=temperature)
    return _Scored(policy, temperature, validation, example_scores(predictions), after)


def _fit(policy: Policy, logits_of: Callable[[View], np.ndarray], labels: np.ndarray) -> tuple[float, dict[str, float]]:
    """The temperature, and the metrics, of one policy on validation."""
    predictions = predict_policy(policy, logits_of, labels)
    temperature = fit_temperature(predictions.log_probs, predictions.labels)
    after = calibrated_nll(predictions.log_probs, predictions.labels, temperature=temperature)
    return temperature, summary(example_scores(predictions)) | {"nll_calibrated": float(after.mean())}


def _compared(scored: Sequence[_Scored], *, resamples: int, seed: int, level: float) -> tuple[PolicyResult, ...]:
    identity = scored[0]
    gains = _gains(scored, resamples=resamples, seed=seed, level=level)
    corrected = [int((one.scores.correct & ~identity.scores.correct).sum()) for one in scored]
    corrupted = [int((~one.scores.correct & identity.scores.correct).sum()) for one in scored]
    p_values = [mcnemar_exact(up, down) for up, down in zip(corrected, corrupted, strict=True)]
    adjusted = (1.0, *holm(p_values[1:]))
    return tuple(
        PolicyResult(
            policy=one.policy,
            temperature=one.temperature,
            validation=one.validation,
            test=summary(one.scores) | {"nll_calibrated": float(one.nll_calibrated.mean())},
            gains=gains[i],
            corrected=corrected[i],
            corrupted=corrupted[i],
            p_value=p_values[i],
            p_value_adjusted=adjusted[i],
            scores=one.scores,
            nll_calibrated=one.nll_calibrated,
        )
        for i, one in enumerate(scored)
    )


def _gains(scored: Sequence[_Scored], *, resamples: int, seed: int, level: float) -> list[dict[str, Estimate]]:
    """Each policy's gains over the first, by name; one bootstrap over the columns of all of them."""
    reference = scored[0].columns()
    columns = np.concatenate([one.columns() - reference for one in scored], axis=1)
    found = paired_intervals(columns, resamples=resamples, seed=seed, level=level)
    width = len(GAINS)
    return [dict(zip(GAINS, found[i : i + width], strict=True)) for i in range(0, len(found), width)]
