"""Probes: what is computed example by example passes, what looks at its neighbours is caught, nothing is raised."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness.diagnostics.probes import probe_aggregation
from harness.logspace import log_softmax
from harness.policies.base import Fitted
from harness.policies.logits import ViewLogits
from harness.policies.weighted import Space, WeightedMean


def noisy(views: int = 4, examples: int = 1000, classes: int = 10) -> ViewLogits:
    """Random logits."""
    return ViewLogits.of(np.random.default_rng(0).normal(size=(views, examples, classes)).astype(np.float32))


@dataclass(frozen=True)
class Mean(Fitted):
    """The mean of logits, whatever their number."""

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]`."""
        return log_softmax(np.asarray(logits, np.float64).mean(axis=0))


class BatchCentred(Mean):
    """Takes the batch's mean off first."""

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]`."""
        return super().__call__(logits - logits.mean(axis=1, keepdims=True))


class Neighbours(Mean):
    """Averages each example with the one before it."""

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]`."""
        return super().__call__((logits + np.roll(logits, 1, axis=1)) / 2)


class BatchQuota(Mean):
    """Gives one pass to the surer half of the batch."""

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """Passes `[n]`."""
        sure = logits[0].max(axis=1)
        return np.where(sure > np.median(sure), 1, len(logits))


class FirstOnly(Mean):
    """Gives one pass to the example that comes first."""

    def passes(self, logits: np.ndarray, /) -> np.ndarray:
        """Passes `[n]`."""
        return np.where(np.arange(logits.shape[1]) == 0, 1, len(logits))


class Failing(Mean):
    """Cannot take a single example."""

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities `[n, C]`, of more than one example."""
        if logits.shape[1] == 1:
            raise RuntimeError("needs\na batch")
        return super().__call__(logits)


class NotANumber(Mean):
    """Gives NaN."""

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """NaN `[n, C]`."""
        return super().__call__(logits) * np.nan


@pytest.mark.parametrize("space", ["probs", "logits"])
def test_a_weighted_mean_passes(space: Space) -> None:
    """What is computed example by example breaks no promise."""
    probe = probe_aggregation(WeightedMean(space, (0.4, 0.3, 0.2, 0.1)), noisy(), seed=0)
    assert probe.passed and probe.findings == () and probe.examples == 256


def test_a_class_without_a_chance_passes() -> None:
    """Minus infinity is equal to itself."""

    class Veto(Mean):
        def __call__(self, logits: np.ndarray, /) -> np.ndarray:
            result = super().__call__(logits)
            result[:, 0] = -np.inf
            return result

    assert probe_aggregation(Veto(), noisy(), seed=0, duplicates=True).passed


@pytest.mark.parametrize("culprit", [BatchCentred(), Neighbours()])
def test_batch_coherent_aggregations_are_caught(culprit: Fitted) -> None:
    """One that takes off the batch's mean, or mixes neighbours, is found by an example alone."""
    probe = probe_aggregation(culprit, noisy(), seed=0)
    assert not probe.passed
    assert any(finding.startswith("an example alone gives another result") for finding in probe.findings)


def test_mixing_neighbours_is_caught_by_their_order() -> None:
    """One that averages consecutive examples changes with their order."""
    findings = probe_aggregation(Neighbours(), noisy(), seed=0).findings
    assert findings[0].startswith("the order of the examples changes the result, by up to ")


def test_passes_that_depend_on_the_batch_are_caught() -> None:
    """A quota over the batch, or a place in it, decides no example's number of passes."""
    assert probe_aggregation(BatchQuota(), noisy(), seed=0).findings == (
        "an example alone needs another number of passes than among others",
    )
    assert (
        "the order of the examples changes the number of passes"
        in probe_aggregation(FirstOnly(), noisy(), seed=0).findings
    )


def test_duplicated_views_change_no_mean_and_are_asked_for() -> None:
    """A plain mean passes; the sum of views does not; where it is not asked for nothing is said."""

    class Sum(Mean):
        def __call__(self, logits: np.ndarray, /) -> np.ndarray:
            return log_softmax(np.asarray(logits, np.float64).sum(axis=0))

    assert probe_aggregation(Mean(), noisy(), seed=0, duplicates=True).passed
    assert probe_aggregation(Sum(), noisy(), seed=0).passed
    (finding,) = probe_aggregation(Sum(), noisy(), seed=0, duplicates=True).findings
    assert finding.startswith("each view given twice changes the result, by up to ")


def test_a_failure_is_a_finding() -> None:
    """An aggregation that raises is told of in one line; the probe itself raises nothing."""
    assert probe_aggregation(Failing(), noisy(), seed=0).findings == (
        "the aggregation cannot be probed: RuntimeError: needs a batch",
    )


def test_nan_is_a_finding() -> None:
    """What is not a number is equal to nothing."""
    assert len(probe_aggregation(NotANumber(), noisy(), seed=0, duplicates=True).findings) == 3


def test_few_examples_are_all_probed_and_many_logits_are_fewer_examples() -> None:
    """At most 256 examples, at most as many as there are, and fewer where each has very many logits."""
    assert probe_aggregation(Mean(), noisy(examples=1), seed=0).examples == 1
    assert probe_aggregation(Mean(), noisy(views=60, examples=100, classes=1000), seed=0).examples == 69
