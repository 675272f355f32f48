"""Which single views harm, and which classes: a six upside down is a nine.

Meant for validation logits: what is decided by it (leaving a view out) must not be decided on test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.diagnostics.redundancy import check_labels, predicted_classes
from harness.policies.logits import ViewLogits
from harness.significance import mcnemar_exact

STANDARD_ERRORS = 3.0  # a drop has to be larger than so many of its standard errors
FALSE_ALARM = 0.05  # chance of any flag at all, over all views and classes, where no view harms
NAMED = 3  # classes named in a sentence


@dataclass(frozen=True)
class HarmedClass:
    """A class that a view gets wrong where identity gets it right.

    Attributes:
        name: of the class.
        difference: accuracy within the class, the view's minus identity's, in [-1, 0).
        standard_error: of that difference, from the paired differences.
        taken_for: the class that most of the examples lost to the view are taken for.
    """

    name: str
    difference: float
    standard_error: float
    taken_for: str


@dataclass(frozen=True, eq=False)
class ViewCheck:
    """One view alone against identity, on the same examples.

    Attributes:
        view: its name.
        accuracy: of the view alone, in [0, 1].
        difference: its accuracy minus identity's.
        standard_error: of the difference; NaN for a single example.
        drops: the difference is flagged by the rule of `check_views`.
        class_accuracy: `[C]` float64; NaN for a class without examples.
        class_difference: `[C]` float64, the same minus identity's.
        class_standard_error: `[C]` float64; NaN for a class with fewer than two examples.
        harmed: the classes that are flagged, the largest drop first.
    """

    view: str
    accuracy: float
    difference: float
    standard_error: float
    drops: bool
    class_accuracy: np.ndarray
    class_difference: np.ndarray
    class_standard_error: np.ndarray
    harmed: tuple[HarmedClass, ...]

    @property
    def harms(self) -> bool:
        """True where anything is flagged: a class, or the accuracy over all."""
        return self.drops or bool(self.harmed)

    def sentence(self) -> str:
        """One line for people, which names three classes at most."""
        overall = f"{_points(self.difference)} points overall"
        if not self.harms:
            return f"view {self.view} harms no class: {overall}"
        named = [f"{c.name} ({_points(c.difference)} points, taken for {c.taken_for})" for c in self.harmed[:NAMED]]
        more = len(self.harmed) - NAMED
        tail = f" and {more} more class{'es' if more > 1 else ''}" if more > 0 else ""
        harmed = ", ".join(named) or "all classes a little, none alone for certain"
        return f"view {self.view} harms: {harmed}{tail}; {overall}"


@dataclass(frozen=True, eq=False)
class _Paired:
    """Views against identity within G groups of examples (the classes, then all of them): `[V, G]` each."""

    accuracy: np.ndarray
    difference: np.ndarray
    standard_error: np.ndarray
    corrected: np.ndarray
    corrupted: np.ndarray

    def flags(self) -> np.ndarray:
        """Which groups a view harms, `[V, G]` bool; see `check_views`."""
        with np.errstate(invalid="ignore"):
            candidates = self.difference < -STANDARD_ERRORS * self.standard_error
        level = FALSE_ALARM / max(1, (self.difference.shape[0] - 1) * self.difference.shape[1])
        flags: np.ndarray = candidates & (mcnemar_exact(self.corrected, self.corrupted) <= level)
        return flags


def check_views(
    logits: ViewLogits, labels: np.ndarray, *, class_names: Sequence[str], views: Sequence[str]
) -> tuple[ViewCheck, ...]:
    """Each single view's accuracy against identity, over all examples and within each class.

    A class (or the accuracy over all) is flagged where two things hold: it drops by more than three standard errors of
    the paired differences, and the exact McNemar p of its gains and losses is at most 0.05 / ((V - 1) (C + 1)),
    Bonferroni over everything that is looked at. The second is the guard where the first is blind: when every one of a
    few examples is lost the standard error is zero, however few they are. Two lost examples of two have p = 1/2; with
    one view and ten classes at least nine have to be lost, and none gained, before a class is flagged. Where no view
    harms, a flag of any kind comes up in at most one job in twenty.

    Args:
        logits: of V views, identity first.
        labels: `[N]` integers in [0, C).
        class_names: C names.
        views: V names.

    Returns:
        One check a view, in the order of the views, identity included.

    Raises:
        ValueError: for labels, class names or views that are not as many as the logits say.
    """
    check_labels(logits, labels)
    count, _, classes = logits.shape
    if (len(views), len(class_names)) != (count, classes):
        raise ValueError(f"expected {count} views and {classes} classes, got {len(views)} and {len(class_names)} names")
    predicted = predicted_classes(logits)
    paired = _compare(predicted == labels, labels, classes)
    flags = paired.flags()
    return tuple(
        ViewCheck(
            view=name,
            accuracy=float(paired.accuracy[v, -1]),
            difference=float(paired.difference[v, -1]),
            standard_error=float(paired.standard_error[v, -1]),
            drops=bool(flags[v, -1]),
            class_accuracy=paired.accuracy[v, :-1],
            class_difference=paired.difference[v, :-1],
            class_standard_error=paired.standard_error[v, :-1],
            harmed=_harmed(paired, flags[v, :-1], v, predicted=predicted, labels=labels, names=class_names),
        )
        for v, name in enumerate(views)
    )


def harm_sentences(checks: Sequence[ViewCheck]) -> tuple[str, ...]:
    """The sentences of the views that harm, the one that costs most (over all, or in its worst class) first."""

    def cost(check: ViewCheck) -> float:
        return min(check.difference, *(c.difference for c in check.harmed), 0.0)

    return tuple(check.sentence() for check in sorted(checks, key=cost) if check.harms)


def _compare(right: np.ndarray, labels: np.ndarray, classes: int) -> _Paired:
    """The paired comparison of `right [V, N]` with its first row; the last group is all examples."""
    counts = np.bincount(labels, minlength=classes)
    n = np.append(counts, counts.sum()).astype(np.float64)
    hits, corrected, corrupted = (_sums(hit, labels, classes) for hit in (right, right & ~right[0], ~right & right[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = (corrected - corrupted) / n
        variance = ((corrected + corrupted) / n - difference**2) * n / (n - 1)
        standard_error = np.where(n > 1, np.sqrt(np.maximum(variance, 0.0) / n), np.nan)
        return _Paired(hits / n, difference, standard_error, corrected, corrupted)


def _sums(hits: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How many hits each view has in each class and, last, in all: `[V, C + 1]` int64."""
    per_class = np.stack([np.bincount(labels[hit], minlength=classes) for hit in hits])
    total: np.ndarray = np.append(per_class, per_class.sum(axis=1, keepdims=True), axis=1)
    return total


def _harmed(
    paired: _Paired,
    flagged: np.ndarray,
    view: int,
    *,
    predicted: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
) -> tuple[HarmedClass, ...]:
    """The flagged classes of a view, the largest drop first."""
    places = sorted(np.flatnonzero(flagged).tolist(), key=lambda place: paired.difference[view, place])
    lost = (predicted[0] == labels) & (predicted[view] != labels)
    return tuple(
        HarmedClass(
            name=names[place],
            difference=float(paired.difference[view, place]),
            standard_error=float(paired.standard_error[view, place]),
            taken_for=names[int(np.bincount(predicted[view][lost & (labels == place)]).argmax())],
        )
        for place in places
    )


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"
