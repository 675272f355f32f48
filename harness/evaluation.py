"""From stored logits to what is said about every policy: metrics, paired gains, significance, verdict.

Everything that is fitted is fitted on validation, by `harness.cross_fitting`, which has no way to see test. What is
fitted is frozen before the first test label is read: test labels reach scores, gains and tests of significance only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from harness.calibration import apply_temperature, calibrated_scores
from harness.conformal import ConformalSets, conformal_sets
from harness.cross_fitting import SAME, FittedPolicy, Folds, fit_policies
from harness.errors import DataError, ModelError
from harness.firewall import Examples, Provenance, require_disjoint
from harness.intervals import paired_intervals
from harness.literature import paper_calibrated_nll
from harness.metrics import ExampleScores, example_scores, summary
from harness.policies.linear_temperatures import Criterion
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy, required_views, with_identity
from harness.prediction import predict
from harness.reliability import classwise_brier_decomposition, classwise_calibration_error
from harness.reliability_intervals import ece_intervals
from harness.selection import Verdict, verdict_of
from harness.significance import benjamini_hochberg, holm, mcnemar_exact, paired_t
from harness.types import Estimate, Predictions
from harness.views import View

LogitSource = Callable[[str, View], np.ndarray]
"""The logits `[N, C]` float32, possibly memory-mapped, of a split (by name) under a view."""

GAINS = ("accuracy", "nll", "nll_calibrated")
"""What is compared with identity, example by example; all gains are positive where the policy is better."""


@dataclass(frozen=True)
class Settings:
    """How policies are fitted and compared.

    Attributes:
        folds: how validation is divided for the scores that policies are chosen by.
        criterion: one of `harness.selection.CRITERIA`.
        resamples, seed, level: B, the seed and the level of the paired bootstrap.
        alpha: conformal sets miss the label with at most this probability.
        randomised: whether conformal sets are.
    """

    folds: Folds = Folds()  # noqa: RUF009 - frozen
    criterion: Criterion = "nll_calibrated"
    resamples: int = 2000
    seed: int = 0
    level: float = 0.95
    alpha: float = 0.1
    randomised: bool = False


@dataclass(frozen=True, eq=False)
class PolicyResult:
    """What is known about one policy.

    Attributes:
        fitted: the policy with what it learned on validation, its temperature, and its validation metrics.
        test: the metrics on test, `nll_calibrated` with the temperature from validation.
        passes_per_image: `[N]` int64 on test.
        gains: accuracy, nll and nll_calibrated gain over identity on test, each with its paired interval.
            Positive is better for all: identity's NLL minus the policy's, for nll_calibrated each after its own
            temperature.
        corrected: test examples that identity gets wrong and the policy right.
        corrupted: the reverse.
        p_values: two-sided, of each gain: exact McNemar for accuracy, a paired t test for the others.
        p_values_adjusted: the same after Holm over all policies tried; one for identity, as above.
        p_values_bh: the same after Benjamini and Hochberg.
        verdict: on this policy as one of many.
        calibration: `ece` and `ece_equal_mass` on test with their resampling intervals.
        conformal: by name of the method, on test.
        provenance: which examples the numbers come from.
        scores: the scores of each test example.
        nll_calibrated, confidence_calibrated: `[N]` float64, NLL and confidence of each test example after temperature.
    """

    fitted: FittedPolicy
    test: Mapping[str, float]
    passes_per_image: np.ndarray
    gains: Mapping[str, Estimate]
    corrected: int
    corrupted: int
    p_values: Mapping[str, float]
    p_values_adjusted: Mapping[str, float]
    p_values_bh: Mapping[str, float]
    verdict: Verdict
    calibration: Mapping[str, Estimate]
    conformal: Mapping[str, ConformalSets]
    provenance: Provenance
    scores: ExampleScores
    nll_calibrated: np.ndarray
    confidence_calibrated: np.ndarray

    @property
    def policy(self) -> Policy:
        """What was asked."""
        return self.fitted.policy

    @property
    def temperature(self) -> float:
        """Fitted on validation."""
        return self.fitted.temperature

    @property
    def validation(self) -> Mapping[str, float]:
        """The metrics on validation, by cross-fitting."""
        return self.fitted.validation

    @property
    def passes(self) -> float:
        """Forward passes per image on validation, the mean: the price that a choice may know."""
        return self.fitted.passes

    @property
    def test_passes(self) -> float:
        """Forward passes per image on test, the mean."""
        return float(self.passes_per_image.mean())


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of a job: identity first, then the policies in the order given.

    Attributes:
        results: one per policy.
        settings: how they were made.
        tried: how many policies the corrections are for.
    """

    results: tuple[PolicyResult, ...]
    settings: Settings
    tried: int

    @property
    def identity(self) -> PolicyResult:
        """The reference of every gain."""
        return self.results[0]

    @cached_property
    def fitted(self) -> tuple[FittedPolicy, ...]:
        """The policies with nothing left to learn."""
        return tuple(result.fitted for result in self.results)

    def result(self, name: str) -> PolicyResult:
        """The result of the policy called `name`.

        Raises:
            KeyError: where there is none.
        """
        return {result.policy.name: result for result in self.results}[name]


