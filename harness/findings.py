"""What a job finds beside its leaderboard: views that harm, headroom, curves of random views, subsets, corruptions.

What is decided by a finding (leaving a view out) comes from validation; what is merely reported comes from test.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.cross_fitting import FittedPolicy
from harness.diagnostics.class_order import class_order, order_sentence
from harness.diagnostics.compatibility import check_views, harm_sentences
from harness.diagnostics.draws import Curve, break_even, copies_curve, draw_curve
from harness.diagnostics.probes import probe_aggregation
from harness.diagnostics.redundancy import agreement, ambiguity, error_correlation, headroom, near_duplicates
from harness.evaluation import Evaluation, gains_over_first, score
from harness.firewall import Examples
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy, without_view_seed
from harness.records import Cell, Table
from harness.transforms.random import is_random
from harness.views import IDENTITY, View

DRAWS = (1, 2, 3, 5, 7, 10, 15, 25, 50)
REPEATS = 200
PLAIN_MEANS = ("mean_probs", "mean_logits", "gmean_probs")


@dataclass(frozen=True)
class Findings:
    """Beside the leaderboard.

    Attributes:
        tables: to be kept with the record. warnings: sentences for people. numbers: by name, for the job as a whole.
        of_policies: by policy, further numbers by their full names.
    """

    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    of_policies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.tables + other.tables,
            self.warnings + other.warnings,
            {**self.numbers, **other.numbers},
            {**self.of_policies, **other.of_policies},
        )


def harm(views: Mapping[View, np.ndarray], examples: Examples, *, class_names: Sequence[str]) -> Findings:
    """Each single view's accuracy against identity, class by class, on validation; and what harms in sentences."""
    names = [view.name for view in views]
    checks = check_views(ViewLogits(tuple(views.values())), examples.labels, class_names=class_names, views=names)
    columns = ("view", "accuracy", "difference", "standard_error", "harms", "harmed_classes")
    rows = tuple(
        (
            check.view,
            check.accuracy,
            check.difference,
            _finite(check.standard_error),
            check.harms,
            "; ".join(f"{one.name} {one.difference:+.4f} as {one.taken_for}" for one in check.harmed),
        )
        for check in checks
    )
    by_class = tuple(
        (check.view, name, _finite(accuracy), _finite(difference), _finite(error))
        for check in checks
        for name, accuracy, difference, error in zip(
            class_names, check.class_accuracy, check.class_difference, check.class_standard_error, strict=True
        )
    )
    return Findings(
        tables=(
            Table("views", columns, rows),
            Table("views_by_class", ("view", "class", "accuracy", "difference", "standard_error"), by_class),
        ),
        warnings=harm_sentences(checks),
    )


def numbering(logits: np.ndarray, examples: Examples, *, class_names: Sequence[str]) -> Findings:
    """A warning and the order, where identity's logits `[N, C]` on validation say that the classes are in another."""
    found = class_order(logits, examples.labels)
    if found is None:
        return Findings()
    rows = tuple(
        (name, class_names[place] if place is not None else None)
        for name, place in zip(class_names, found.order, strict=True)
    )
    table = Table("class_order", ("class_of_output", "seems_to_be"), rows)
    return Findings(tables=(table,), warnings=(order_sentence(found, class_names),))


def duplicates(views: Mapping[View, np.ndarray]) -> Findings:
    """Views that give the same logits, on validation: one of them would do."""
    names = [view.name for view in views]
    pairs = near_duplicates(ViewLogits(tuple(views.values())))
    return Findings(
        warnings=tuple(f"views {names[a]} and {names[b]} give the same logits: one would do" for a, b in pairs)
    )


