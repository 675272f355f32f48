"""What a search over views looked at: every subset with its numbers, and what luck alone would have found."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from harness.evaluation import Evaluation, Settings
from harness.findings import Findings
from harness.firewall import Examples
from harness.policies.best_subset import BestSubset
from harness.policies.linear import WeightedMeans
from harness.policies.linear_temperatures import criterion_scores
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy
from harness.policies.subset_gains import subset_gains
from harness.policies.subsets import SubsetTable, percentile, random_subset_null, search_subsets, subsets
from harness.policies.weighted import WeightedMean
from harness.records import Cell, Table
from harness.significance import holm
from harness.views import View

NULL_SUBSETS = 200


def subsets_tried(policies: Sequence[Policy]) -> int:
    """How many policies the job's searches look at, for the correction of all others."""
    searches = _searches(policies).values()
    return sum(len(family) for policy, size in searches for family in subsets(len(policy.views), up_to=size))


def subset_tables(
    policies: Sequence[Policy],
    views: Mapping[str, Mapping[View, np.ndarray]],
    examples: Mapping[str, Examples],
    *,
    settings: Settings,
) -> Findings:
    """For each entry that searches subsets, a table of all of them: chosen on validation, told on test.

    Args:
        policies: of the job.
        views: by split, `validation` and `test`: a view to its logits.
        examples: of the same.
        settings: the criterion, and how intervals are made.
    """
    searches = _searches(policies)
    tables = {
        name: _search(policy, size, views["validation"], examples["validation"])
        for name, (policy, size) in searches.items()
    }
    tried = subsets_tried(policies) + len(policies) - 1
    rows = [
        _table(name, tables[name], policy, views["test"], examples["test"], settings=settings, tried=tried)
        for name, (policy, _) in searches.items()
    ]
    return Findings(tables=tuple(rows))


def search_null(evaluation: Evaluation, views: Mapping[View, np.ndarray], examples: Examples) -> Findings:
    """Where each searched mean stands among means, in its space, of random subsets of as many of its views, on test."""
    rows: list[tuple[Cell, ...]] = []
    criterion = evaluation.settings.criterion
    for one in evaluation.fitted:
        found = one.fitted
        if one.policy.aggregation.kind not in ("gps", "best_subset") or not isinstance(found, WeightedMean):
            continue
        logits = ViewLogits(tuple(views[view] for view in one.policy.views))
        size = sum(weight != 0 for weight in found.weights)
        null = random_subset_null(
            logits, examples.labels, size=size, subsets=NULL_SUBSETS, seed=evaluation.settings.seed,
            criterion=criterion, space=found.space,
        )  # fmt: skip
        searched = WeightedMeans(found.space, np.array([found.weights]))
        score = float(criterion_scores(searched, logits, labels=examples.labels, criterion=criterion)[0])
        rows.append(
            (one.policy.name, float(size), score, float(null.mean()), float(null.max()), float(len(null)),
             percentile(score, null))
        )  # fmt: skip
    columns = ("policy", "views", "score", "random_mean", "random_best", "random_subsets", "percentile")
    return Findings(tables=(Table("search_null", columns, tuple(rows)),) if rows else ())


def _searches(policies: Sequence[Policy]) -> dict[str, tuple[Policy, int]]:
    """Each set of views that is searched, under the name of its entry, with the largest size asked for."""
    found: dict[tuple[View, ...], tuple[Policy, int]] = {}
    for policy in policies:
        if isinstance(policy.aggregation, BestSubset):
            size = policy.aggregation.size
            found[policy.views] = max(found.get(policy.views, (policy, 0)), (policy, size), key=lambda one: one[1])
    return {re.sub(r"\.\d+(?=(\.seed\d+)?$)", "", policy.name): (policy, size) for policy, size in found.values()}


def _search(policy: Policy, size: int, views: Mapping[View, np.ndarray], examples: Examples) -> SubsetTable:
    logits = ViewLogits(tuple(views[view] for view in policy.views))
    return search_subsets(logits, examples.labels, up_to=size)


def _table(
    name: str,
    table: SubsetTable,
    policy: Policy,
    views: Mapping[View, np.ndarray],
    examples: Examples,
    *,
    settings: Settings,
    tried: int,
) -> Table:
    """All subsets in the order of the search, the front marked; p-values are corrected for all that were tried."""
    logits = ViewLogits(tuple(views[view] for view in policy.views))
    gains = subset_gains(
        table,
        logits,
        examples.labels,
        resamples=settings.resamples,
        seed=settings.seed,
        level=settings.level,
    )
    adjusted = holm(gains.p_values.tolist(), tried=tried)
    front = set(table.pareto(settings.criterion))
    rows = tuple(
        (
            " ".join(policy.views[view].name for view in table.views[place]),
            f"mean_{table.spaces[place]}",
            float(table.passes[place]),
            float(table.accuracy[place]),
            float(table.nll_calibrated[place]),
            float(table.temperatures[place]),
            float(gains.accuracy[place]),
            float(gains.nll_calibrated[place]),
            *gains.accuracy_gains[place].ends,
            *gains.nll_calibrated_gains[place].ends,
            float(gains.p_values[place]),
            adjusted[place],
            place in front,
        )
        for place in range(len(table))
    )
    columns = ("views", "aggregation", "passes", "validation_accuracy", "validation_nll_calibrated", "temperature",
               "test_accuracy", "test_nll_calibrated", "gain", "gain_lower", "gain_upper", "nll_calibrated_gain",
               "nll_calibrated_gain_lower", "nll_calibrated_gain_upper", "p_value", "p_value_adjusted",
               "front")  # fmt: skip
    return Table(f"subsets_{name}", columns, rows)
