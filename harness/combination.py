"""Several training seeds as one result: jobs that differ in their seed alone, combined image by image.

What one training says about a policy holds for that network; what several trainings say on the same images, with an
interval over both, holds for the next network as well.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.policies.policy import without_view_seed
from harness.record_files import read_predictions, read_record
from harness.records import IDENTITY, Cell, JobRecord, Table
from harness.seed_groups import Job, Shared, in_common
from harness.selection import verdict_by_intervals
from harness.types import Estimate
from harness.variance import Ledger, two_way_interval, variance_ledger

SCORES = ("accuracy", "nll_calibrated")


@dataclass(frozen=True)
class CombinedPolicy:
    """A policy over all seeds.

    Attributes:
        name: the policy's. passes: per image, the mean.
        accuracy: over seeds and images. accuracy_sd: between seeds, the sample standard deviation; 0 for one seed.
        nll_calibrated: over seeds and images.
        gains: of accuracy and nll_calibrated over identity, positive is better; interval over seeds and images.
        chosen: in how many jobs it was the one chosen on validation.
    """

    name: str
    passes: float
    accuracy: float
    accuracy_sd: float
    nll_calibrated: float
    gains: dict[str, Estimate]
    chosen: int

    @property
    def verdict(self) -> str:
        """`ship` or `do not ship` where the interval of the calibrated NLL gain lies on one side of zero."""
        if self.name == IDENTITY:
            return ""
        return verdict_by_intervals(self.gains, criterion="nll_calibrated")


@dataclass(frozen=True)
class Combination:
    """Jobs of one data set, model and list of policies that differ in their training seed.

    Attributes:
        name: data set and model, and what tells this combination from others of the same two.
        seeds: S training seeds. examples: N images, the same in all jobs.
        policies: by calibrated NLL, lowest first.
        ledgers: where the variance of the accuracy gain comes from, by policy; for policies of several view seeds, by
            their common name.
    """

    name: str
    seeds: tuple[int, ...]
    examples: int
    policies: tuple[CombinedPolicy, ...]
    ledgers: dict[str, Ledger]

    def ledger(self, policy: str) -> Ledger | None:
        """The ledger that a policy is in; None for identity."""
        return self.ledgers.get(without_view_seed(policy))

    def table(self) -> Table:
        """One row a policy."""
        columns = ("policy", "passes", "accuracy", "accuracy_sd", "nll_calibrated",
                   *(f"{name}_gain{end}" for name in SCORES for end in ("", "_lower", "_upper")),
                   "chosen", "verdict")  # fmt: skip
        rows: list[tuple[Cell, ...]] = [
            (
                one.name,
                one.passes,
                one.accuracy,
                one.accuracy_sd,
                one.nll_calibrated,
                *(value for name in SCORES for value in one.gains[name].ends),
                float(one.chosen),
                one.verdict,
            )
            for one in self.policies
        ]
        return Table(self.name, columns, tuple(rows))

    def ledger_table(self) -> Table:
        """The share of each source in the variance of the accuracy gain, one row a policy and source."""
        rows = tuple(
            (name, source, ledger.components[source], ledger.contributions[source], share, source in ledger.clipped)
            for name, ledger in self.ledgers.items()
            for source, share in ledger.shares.items()
        )
        columns = ("policy", "source", "component", "contribution", "share", "clipped")
        return Table(f"{self.name}-variance", columns, rows)


def combine(folders: Iterable[Path], *, resamples: int, seed: int, level: float) -> list[Combination]:
    """One combination for all jobs that differ in nothing but their training seed.

    Args:
        folders: of finished jobs.
        resamples: of the bootstrap of images, where there is one seed.
        seed: of the same.
        level: of the intervals.

    Raises:
        DataError: for no jobs, two jobs of one seed, or jobs whose test images or policies differ.
    """
    return combine_each([folders], resamples=resamples, seed=seed, level=level)


def combine_each(groups: Iterable[Iterable[Path]], *, resamples: int, seed: int, level: float) -> list[Combination]:
    """As `combine`, for groups whose jobs are not compared with those of another; no two results have one name.

    Raises:
        DataError: as `combine`.
    """
    found = [item for folders in groups for item in _by_training(folders).items()]
    if not found:
        raise DataError("expected finished jobs to combine, got none: name their folders, a study or a sweep")
    names = _names([shared for shared, _ in found])
    return [
        _combined(name, jobs, resamples=resamples, seed=seed, level=level)
        for name, (_, jobs) in zip(names, found, strict=True)
    ]


def _by_training(folders: Iterable[Path]) -> dict[Shared, list[Job]]:
    groups: dict[Shared, list[Job]] = {}
    for folder in folders:
        record = read_record(folder)
        groups.setdefault(in_common(record, folder), []).append((record, folder))
    return groups


def _names(groups: Sequence[Shared]) -> list[str]:
    """Data set and model of each group, and where several have the same two, the settings that tell them apart.

    Groups that share them all (other policies, other test images) are numbered.
    """
    names: list[str] = []
    for group in groups:
        alike = [dict(other) for other in groups if other[:2] == group[:2]]
        differ = [f"{key}={value}" for key, value in group[2:] if any(other.get(key) != value for other in alike)]
        name = re.sub(r"[^\w.=-]+", "_", "-".join([group[0][1], group[1][1], *differ]))
        earlier = groups[: len(names)].count(group)
        names.append(f"{name}-{earlier + 1}" if earlier else name)
    return names


def _combined(name: str, jobs: Sequence[Job], *, resamples: int, seed: int, level: float) -> Combination:
    jobs = sorted(jobs, key=lambda job: job[0].seed)
    records = [record for record, _ in jobs]
    _require_comparable(records)
    scores = [_read_scores(folder) for _, folder in jobs]
    names = [policy.name for policy in records[0].policies]
    differences = {
        name: {score: np.stack([one[name][score] - one[IDENTITY][score] for one in scores]) for score in SCORES}
        for name in names
    }
    policies = [
        CombinedPolicy(
            name=name,
            passes=float(np.mean([record.policy(name).passes for record in records])),
            accuracy=float(np.mean([one[name]["accuracy"] for one in scores])),
            accuracy_sd=_spread([float(one[name]["accuracy"].mean()) for one in scores]),
            nll_calibrated=-float(np.mean([one[name]["nll_calibrated"] for one in scores])),
            gains={
                score: two_way_interval(found, resamples=resamples, seed=seed, level=level)
                for score, found in differences[name].items()
            },
            chosen=sum(record.recommendation.policy == name for record in records),
        )
        for name in names
    ]
    return Combination(
        name=name,
        seeds=tuple(record.seed for record in records),
        examples=records[0].dataset.splits["test"].count,
        policies=tuple(sorted(policies, key=lambda one: (one.nll_calibrated, one.name))),
        ledgers=_ledgers({name: found["accuracy"] for name, found in differences.items() if name != IDENTITY}),
    )


def _require_comparable(records: Sequence[JobRecord]) -> None:
    first = records[0]
    for record in records[1:]:
        if record.dataset.splits["test"].digest != first.dataset.splits["test"].digest:
            raise DataError(f"jobs {first.name} and {record.name} have different test images: they cannot be paired")
        ours, theirs = ({(one.name, one.aggregation, one.view_keys) for one in job.policies} for job in (first, record))
        if ours != theirs:
            only = ", ".join(sorted({name for name, *_ in ours ^ theirs})[:5])
            raise DataError(
                f"jobs {first.name} and {record.name} differ in policies ({only}): "
                "name the folders of one tta, or --sweep ID"
            )
    seeds = [record.seed for record in records]
    twice = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if twice is not None:
        raise DataError(
            f"two jobs of {first.dataset.name} and {first.params['model']} have seed {twice}: name the folders of one"
        )


def _read_scores(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Per policy, the utilities of each test image in the order of the split: larger is better."""
    return {
        name: {
            "accuracy": found["correct"].astype(np.float64),
            "nll_calibrated": -found["nll_calibrated"].astype(np.float64),
        }
        for name, found in read_predictions(folder, ("correct", "nll_calibrated")).items()
    }


def _ledgers(differences: dict[str, np.ndarray]) -> dict[str, Ledger]:
    """A ledger for each policy; policies that differ in their view seed share one."""
    by_name: dict[str, list[np.ndarray]] = {}
    for name, found in differences.items():
        by_name.setdefault(without_view_seed(name), []).append(found)
    return {name: variance_ledger(np.stack(found, axis=1)) for name, found in by_name.items()}


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