@dataclass(frozen=True, eq=False)
class Scored:
    """A fitted policy's own numbers on a split that it was not fitted on, before they are compared.

    Attributes:
        fitted: the policy. passes: `[N]` int64. scores: of each example.
        nll_calibrated, confidence_calibrated: `[N]` float64, of each example after temperature.
        reported: further metrics by their logged names, where they were asked for.
        conformal: by name of the method, where they were asked for.
    """

    fitted: FittedPolicy
    passes: np.ndarray
    scores: ExampleScores
    nll_calibrated: np.ndarray
    confidence_calibrated: np.ndarray
    reported: Mapping[str, float] = field(default_factory=dict)
    conformal: Mapping[str, ConformalSets] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """By their logged names."""
        return summary(self.scores) | {
            "nll_calibrated": float(self.nll_calibrated.mean()),
            **self.reported,
        }

    def utilities(self) -> np.ndarray:
        """`[N, 3]` float64 per example in the order of `GAINS`: larger is better."""
        return np.stack([self.scores.correct.astype(np.float64), -self.scores.nll, -self.nll_calibrated], axis=1)


def evaluate(
    policies: Sequence[Policy],
    logits: LogitSource,
    examples: Mapping[str, Examples],
    *,
    settings: Settings = Settings(),
    tried: int = 0,
    advance: Callable[[str], None] = lambda _name: None,
) -> Evaluation:
    """Everything about the policies and identity, from stored logits of `validation` and `test`.

    Args:
        policies: in the order wanted; identity is added in front where it is missing.
        logits: asked for the splits `validation` and `test` under every view of the policies and identity.
        examples: of `validation` and of `test`.
        settings: how.
        tried: policies beside these that were looked at on test; corrections count them.
        advance: told before each policy is fitted, and before it is scored, in a few words.

    Raises:
        DataError: for splits that share examples, or logits whose shape does not fit the labels.
        ModelError: for logits that are not finite.
        ConfigError: as `with_identity` and `predict`.
    """
    require_disjoint(examples)
    wanted = with_identity(policies)
    fitted = fit_policies(
        wanted,
        view_logits(wanted, logits, "validation", examples["validation"]),
        examples["validation"],
        folds=settings.folds,
        alpha=settings.alpha,
        randomised=settings.randomised,
        seed=settings.seed,
        advance=lambda name: advance(f"fitting {name}"),
    )
    test = view_logits(wanted, logits, "test", examples["test"])
    scored = score(fitted, test, examples["test"], settings=settings, advance=lambda name: advance(f"scoring {name}"))
    select = examples["validation"].digest
    provenance = Provenance(fit=select, select=select, report=examples["test"].digest)
    return _compared(scored, settings=settings, tried=tried + len(wanted) - 1, provenance=provenance)


def view_logits(
    policies: Sequence[Policy], logits: LogitSource, split: str, examples: Examples
) -> dict[View, np.ndarray]:
    """The logits of every view that the policies need, checked.

    Raises:
        DataError: for logits that are not `[N, C]` for the N examples.
        ModelError: for logits that are not finite.
    """
    found = {view: np.asarray(logits(split, view)) for view in required_views(policies)}
    for view, array in found.items():
        if array.ndim != 2 or len(array) != len(examples):
            raise DataError(f"logits of {split} under {view.name}: {array.shape}, but {len(examples)} labels")
        if not all(np.isfinite(array[start : start + 4096]).all() for start in range(0, len(array), 4096)):
            raise ModelError(f"the model's logits under view {view.name} are not all finite numbers; check its weights")
    return found


def score(
    fitted: Sequence[FittedPolicy],
    views: Mapping[View, np.ndarray],
    examples: Examples,
    *,
    settings: Settings,
    report: bool = True,
    advance: Callable[[str], None] = lambda _name: None,
) -> list[Scored]:
    """The numbers of fitted policies on a split, in order; each policy's `[N, C]` predictions are let go on return.

    Without `report` the metrics that need the whole distribution, and conformal sets, are left out: they cost most.
    `advance` is told each policy's name before it is scored.
    """
    scored = []
    for one in fitted:
        advance(one.policy.name)
        scored.append(_score(one, views, examples.labels, seed=settings.seed, report=report))
    return scored


def gains_over_first(scored: Sequence[Scored], *, settings: Settings) -> list[dict[str, Estimate]]:
    """Each policy's gains over the first, by name; one bootstrap over the columns of all of them."""
    columns = np.concatenate([_over(one, scored[0]) for one in scored], axis=1)
    found = paired_intervals(columns, resamples=settings.resamples, seed=settings.seed, level=settings.level)
    width = len(GAINS)
    return [dict(zip(GAINS, found[i : i + width], strict=True)) for i in range(0, len(found), width)]


