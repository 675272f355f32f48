"""Fitting on validation, and scores of examples that the fit had not seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.calibration import calibrated_nll, fit_temperature
from harness.cross_fitting import Folds, fit_policies
from harness.errors import DataError
from harness.firewall import Examples
from harness.logspace import log_softmax
from harness.policies.base import Aggregation, Fitted
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy
from harness.views import IDENTITY

N, CLASSES = 90, 3
RNG = np.random.default_rng(5)
LABELS = RNG.integers(CLASSES, size=N)
LOGITS = (RNG.normal(0, 1, (N, CLASSES)) + 1.5 * np.eye(CLASSES)[LABELS]).astype(np.float32)
EXAMPLES = Examples(np.array([f"v/{i}" for i in range(N)]), LABELS)


@dataclass(frozen=True)
class Memory(Fitted):
    """Knows by heart the examples that it was fitted on."""

    known: dict[bytes, int]

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Nearly certain of a label it has seen, no idea else."""
        result = np.full(logits.shape[1:], -np.log(CLASSES))
        for i, row in enumerate(logits[0]):
            if row.tobytes() in self.known:
                result[i] = np.log(1e-6)
                result[i, self.known[row.tobytes()]] = np.log1p(-2e-6)
        return result

    def parameters(self) -> Mapping[str, Any]:
        """How many it knows."""
        return {"known": len(self.known)}


@dataclass(frozen=True)
class ByHeart(Aggregation):
    """Learns validation by heart: the worst over-fit there is."""

    kind: ClassVar[str] = "by_heart"
    learns: ClassVar[bool] = True

    def fit(self, logits: ViewLogits, labels: np.ndarray) -> Fitted:
        """Remembers each example's label."""
        rows = logits.stacked()[0]
        return Memory({row.tobytes(): int(label) for row, label in zip(rows, labels, strict=True)})


def fitted(policy: Policy, folds: Folds) -> Any:
    """One policy, fitted."""
    found = fit_policies([policy], {IDENTITY: LOGITS}, EXAMPLES, folds=folds, alpha=0.2, randomised=False, seed=0)
    return found[0]


def test_learning_by_heart_is_not_flattered() -> None:
    """A fit that knows all labels scores by chance, because each example is scored by a fit that had not seen it."""
    found = fitted(Policy("p", (IDENTITY,), ByHeart()), Folds(5, 2, 0))
    assert found.validation["nll"] == pytest.approx(np.log(CLASSES))
    assert found.validation["accuracy"] == pytest.approx((LABELS == 0).mean())
    assert found.fitted.parameters() == {"known": N}


def test_a_fixed_policy_is_scored_on_all_examples_with_the_other_folds_temperature() -> None:
    """Accuracy and NLL are the plain ones; the calibrated NLL is that of an explicit loop over folds."""
    folds = Folds(3, 2, 7)
    found, log_probs = fitted(Policy("p", (IDENTITY,)), folds), log_softmax(LOGITS)
    assert found.validation["accuracy"] == pytest.approx((log_probs.argmax(1) == LABELS).mean())
    scores = []
    for pairs in folds.divide(EXAMPLES):
        for fit, score in pairs:
            temperature = fit_temperature(log_probs[fit], LABELS[fit])
            scores.append(calibrated_nll(log_probs[score], LABELS[score], temperature=temperature).sum() / N)
    assert found.validation["nll_calibrated"] == pytest.approx(sum(scores) / 2)
    assert found.temperature == pytest.approx(fit_temperature(log_probs, LABELS), rel=1e-6)


def test_folds_are_a_stratified_partition() -> None:
    """Each example is scored once a repeat, by a fit without it; classes are spread evenly; repeats differ."""
    first, second = list(Folds(5, 2, 0).divide(EXAMPLES))
    for pairs in (first, second):
        assert sorted(np.concatenate([score for _, score in pairs])) == list(range(N))
        for fit, score in pairs:
            assert not set(fit) & set(score)
            assert len(fit) + len(score) == N
            for label in range(CLASSES):
                assert abs((LABELS[score] == label).sum() - (label == LABELS).sum() / 5) <= 1
    assert any((a[1] != b[1]).any() for a, b in zip(first, second, strict=True) if len(a[1]) == len(b[1]))


def test_few_examples_are_divided_several_times() -> None:
    """Below 2,000 examples the division is repeated five times, from there on it is not."""
    many = Examples(np.array([str(i) for i in range(2000)]), np.arange(2000) % 3)
    assert len(list(Folds().divide(EXAMPLES))) == 5
    assert len(list(Folds().divide(many))) == 1


def test_fewer_examples_than_folds_are_refused() -> None:
    """Three examples cannot make five folds: one line says what would do."""
    few = Examples(np.array(["a", "b", "c"]), np.array([0, 1, 2]))
    with pytest.raises(DataError, match=r"3 examples, which is fewer than evaluation.folds=5"):
        list(Folds(5).divide(few))


def test_policies_over_the_same_views_share_their_logits_memo() -> None:
    """What one fit leaves in the memo the next one over the same views and examples finds."""
    seen: list[int] = []

    @dataclass(frozen=True)
    class Counting(ByHeart):
        tag: int = 0

        def fit(self, logits: ViewLogits, labels: np.ndarray) -> Fitted:
            seen.append(logits.memo.setdefault("fits", 0))
            logits.memo["fits"] += 1
            return super().fit(logits, labels)

    policies = [Policy(f"p{tag}", (IDENTITY,), Counting(tag)) for tag in range(2)]
    fit_policies(policies, {IDENTITY: LOGITS}, EXAMPLES, folds=Folds(3, 1, 0), alpha=0.2, randomised=False, seed=0)
    half = len(seen) // 2
    assert seen == [0] * half + [1] * half


def test_a_repeat_without_errors_is_no_mistake() -> None:
    """Where one division finds every label and another does not, what only some of them have is left out."""
    truth = {row.tobytes(): int(label) for row, label in zip(LOGITS, LABELS, strict=True)}
    calls: list[int] = []

    @dataclass(frozen=True)
    class SometimesRight(ByHeart):
        def fit(self, logits: ViewLogits, labels: np.ndarray) -> Fitted:
            calls.append(len(labels))
            second_repeat = 1 + 3 < len(calls) <= 1 + 6
            return Memory(truth) if second_repeat else super().fit(logits, labels)

    found = fitted(Policy("p", (IDENTITY,), SometimesRight()), Folds(3, 2, 0))
    assert "auroc_errors" not in found.validation
    assert found.validation["accuracy"] == pytest.approx((1 + (LABELS == 0).mean()) / 2)
