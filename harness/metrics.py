"""Scores of each example, and the metrics that are means of them.

Letters: N examples, C classes, B bins. Everything is a fraction or a nat, never a percentage.
Where classes tie for the largest probability, the first of them counts as predicted, here and in the top five.
"""

from dataclasses import dataclass

import numpy as np

from harness.rejection import aurc, auroc_errors, risk_at, risk_coverage
from harness.reliability import (
    BINS,
    ReliabilityBins,
    calibration_error,
    equal_mass_edges,
    equal_width_edges,
    reliability_between,
)
from harness.types import Predictions

TOP = 5


@dataclass(frozen=True, eq=False)
class ExampleScores:
    """What every metric and every resample works on, computed once for a policy on a split.

    Attributes:
        predicted: `[N]` int64, the class of the largest probability (the first one where several are equal).
        correct: `[N]` bool, predicted is the label.
        confidence: `[N]` float64 in [1/C, 1], the largest probability.
        nll: `[N]` float64 >= 0, minus the log-probability of the label, in nats.
        brier: `[N]` float64 in [0, 2], the sum over classes of (probability - 1 for the label, else 0) squared.
        top5_correct: `[N]` bool, the label is among the five largest probabilities; None for C <= 5.
    """

    predicted: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray
    nll: np.ndarray
    brier: np.ndarray
    top5_correct: np.ndarray | None

    def __len__(self) -> int:
        return len(self.correct)


def example_scores(predictions: Predictions) -> ExampleScores:
    """The scores of each example of `predictions`."""
    log_probs, probs, labels = predictions.log_probs, predictions.probs, predictions.labels
    predicted = np.argmax(log_probs, axis=1)
    of_label = np.take_along_axis(probs, labels[:, None], axis=1)[:, 0]
    nll = -np.take_along_axis(log_probs, labels[:, None], axis=1)[:, 0]
    others = np.einsum("nc,nc->n", probs, probs) - of_label**2
    return ExampleScores(
        predicted=predicted,
        correct=predicted == labels,
        confidence=probs.max(axis=1),
        nll=np.maximum(nll, 0.0),
        brier=np.maximum(others, 0.0) + (1 - of_label) ** 2,
        top5_correct=_among_largest(log_probs, labels) if log_probs.shape[1] > TOP else None,
    )


def _among_largest(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether fewer than five classes come before the label; equal ones come in the order of classes."""
    of_label = np.take_along_axis(log_probs, labels[:, None], axis=1)
    larger = (log_probs > of_label).sum(axis=1)
    equal_before = ((log_probs == of_label) & (np.arange(log_probs.shape[1]) < labels[:, None])).sum(axis=1)
    among: np.ndarray = larger + equal_before < TOP
    return among


def accuracy(scores: ExampleScores) -> float:
    """Share of examples whose predicted class is the label, in [0, 1]."""
    return float(scores.correct.mean())


def top5_accuracy(scores: ExampleScores) -> float:
    """Share of examples whose label is among the five largest probabilities, in [0, 1].

    Raises:
        ValueError: for C <= 5, where it would be one or say nothing.
    """
    if scores.top5_correct is None:
        raise ValueError("top-5 accuracy needs more than five classes")
    return float(scores.top5_correct.mean())


def nll(scores: ExampleScores) -> float:
    """Negative log-likelihood: mean of minus the log-probability of the label, in nats, >= 0."""
    return float(scores.nll.mean())


def brier(scores: ExampleScores) -> float:
    """Brier score: mean over examples of the sum over classes of squared errors, in [0, 2] (Brier 1950).

    For two classes this is twice the score that sums over the positive class alone.
    """
    return float(scores.brier.mean())


def reliability_bins(scores: ExampleScores, *, bins: int = BINS) -> ReliabilityBins:
    """Equal-width bins over the confidence, closed on the right: (0, 1/B], (1/B, 2/B], ..., (1 - 1/B, 1]."""
    return reliability_between(scores.confidence, scores.correct, edges=equal_width_edges(bins))


def expected_calibration_error(scores: ExampleScores, *, bins: int = BINS) -> float:
    """Expected calibration error of the predicted class over equal-width bins, in [0, 1] (`calibration_error`).

    With the confidence of the predicted class and 15 bins as in Guo, Pleiss, Sun and Weinberger (2017), "On calibration
    of modern neural networks".
    """
    return calibration_error(reliability_bins(scores, bins=bins))


def equal_mass_calibration_error(scores: ExampleScores, *, bins: int = BINS) -> float:
    """Expected calibration error of the predicted class over bins of equally many examples, in [0, 1]."""
    edges = equal_mass_edges(scores.confidence, bins)
    return calibration_error(reliability_between(scores.confidence, scores.correct, edges=edges))


def summary(scores: ExampleScores) -> dict[str, float]:
    """The metrics by their logged names, all of them finite but nll, which is infinite for a label of no probability.

    accuracy, top5_accuracy (C > 5 only), nll, brier, ece, ece_equal_mass; aurc, risk_at_80 (the error rate of the 80 %
    that are most confident), auroc_errors (only where some are wrong and some right).
    """
    named = {"accuracy": accuracy(scores)}
    if scores.top5_correct is not None:
        named["top5_accuracy"] = top5_accuracy(scores)
    named |= {"nll": nll(scores), "brier": brier(scores), "ece": expected_calibration_error(scores)}
    return named | {"ece_equal_mass": equal_mass_calibration_error(scores)} | _of_rejection(scores)


def _of_rejection(scores: ExampleScores) -> dict[str, float]:
    risks = risk_coverage(scores.confidence, scores.correct)
    detection = auroc_errors(scores.confidence, scores.correct)
    defined = {} if np.isnan(detection) else {"auroc_errors": detection}
    return {"aurc": aurc(risks), "risk_at_80": risk_at(risks, 0.8)} | defined
