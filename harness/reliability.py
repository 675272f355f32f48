"""How far confidence is from accuracy: bins, calibration errors, and the decomposition of the Brier score.

Letters: N examples, C classes, B bins. A forecast is a probability in [0, 1]; its outcome is 1 where what was forecast
came true, else 0. For the predicted class these are the confidence and whether the prediction is correct.
"""

from dataclasses import dataclass

import numpy as np

BINS = 15

_BLOCK = 1 << 18  # probabilities that are binned at once: blocks that stay in the processor's cache


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Confidence against accuracy, bin by bin.

    Attributes:
        edges: `[B+1]` float64 from 0 to 1; bin b holds confidences in (edges[b], edges[b+1]].
        count: `[B]` int64.
        confidence: `[B]` float64, mean confidence in the bin; NaN where it is empty.
        accuracy: `[B]` float64, share of correct examples in the bin; NaN where it is empty.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True)
class BrierDecomposition:
    """The parts of a Brier score: score = reliability - resolution + uncertainty + within_bins.

    Attributes:
        reliability: >= 0, squared distance of forecast and frequency in a bin; zero for calibrated forecasts.
        resolution: >= 0, squared distance of a bin's frequency from the overall one; the larger the better.
        uncertainty: >= 0, the score of always forecasting the overall frequency; a property of the outcomes alone.
        within_bins: what binning hides, of either sign: the variance of forecasts inside the bins minus twice their
            covariance with the outcomes. Zero where all forecasts of a bin are equal.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float

    @property
    def score(self) -> float:
        """The Brier score that was taken apart."""
        return self.reliability - self.resolution + self.uncertainty + self.within_bins


def equal_width_edges(bins: int = BINS) -> np.ndarray:
    """Edges `[B+1]` float64 of (0, 1/B], (1/B, 2/B], ..., (1 - 1/B, 1]."""
    return np.linspace(0.0, 1.0, bins + 1)


def equal_mass_edges(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Edges `[B+1]` float64 of bins that hold N/B examples each, rounded; equal confidences share one bin.

    An inner edge is the confidence of the last example of the bin below it, so that the bins are closed on the right
    and the order of examples does not matter. Where many confidences are equal, some bins hold more and others none.
    """
    last = np.arange(1, bins) * len(confidence) // bins - 1
    ordered = np.sort(confidence)
    inner = np.where(last >= 0, ordered[np.maximum(last, 0)], 0.0)
    return np.concatenate([[0.0], inner, [1.0]])