def _score(
    one: FittedPolicy, views: Mapping[View, np.ndarray], labels: np.ndarray, *, seed: int, report: bool
) -> Scored:
    logits = ViewLogits(tuple(views[view] for view in one.policy.views))
    predicted = predict(one.fitted, logits, name=one.policy.aggregation.label())
    predictions = Predictions(predicted.log_probs, labels)
    nll, confidence = calibrated_scores(predicted.log_probs, labels, temperature=one.temperature)
    scored = Scored(
        fitted=one,
        passes=predicted.passes,
        scores=example_scores(predictions),
        nll_calibrated=nll,
        confidence_calibrated=confidence,
    )
    if not report:
        return scored
    return replace(
        scored,
        reported=_reported(predictions, seed=seed),
        conformal=_conformal(one, logits, predicted.log_probs, labels=labels, seed=seed),
    )


def _reported(predictions: Predictions, *, seed: int) -> dict[str, float]:
    """Metrics of whole distributions; reliability - resolution + uncertainty + within_bins is the Brier score."""
    parts = classwise_brier_decomposition(predictions.probs, predictions.labels)
    return {
        "nll_calibrated_paper": paper_calibrated_nll(predictions.log_probs, predictions.labels, seed=seed),
        "classwise_ece": classwise_calibration_error(predictions.probs, predictions.labels),
        "brier_reliability": parts.reliability,
        "brier_resolution": parts.resolution,
        "brier_uncertainty": parts.uncertainty,
        "brier_within_bins": parts.within_bins,
    }


def _conformal(
    one: FittedPolicy, logits: ViewLogits, log_probs: np.ndarray, *, labels: np.ndarray, seed: int
) -> dict[str, ConformalSets]:
    rule = one.conformal
    if rule.fitted is not one.fitted:
        log_probs = predict(rule.fitted, logits, name=one.policy.aggregation.label()).log_probs
    probs = np.exp(apply_temperature(log_probs, rule.temperature))
    return {
        name: conformal_sets(probs, labels, threshold=threshold, score=rule.score(name), seed=seed)
        for name, threshold in rule.thresholds.items()
    }


def _compared(scored: Sequence[Scored], *, settings: Settings, tried: int, provenance: Provenance) -> Evaluation:
    identity = scored[0]
    gains = gains_over_first(scored, settings=settings)
    corrected = [int((one.scores.correct & ~identity.scores.correct).sum()) for one in scored]
    corrupted = [int((~one.scores.correct & identity.scores.correct).sum()) for one in scored]
    p_values = _p_values(scored, corrected, corrupted)
    adjusted = {name: (1.0, *holm(values[1:], tried=tried)) for name, values in p_values.items()}
    discoveries = {name: (1.0, *benjamini_hochberg(values[1:], tried=tried)) for name, values in p_values.items()}
    calibration = _calibration(scored, settings)
    results = [
        PolicyResult(
            fitted=one.fitted,
            test=one.metrics,
            passes_per_image=one.passes,
            gains=gains[i],
            corrected=corrected[i],
            corrupted=corrupted[i],
            p_values={name: values[i] for name, values in p_values.items()},
            p_values_adjusted={name: values[i] for name, values in adjusted.items()},
            p_values_bh={name: values[i] for name, values in discoveries.items()},
            verdict=verdict_of(
                {name: gain.value for name, gain in gains[i].items()},
                {name: values[i] for name, values in adjusted.items()},
                criterion=settings.criterion,
                level=settings.level,
            ),
            calibration=calibration[i],
            conformal=one.conformal,
            provenance=provenance,
            scores=one.scores,
            nll_calibrated=one.nll_calibrated,
            confidence_calibrated=one.confidence_calibrated,
        )
        for i, one in enumerate(scored)
    ]
    return Evaluation(tuple(results), settings, tried)


def _calibration(scored: Sequence[Scored], settings: Settings) -> list[dict[str, Estimate]]:
    """Each policy's calibration errors, over the resamples that gains are over."""
    confidence = np.stack([one.scores.confidence for one in scored], axis=1)
    correct = np.stack([one.scores.correct for one in scored], axis=1)
    found = {
        name: ece_intervals(
            confidence,
            correct,
            resamples=settings.resamples,
            seed=settings.seed,
            level=settings.level,
            equal_mass=name == "ece_equal_mass",
        )
        for name in ("ece", "ece_equal_mass")
    }
    return [{name: estimates[i] for name, estimates in found.items()} for i in range(len(scored))]


def _over(one: Scored, reference: Scored) -> np.ndarray:
    """Differences of utilities `[N, 3]`; rounding alone is no difference, however consistent it is."""
    differences = one.utilities() - reference.utilities()
    return np.where(np.abs(differences) < SAME, 0.0, differences)


def _p_values(scored: Sequence[Scored], corrected: Sequence[int], corrupted: Sequence[int]) -> dict[str, list[float]]:
    others = np.stack([paired_t(_over(one, scored[0])[:, 1:]) for one in scored])
    exact = [mcnemar_exact(up, down) for up, down in zip(corrected, corrupted, strict=True)]
    return {"accuracy": exact, "nll": others[:, 0].tolist(), "nll_calibrated": others[:, 1].tolist()}
