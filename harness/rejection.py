"""What confidence is worth for telling errors apart: risk at coverage, and the AUROC of errors.

An example is accepted or rejected by its confidence alone. Examples of equal confidence count as in random order: every
number here is the mean over the orders of tied examples, so that the order of the test set plays no part.
"""

import numpy as np


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Risks `[N]` float64 in [0, 1]: entry k - 1 is the error rate of the k most confident examples.

    El-Yaniv and Wiener (2010), "On the foundations of noise-free selective classification".

    Args:
        confidence: `[N]` float64.
        correct: `[N]` bool.
    """
    order = np.argsort(-confidence)
    ordered, errors = confidence[order], np.cumsum(~correct[order])
    # In a run of equal confidences the mean number of errors grows in a straight line.
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(order) - 1)
    accepted = np.arange(1, len(order) + 1)
    risks: np.ndarray = np.interp(accepted, np.append(0, ends + 1), np.append(0, errors[ends])) / accepted
    return risks


def aurc(risks: np.ndarray) -> float:
    """Area under the risk-coverage curve, in [0, 1]: the mean of `risk_coverage` over the coverages 1/N, 2/N, ..., 1.

    The lower the better; it is zero where nothing is wrong, and the error rate where confidence tells nothing.
    Geifman, Uziel and El-Yaniv (2019), "Bias-reduced uncertainty estimation for deep neural classifiers".
    """
    return float(risks.mean())


def risk_at(risks: np.ndarray, coverage: float) -> float:
    """Error rate, in [0, 1], of the share `coverage` of examples that are most confident: the first ceil(coverage * N).

    Raises:
        ValueError: for a coverage outside (0, 1].
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"a coverage is above 0 and at most 1, got {coverage}")
    accepted = int(np.ceil(coverage * len(risks) - 1e-9))  # 0.07 * 100 is a little above seven
    return float(risks[accepted - 1])


def auroc_errors(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1], of low confidence as a detector of errors; NaN where none or all are errors.

    The chance that a wrong example is less confident than a correct one, ties counting half (the Mann-Whitney statistic
    with midranks): one half where confidence tells nothing. Hendrycks and Gimpel (2017), "A baseline for detecting
    misclassified and out-of-distribution examples". It judges the order within one policy only: a policy with fewer
    errors may have the lower AUROC (Ashukha et al. 2020, "Pitfalls of in-domain uncertainty estimation").

    Args:
        confidence: `[N]` float64.
        correct: `[N]` bool.
    """
    right, wrong = np.sort(confidence[correct]), confidence[~correct]
    if len(right) == 0 or len(wrong) == 0:
        return float("nan")
    below_or_half = np.searchsorted(right, wrong, side="left") + np.searchsorted(right, wrong, side="right")
    return float(1 - below_or_half.mean() / (2 * len(right)))
