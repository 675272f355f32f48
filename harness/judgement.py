"""The arithmetic of a job in one place: from stored logits to the policies' numbers, and what is found beside them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.blas import one_thread
from harness.diagnostics.training_match import unseen
from harness.evaluation import Evaluation, Settings, evaluate
from harness.findings import (
    Findings,
    conformal_by_class,
    curves,
    duplicates,
    harm,
    numbering,
    probes,
    redundancy,
    slices,
    view_seeds,
)
from harness.firewall import Examples
from harness.policies.policy import Policy, required_views
from harness.search_findings import search_null, subset_tables, subsets_tried
from harness.types import Dataset
from harness.views import IDENTITY, View

FINDINGS = "looking at views and subsets"

LEARNING = 20.0
"""What fitting a policy that learns costs, in scorings of a policy: it is fitted again for every fold."""


def steps(policies: Sequence[Policy], dataset: Dataset) -> dict[str, float]:
    """What `judge` will tell of, in its words, with the share of the work that each step is, roughly."""
    fits = {f"fitting {one.name}": LEARNING if one.aggregation.learns else 1.0 for one in policies}
    scores = {f"scoring {one.name}": 1.0 for one in policies}
    copies = {f"judging on {split.name}": len(policies) / 2 for split in dataset.slices}
    return {**fits, **scores, FINDINGS: 4.0, **copies}


@one_thread()  # so that no bit depends on the number of cores
def judge(
    policies: Sequence[Policy],
    dataset: Dataset,
    logits: Mapping[tuple[str, View], np.ndarray],
    *,
    settings: Settings,
    training: Mapping[str, Any] | None,
    input_size: tuple[int, int],
    advance: Callable[[str], None],
) -> tuple[Evaluation, Findings]:
    """Everything about the policies, from the logits of every split and view.

    Args:
        policies: identity first.
        dataset: its validation, test and corrupted copies of test.
        logits: by split name and view, `[N, C]` float32, possibly memory-mapped.
        settings: how policies are fitted and compared.
        training: `kind` and `arguments` of the model's training augmentation; None where that is unknown.
        input_size: (H, W) of the model.
        advance: told of each of `steps` before it begins.
    """
    examples = {name: Examples(dataset.split(name).ids, dataset.split(name).labels) for name in dataset.evaluated}
    wanted = required_views(policies)
    views = {name: {view: logits[name, view] for view in wanted} for name in dataset.evaluated}
    evaluation = evaluate(
        policies,
        lambda split, view: logits[split, view],
        {name: examples[name] for name in ("validation", "test")},
        settings=settings,
        tried=subsets_tried(policies),
        advance=advance,
    )
    advance(FINDINGS)
    test, validation = views["test"], views["validation"]
    seen = {"augmentation": training["kind"], "options": training["arguments"]} if training else {"augmentation": None}
    names = dataset.test.class_names
    findings = (
        numbering(validation[IDENTITY], examples["validation"], class_names=names)
        + harm(validation, examples["validation"], class_names=names)
        + Findings(warnings=unseen(wanted, **seen, size=input_size))
        + duplicates(validation)
        + redundancy(test, examples["test"])
        + probes(evaluation.fitted, test, seed=settings.seed)
        + curves(policies, test, examples["test"], seed=settings.seed)
        + view_seeds(evaluation)
        + conformal_by_class(evaluation, names)
        + subset_tables(policies, views, examples, settings=settings)
        + search_null(evaluation, test, examples["test"])
    )
    if dataset.slices:
        copies = {split.name: views[split.name] for split in dataset.slices}
        findings += slices(evaluation, copies, examples, advance=lambda name: advance(f"judging on {name}"))
    return evaluation, findings