def redundancy(views: Mapping[View, np.ndarray], examples: Examples) -> Findings:
    """How much there is to gain, and how far the views say the same, on test.

    The parts of the mean of all views' probabilities are of its Brier score: members - ambiguity = ensemble.
    """
    logits, names = ViewLogits(tuple(views.values())), [view.name for view in views]
    found, parts = headroom(logits, examples.labels), ambiguity(logits, examples.labels)
    numbers = {
        "headroom/identity": found.identity,
        "headroom/best_view": found.best_single,
        "headroom/oracle": found.oracle,
        "headroom/members_brier": parts.members,
        "headroom/ambiguity": parts.ambiguity,
        "headroom/ensemble_brier": parts.ensemble,
    }
    return Findings(
        tables=(
            _matrix("agreement", names, agreement(logits)),
            _matrix("error_correlation", names, error_correlation(logits, examples.labels)),
        ),
        numbers=numbers,
    )


def probes(fitted: Sequence[FittedPolicy], views: Mapping[View, np.ndarray], *, seed: int) -> Findings:
    """Whether every aggregation treats each example by itself."""
    warnings = []
    for one in fitted:
        logits = ViewLogits(tuple(views[view] for view in one.policy.views))
        duplicates = one.policy.aggregation.kind in PLAIN_MEANS
        probe = probe_aggregation(one.fitted, logits, seed=seed, duplicates=duplicates)
        warnings += [f"policy {one.policy.name}: {finding}" for finding in probe.findings]
    return Findings(warnings=tuple(warnings))


def curves(policies: Sequence[Policy], views: Mapping[View, np.ndarray], examples: Examples, *, seed: int) -> Findings:
    """Accuracy on test against the number of copies of each policy of random views, from stored logits."""
    rows: list[tuple[Cell, ...]] = []
    seen: set[tuple[View, ...]] = set()
    identity = float((np.asarray(views[IDENTITY]).argmax(axis=1) == examples.labels).mean())
    for policy in policies:
        copies = tuple(view for view in policy.views if _is_random(view))
        support = _support(copies, views)
        # Copies of any seed have the same outcomes, and so one curve where these are known.
        if len(copies) < 2 or (support or copies) in seen:
            continue
        seen.add(support or copies)
        curve = _curve(copies, support, views, examples, seed=seed)
        rest = (curve.limit, break_even(curve, identity), curve.level, curve.method)
        rows += [
            (policy.name, "mean_probs", float(n), mean, lower, upper, *rest)
            for n, mean, lower, upper in zip(curve.ns, curve.mean, curve.lower, curve.upper, strict=True)
        ]
    columns = ("policy", "aggregation", "copies", "accuracy", "lower", "upper", "limit", "break_even", "level",
               "method")  # fmt: skip
    return Findings(tables=(Table("copies", columns, tuple(rows)),) if rows else ())


def conformal_by_class(evaluation: Evaluation, class_names: Sequence[str]) -> Findings:
    """How often the conformal sets of each policy hold the label, class by class, on test."""
    rows = tuple(
        (result.policy.name, method, name, None if np.isnan(share) else float(share))
        for result in evaluation.results
        for method, sets in result.conformal.items()
        for name, share in zip(class_names, sets.class_coverage, strict=True)
    )
    return Findings(tables=(Table("conformal_by_class", ("policy", "method", "class", "coverage"), rows),))


def view_seeds(evaluation: Evaluation) -> Findings:
    """How far policies lie apart on test that differ in the seed of their random views alone."""
    groups: dict[str, list[float]] = {}
    for result in evaluation.results:
        groups.setdefault(without_view_seed(result.policy.name), []).append(result.test["accuracy"])
    rows = tuple(
        (name, float(len(found)), float(np.mean(found)), float(np.std(found, ddof=1)), min(found), max(found))
        for name, found in groups.items()
        if len(found) > 1
    )
    columns = ("policy", "view_seeds", "accuracy", "accuracy_sd", "lowest", "highest")
    return Findings(tables=(Table("view_seeds", columns, rows),) if rows else ())