def bin_of(forecast: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin in [0, B) of each forecast, any shape, int64; closed on the right, the first and last bin take the rest.

    A forecast may be zero, or exceed one by float rounding.
    """
    return np.searchsorted(edges[1:-1], forecast, side="left")


def reliability_between(confidence: np.ndarray, correct: np.ndarray, *, edges: np.ndarray) -> ReliabilityBins:
    """Confidence and accuracy in each bin.

    Args:
        confidence: `[N]` float64 in [0, 1].
        correct: `[N]` bool.
        edges: `[B+1]` float64, ascending.
    """
    where, bins = bin_of(confidence, edges), len(edges) - 1
    count = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(where, confidence, bins) / count
        right = np.bincount(where, correct, bins) / count
    return ReliabilityBins(edges, count, mean, right)


def calibration_error(found: ReliabilityBins) -> float:
    """Expected calibration error over the bins, in [0, 1].

    ECE = sum over bins b of n_b / N * |accuracy_b - confidence_b|; empty bins add nothing. Naeini, Cooper and
    Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning". With equal-mass bins it is the
    adaptive ECE of Nguyen and O'Connor (2015), "Posterior calibration and exploratory analysis for natural language
    processing models", and Nixon et al. (2019), "Measuring calibration in deep learning".
    It depends on the number of bins and is biased upwards for small N: compare it at equal N only.
    """
    filled = found.count > 0
    gap = np.abs(found.accuracy[filled] - found.confidence[filled])
    return float(gap @ found.count[filled] / found.count.sum())


def brier_decomposition(forecast: np.ndarray, outcome: np.ndarray, *, edges: np.ndarray) -> BrierDecomposition:
    """The parts of mean((forecast - outcome)^2), exact for any bins.

    reliability = sum over bins b of n_b / N * (f_b - o_b)^2, resolution = sum of n_b / N * (o_b - o)^2, uncertainty =
    o (1 - o), with f_b and o_b the means of forecast and outcome in the bin and o the mean outcome: Murphy (1973),
    "A new vector partition of the probability score". These three make up the score of forecasts that are replaced by
    their bin's mean; within_bins is the rest: Stephenson, Coelho and Jolliffe (2008), "Two extra components in the
    Brier score decomposition".

    With confidence and correct this takes apart the score of the predicted class alone, not `harness.metrics.brier`,
    which sums over all classes: for that one see `classwise_brier_decomposition`.

    Args:
        forecast: `[N]` float64 in [0, 1].
        outcome: `[N]` bool.
        edges: `[B+1]` float64, ascending.
    """
    where, bins = bin_of(forecast, edges), len(edges) - 1
    weights = (None, forecast, outcome, forecast**2, forecast * outcome)
    return _decomposed(np.stack([np.bincount(where, weight, bins) for weight in weights])[:, None, :])


def _decomposed(sums: np.ndarray) -> BrierDecomposition:
    """The parts, summed over K forecasts, from sums `[5, K, B]` of 1, f, o, f^2 and f o over the examples of a bin."""
    examples = sums[0, 0].sum()
    count = np.maximum(sums[0], 1)
    forecast, outcome = sums[1] / count, sums[2] / count
    overall = sums[2].sum(axis=1, keepdims=True) / examples
    share = sums[0] / examples
    spread = (sums[3] - count * forecast**2).sum() / examples
    covariance = (sums[4] - count * forecast * outcome).sum() / examples
    return BrierDecomposition(
        reliability=float((share * (forecast - outcome) ** 2).sum()),
        resolution=float((share * (outcome - overall) ** 2).sum()),
        uncertainty=float((overall * (1 - overall)).sum()),
        within_bins=float(spread - 2 * covariance),
    )


def classwise_brier_decomposition(probs: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> BrierDecomposition:
    """The parts of the Brier score of all classes (`harness.metrics.brier`), exact: those of each class, summed.

    Each class's probability is a forecast of the label being that class; equal-width bins (`brier_decomposition`).

    Args:
        probs: `[N, C]` float64 whose rows sum to one.
        labels: `[N]` int64 in [0, C).
        bins: B.
    """
    return _decomposed(_class_sums(probs, labels, bins))


def classwise_calibration_error(probs: np.ndarray, labels: np.ndarray, *, bins: int = BINS) -> float:
    """Classwise expected calibration error, in [0, 1].

    Mean over classes c of the sum over equal-width bins b of n_bc / N * |share of label c - mean probability of c|:
    static calibration error of Nixon et al. (2019), "Measuring calibration in deep learning"; classwise ECE of Kull et
    al. (2019), "Beyond temperature scaling". It falls with C, as most probabilities are near zero: compare it at equal
    C and N only.

    Args:
        probs: `[N, C]` float64 whose rows sum to one.
        labels: `[N]` int64 in [0, C).
        bins: B.
    """
    sums = _class_sums(probs, labels, bins)
    return float(np.abs(sums[1] - sums[2]).sum() / probs.size)


def _class_sums(probs: np.ndarray, labels: np.ndarray, bins: int) -> np.ndarray:
    """Sums `[5, C, B]` of 1, p, y, p^2 and p y over the examples of a class's bin, a block of examples at a time."""
    examples, classes = probs.shape
    first_cell = np.arange(classes) * bins
    total = np.zeros((5, classes * bins))
    step = max(1, _BLOCK // classes)
    for start in range(0, examples, step):
        rows, given = probs[start : start + step], labels[start : start + step, None]
        cell = bin_of(rows, equal_width_edges(bins)) + first_cell
        of_label, cell_of_label = (np.take_along_axis(array, given, axis=1)[:, 0] for array in (rows, cell))
        flat, values = cell.ravel(), rows.ravel()
        parts = ((flat, None), (flat, values), (cell_of_label, None), (flat, values**2), (cell_of_label, of_label))
        for row, (where, weight) in zip(total, parts, strict=True):
            row += np.bincount(where, weight, classes * bins)
    return total.reshape(5, classes, bins)
