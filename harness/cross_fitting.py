"""Fitting on validation, and scoring on validation examples that the fit had not seen.

The examples of validation are divided into K folds. For the numbers that policies are chosen by, a policy is fitted on
all folds but one and predicts that one, in turn; so each example is predicted by a fit that had not seen it, and a
policy that learns more is not flattered. Where examples are few this is done several times with other folds.
The policy that is shipped is then fitted on all of validation. Nothing here has a way to reach test.

Stone (1974), "Cross-validatory choice and assessment of statistical predictions".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.calibration import apply_temperature, calibrated_nll, fit_temperature
from harness.conformal import APS, RAPS, AdaptiveScore, calibrate
from harness.errors import DataError
from harness.firewall import Examples
from harness.logspace import log_softmax
from harness.metrics import example_scores, summary
from harness.policies.base import Fitted
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy
from harness.prediction import predict
from harness.types import Predictions
from harness.views import IDENTITY, View

CONFORMAL_SCORES: Mapping[str, AdaptiveScore] = {"aps": APS, "raps": RAPS}

SAME = 1e-9  # log-probabilities that are no further apart are equal, but for rounding

FEW = 2000
"""Below so many examples the division into folds is repeated."""

REPEATS = 5


@dataclass(frozen=True)
class Folds:
    """How validation is divided.

    Attributes:
        count: K, at least 2. repeats: how often, each time with other folds; None for 5 below 2,000 examples, else 1.
        seed: of the division.
    """

    count: int = 5
    repeats: int | None = None
    seed: int = 0

    def require(self, examples: int) -> None:
        """Refuses so few examples that a fold would be empty.

        Raises:
            DataError: for fewer examples than folds.
        """
        if examples < self.count:
            raise DataError(
                f"validation has {examples} examples, which is fewer than evaluation.folds={self.count}: "
                "give more validation examples or fewer folds"
            )

    def divide(self, examples: Examples) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
        """For each repeat, K pairs of places (fit `[n]`, score `[m]`), each int64 and sorted, stratified by class."""
        self.require(len(examples))
        repeats = self.repeats or (REPEATS if len(examples) < FEW else 1)
        for repeat in range(repeats):
            fold = _fold_of(examples.labels, self.count, seed=(self.seed, repeat))
            pairs = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(self.count)]
            yield pairs


@dataclass(frozen=True, eq=False)
class ConformalFit:
    """What conformal sets of a policy are made with: fitted on one half of validation, calibrated on the other.

    Attributes:
        fitted, temperature: from the first half. thresholds: from the second, by name of the score.
        randomised: whether the sets are.
    """

    fitted: Fitted
    temperature: float
    thresholds: Mapping[str, float]
    randomised: bool

    def score(self, name: str) -> AdaptiveScore:
        """The score called `name`, randomised or not as the thresholds are."""
        return replace(CONFORMAL_SCORES[name], randomised=self.randomised)


@dataclass(frozen=True, eq=False)
class FittedPolicy:
    """A policy with nothing left to learn.

    Attributes:
        policy: what was asked. fitted: what came out, from all of validation.
        temperature: fitted on the cross-fitted predictions for validation, applied after the aggregation.
        validation: metrics on validation by cross-fitting, `nll_calibrated` with the other folds' temperature.
        passes: forward passes per image on validation, the mean.
        conformal: how conformal sets are made; its weights are not those that are shipped.
    """

    policy: Policy
    fitted: Fitted
    temperature: float
    validation: Mapping[str, float]
    passes: float
    conformal: ConformalFit


def fit_policies(
    policies: Sequence[Policy],
    views: Mapping[View, np.ndarray],
    examples: Examples,
    *,
    folds: Folds,
    alpha: float,
    randomised: bool,
    seed: int,
    advance: Callable[[str], None] = lambda _name: None,
) -> list[FittedPolicy]:
    """Every policy fitted on validation, in the order given.

    Args:
        policies: what to fit.
        views: a view to its validation logits `[N, C]`, finite, possibly memory-mapped.
        examples: of validation.
        folds: how validation is divided.
        alpha: conformal sets miss the label with at most this probability.
        randomised: whether conformal sets are.
        seed: of the halves for conformal sets, and of what is random in these.
        advance: told each policy's name before it is fitted.

    Raises:
        DataError: for fewer examples than folds.
    """
    divisions = list(folds.divide(examples))
    found: dict[str, FittedPolicy] = {}
    by_views: dict[tuple[View, ...], list[Policy]] = {}
    for policy in policies:
        by_views.setdefault(policy.views, []).append(policy)
    identity = log_softmax(views[IDENTITY])
    for chosen, group in by_views.items():
        # Policies over the same views share the work that their fits have in common.
        logits = ViewLogits(tuple(views[view] for view in chosen))
        fitter = _Fitter(logits, examples, divisions, seed, identity)
        for policy in group:
            advance(policy.name)
            found[policy.name] = fitter.fit(policy, alpha=alpha, randomised=randomised)
    return [found[policy.name] for policy in policies]


class _Fitter:
    """Fits the policies over one set of views; keeps each fold's logits, so that their memo serves all policies."""

    def __init__(
        self,
        logits: ViewLogits,
        examples: Examples,
        divisions: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
        seed: int,
        identity: np.ndarray,
    ) -> None:
        self.logits, self.examples, self.divisions, self.seed = logits, examples, divisions, seed
        self.identity = identity
        self.halves = _fold_of(examples.labels, 2, seed=(seed, len(divisions)))
        self.parts: dict[bytes, ViewLogits] = {}

    def fit(self, policy: Policy, *, alpha: float, randomised: bool) -> FittedPolicy:
        labels = self.examples.labels
        fitted = policy.aggregation.fit(self.logits, labels)
        whole = predict(fitted, self.logits, name=policy.aggregation.label())
        rounds = [self._cross_fitted(policy, whole.log_probs, pairs) for pairs in self.divisions]
        temperature = self._temperature(whole.log_probs, rounds)
        scores = [self._validation(log_probs, pairs) for log_probs, pairs in zip(rounds, self.divisions, strict=True)]
        return FittedPolicy(
            policy=policy,
            fitted=fitted,
            temperature=temperature,
            # Where one repeat has no errors, it has no `auroc_errors`, and so the mean has none.
            validation={
                name: float(np.mean([one[name] for one in scores]))
                for name in scores[0]
                if all(name in one for one in scores)
            },
            passes=float(whole.passes.mean()),
            conformal=self._conformal(policy, fitted, whole.log_probs, alpha=alpha, randomised=randomised),
        )

    def _temperature(self, whole: np.ndarray, rounds: Sequence[np.ndarray]) -> float:
        """Fitted on the cross-fitted predictions; identity's own where the policy has learned to be identity.

        Such a policy would differ from identity by a temperature of other folds' fits alone, which acts on all images
        alike, so that a test finds the smallest difference, and it says nothing about views.
        """
        if np.abs(whole - self.identity).max() < SAME:
            return fit_temperature(self.identity, self.examples.labels)
        return fit_temperature(np.concatenate(rounds), np.tile(self.examples.labels, len(rounds)))

    def _cross_fitted(
        self, policy: Policy, whole: np.ndarray, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """Log-probabilities `[N, C]` of each example by a fit that had not seen it."""
        if not policy.aggregation.learns:
            return whole
        result = np.empty_like(whole)
        for fit, score in pairs:
            fitted = policy.aggregation.fit(self._part(fit), self.examples.labels[fit])
            result[score] = predict(fitted, self._part(score), name=policy.aggregation.label()).log_probs
        return result

    def _validation(self, log_probs: np.ndarray, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        labels = self.examples.labels
        after = np.empty(len(labels))
        for fit, score in pairs:
            temperature = fit_temperature(log_probs[fit], labels[fit])
            after[score] = calibrated_nll(log_probs[score], labels[score], temperature=temperature)
        return summary(example_scores(Predictions(log_probs, labels))) | {"nll_calibrated": float(after.mean())}

    def _conformal(
        self, policy: Policy, fitted: Fitted, log_probs: np.ndarray, *, alpha: float, randomised: bool
    ) -> ConformalFit:
        """Weights and temperature from one half of validation, thresholds from the other."""
        labels = self.examples.labels
        fit, rest = np.flatnonzero(self.halves == 0), np.flatnonzero(self.halves == 1)
        if policy.aggregation.learns:
            fitted = policy.aggregation.fit(self._part(fit), labels[fit])
            log_probs = predict(fitted, self.logits, name=policy.aggregation.label()).log_probs
        temperature = fit_temperature(log_probs[fit], labels[fit])
        probs = np.exp(apply_temperature(log_probs[rest], temperature))
        found = ConformalFit(fitted, temperature, {}, randomised)
        thresholds = {
            name: calibrate(probs, labels[rest], alpha=alpha, score=found.score(name), seed=self.seed)
            for name in CONFORMAL_SCORES
        }
        return replace(found, thresholds=thresholds)

    def _part(self, rows: np.ndarray) -> ViewLogits:
        return self.parts.setdefault(rows.tobytes(), self.logits.take(rows))


def _fold_of(labels: np.ndarray, count: int, *, seed: tuple[int, int]) -> np.ndarray:
    """The fold `[N]` of each example: within each class as even as can be, and even over all classes."""
    stream = np.random.default_rng(seed)
    order = stream.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % count
    return fold