def slices(
    evaluation: Evaluation,
    views: Mapping[str, Mapping[View, np.ndarray]],
    examples: Mapping[str, Examples],
    *,
    advance: Callable[[str], None] = lambda _name: None,
) -> Findings:
    """The fitted policies on corrupted copies of test: a row for each policy and corruption, then means and worst.

    `advance` is told each copy's name before it is judged on.
    """
    rows: list[tuple[Cell, ...]] = []
    by_policy: dict[str, list[tuple[str, float, float, float]]] = {}
    for name, logits in views.items():
        advance(name)
        scored = score(evaluation.fitted, logits, examples[name], settings=evaluation.settings, report=False)
        for one, gain in zip(scored, gains_over_first(scored, settings=evaluation.settings), strict=True):
            found, accuracy = one.metrics, gain["accuracy"]
            corruption = name.partition("@")[2]
            rows.append(
                (
                    one.fitted.policy.name,
                    corruption,
                    found["accuracy"],
                    accuracy.value,
                    accuracy.lower,
                    accuracy.upper,
                    found["nll_calibrated"],
                    gain["nll_calibrated"].value,
                )
            )
            values = (corruption, found["accuracy"], accuracy.value, found["nll_calibrated"])
            by_policy.setdefault(one.fitted.policy.name, []).append(values)
    summary = [_slice_summary(policy, found) for policy, found in by_policy.items()]
    columns = ("policy", "corruption", "accuracy", "gain", "gain_lower", "gain_upper", "nll_calibrated",
               "nll_calibrated_gain")  # fmt: skip
    return Findings(
        tables=(
            Table("corruptions", columns, tuple(rows)),
            Table(
                "corruptions_summary",
                ("policy", "mean_accuracy", "worst_accuracy", "worst_corruption", "mean_gain", "worst_gain",
                 "worst_gain_corruption", "mean_nll_calibrated"),
                tuple(summary),
            ),
        ),
        of_policies={
            policy: {
                "corruptions/mean_accuracy": mean,
                "corruptions/worst_accuracy": worst,
                "corruptions/mean_gain": gain,
                "corruptions/mean_nll_calibrated": nll,
            }
            for policy, mean, worst, _, gain, _, _, nll in summary
        },
    )  # fmt: skip


def _slice_summary(
    policy: str, found: Sequence[tuple[str, float, float, float]]
) -> tuple[str, float, float, str, float, float, str, float]:
    worst, worst_gain = min(found, key=lambda row: row[1]), min(found, key=lambda row: row[2])
    accuracy, gain, nll = (float(np.mean([row[place] for row in found])) for place in (1, 2, 3))
    return policy, accuracy, worst[1], worst[0], gain, worst_gain[2], worst_gain[0], nll


def _finite(value: float) -> Cell:
    """The number, or None for a class without examples, which has none."""
    return float(value) if np.isfinite(value) else None


def _is_random(view: View) -> bool:
    return any(is_random(transform) for transform in view.transforms)


def _support(copies: Sequence[View], views: Mapping[View, np.ndarray]) -> tuple[View, ...] | None:
    """The outcomes of the copies, where all have the same, finitely many, and these were predicted too."""
    supports = {view.outcomes() for view in copies}
    outcomes = supports.pop() if len(supports) == 1 else None
    return outcomes if outcomes is not None and all(view in views for view in outcomes) else None


def _curve(
    copies: Sequence[View],
    support: Sequence[View] | None,
    views: Mapping[View, np.ndarray],
    examples: Examples,
    *,
    seed: int,
) -> Curve:
    """By the support where it is known, else by the copies that are stored."""
    if support is not None:
        logits = ViewLogits(tuple(views[view] for view in support))
        chances = [1 / len(support)] * len(support)
        return draw_curve(logits, examples.labels, probabilities=chances, ns=DRAWS, repeats=REPEATS, seed=seed)
    logits = ViewLogits(tuple(views[view] for view in copies))
    ns = [n for n in DRAWS if n < len(copies)]
    return copies_curve(logits, examples.labels, ns=[*ns, len(copies)], repeats=REPEATS, seed=seed)


def _matrix(name: str, names: Sequence[str], values: np.ndarray) -> Table:
    rows: list[tuple[Cell, ...]] = [(one, *row.tolist()) for one, row in zip(names, values, strict=True)]
    return Table(name, ("view", *names), tuple(rows))
