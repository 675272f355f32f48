"""How much there is to gain from a set of views, and how much of it is said twice.

Letters: N examples, V views, C classes. Where classes tie for the largest logit, the first of them counts as predicted.
"""

from dataclasses import dataclass

import numpy as np

from harness.logspace import log_softmax
from harness.policies.logits import ViewLogits

_VALUES = 1 << 18  # logits read at once where they are only compared


@dataclass(frozen=True)
class Headroom:
    """What the views could give at most, on the examples themselves.

    Attributes:
        identity: accuracy of the first view.
        best_single: the largest accuracy of a single view; as a maximum over V views it flatters a little.
        best_view: the place of that view, the first where several are equal.
        oracle: share of examples that at least one view gets right. Not a bound for every aggregation: a mean can be
            right where each view is wrong, but that is rare.
    """

    identity: float
    best_single: float
    best_view: int
    oracle: float


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """The Brier score of a mean of probabilities, taken apart: ensemble = members - ambiguity, exactly.

    Attributes:
        member_errors: `[V]` float64 in [0, 2], the Brier score of each view.
        members: their mean.
        ambiguity: mean over examples and views of the squared distance to the mean, >= 0: how far the views disagree.
        ensemble: the Brier score of the mean.
    """

    member_errors: np.ndarray
    members: float
    ambiguity: float
    ensemble: float


def predicted_classes(logits: ViewLogits) -> np.ndarray:
    """The class of the largest logit for each view and example, `[V, N]` int64."""
    winners = np.empty(logits.shape[:2], np.int64)
    for part, block in logits.blocks(values=_VALUES):
        winners[:, part] = block.argmax(axis=-1)
    return winners


def correct_views(logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """Whether each view gets each example right, `[V, N]` bool.

    Raises:
        ValueError: for labels that are not `[N]`.
    """
    check_labels(logits, labels)
    right: np.ndarray = predicted_classes(logits) == labels
    return right


def check_labels(logits: ViewLogits, labels: np.ndarray) -> None:
    """Refuse labels that are not one for each example.

    Raises:
        ValueError: for labels that are not `[N]`, or no examples.
    """
    if labels.shape != logits.shape[1:2] or len(labels) == 0:
        raise ValueError(f"expected labels [N] for N = {logits.shape[1]} > 0 examples, got {labels.shape}")


def headroom(logits: ViewLogits, labels: np.ndarray) -> Headroom:
    """Accuracy of identity (the first view), of the best single view, and of an oracle that picks the view.

    Raises:
        ValueError: for labels that are not `[N]`.
    """
    right = correct_views(logits, labels)
    accuracies = right.mean(axis=1)
    best = int(accuracies.argmax())
    return Headroom(float(accuracies[0]), float(accuracies[best]), best, float(right.any(axis=0).mean()))


def agreement(logits: ViewLogits) -> np.ndarray:
    """Share of examples for which two views predict the same class, `[V, V]` float64 in [0, 1], symmetric."""
    winners = predicted_classes(logits)
    return np.stack([(winners == row).mean(axis=1) for row in winners])


def error_correlation(logits: ViewLogits, labels: np.ndarray) -> np.ndarray:
    """Pearson's correlation (phi) of two views' errors (1 where wrong, else 0): `[V, V]` float64 in [-1, 1], symmetric.

    phi = (N n_ab - n_a n_b) / sqrt(n_a (N - n_a) n_b (N - n_b)), with n_a errors of one view, n_b of the other and n_ab
    of both. It does not exist where a view is always right or always wrong; it is taken as 1 where both views err on
    the very same examples (two that never err, or two that always do) and as 0 otherwise.

    Raises:
        ValueError: for labels that are not `[N]`.
    """
    wrong = (~correct_views(logits, labels)).astype(np.float64)
    examples, errors = wrong.shape[1], wrong.sum(axis=1)
    spread = np.sqrt(errors * (examples - errors))
    scale = np.outer(spread, spread)
    same = (errors[:, None] == errors) & (scale == 0)
    phi = np.where(same, 1.0, 0.0)
    np.divide(examples * (wrong @ wrong.T) - np.outer(errors, errors), scale, out=phi, where=scale > 0)
    np.fill_diagonal(phi, 1.0)
    return np.clip(phi, -1.0, 1.0)


def near_duplicates(logits: ViewLogits, *, tolerance: float = 1e-6) -> tuple[tuple[int, int], ...]:
    """Pairs of views (first place < second place) whose logits nowhere differ by more than `tolerance`.

    Such views are one view that is paid for, and counted in a mean, twice.

    Raises:
        ValueError: for a negative tolerance.
    """
    if not tolerance >= 0:
        raise ValueError(f"a tolerance is not negative, got {tolerance}")
    first, second = np.triu_indices(len(logits), 1)
    for _, block in logits.blocks():
        if len(first) == 0:  # most pairs part in the first block
            break
        for place in np.unique(first):
            mine = np.flatnonzero(first == place)
            apart = np.abs(block[second[mine]] - block[place]).max(axis=(1, 2)) > tolerance
            first, second = np.delete(first, mine[apart]), np.delete(second, mine[apart])
    return tuple(zip(first.tolist(), second.tolist(), strict=True))


def ambiguity(logits: ViewLogits, labels: np.ndarray) -> Ambiguity:
    """The ambiguity decomposition of `mean_probs` over all views, in squared error summed over classes.

    With p_v the probabilities of view v, m their mean and y the label as a 0/1 vector, for every example
    |m - y|^2 = mean over v of |p_v - y|^2 - mean over v of |p_v - m|^2. Krogh and Vedelsby (1995), "Neural network
    ensembles, cross validation, and active learning".

    Raises:
        ValueError: for labels that are not `[N]`.
    """
    check_labels(logits, labels)
    views, examples, classes = logits.shape
    errors, spread, ensemble = np.zeros(views), 0.0, 0.0
    for part, block in logits.blocks():
        probs = np.exp(log_softmax(block))
        mean = probs.mean(axis=0)
        truth = labels[part][:, None] == np.arange(classes)
        errors += ((probs - truth) ** 2).sum(axis=(1, 2))
        spread += float(((probs - mean) ** 2).sum())
        ensemble += float(((mean - truth) ** 2).sum())
    errors /= examples
    return Ambiguity(errors, float(errors.mean()), spread / (views * examples), ensemble / examples)
