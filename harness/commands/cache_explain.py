"""`harness cache explain`: for a job, why its model and its passes are found in the store or missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config import Checkpoint, Config
from harness.json_output import print_json
from harness.model_source import ModelInfo
from harness.plan import logit_key, required_passes
from harness.runner import Job, finished_record, prepare
from harness.terminal import folded
from harness.upkeep.explanation import Miss, missing_checkpoint, missing_logits, missing_model
from harness.upkeep.inventory import Item, items
from harness.views import ForwardPass

SHOWN = 12  # views named for one reason


@dataclass(frozen=True)
class Explained:
    """A pass and why it is missed; None where it is stored."""

    item: ForwardPass
    miss: Miss | None


def main(config: Config, *, as_json: bool) -> int:
    """Prints why; nothing is trained, predicted or changed; 0."""
    job, found = prepare(config), items(Path(config.store))
    info = job.source.cached()
    model = None if info else _model(job, found)
    passes = _passes(job, info, found) if info else []
    if as_json:
        print_json(_as_data(job, info, model, passes))
        return 0
    lines = _finished(job) + _model_lines(job, info, model)
    lines += _pass_lines(passes) if info else [_unknown_passes(job)]
    print("\n".join(folded(lines, indent=4)))
    return 0


def _model(job: Job, found: Sequence[Item]) -> Miss:
    if isinstance(job.config.model, Checkpoint):
        return missing_checkpoint(job.source.specification, found, name=job.source.name)
    return missing_model(job.source.specification, found)


def _passes(job: Job, info: ModelInfo, found: Sequence[Item]) -> list[Explained]:
    explained = []
    for item in required_passes(job.policies, job.dataset):
        key = logit_key(item, dataset=job.dataset, model_digest=info.digest, engine=job.engine)
        split = job.dataset.split(item.split)
        explained.append(Explained(item, None if key in job.store else missing_logits(key, split, found)))
    return explained


def _finished(job: Job) -> list[str]:
    if finished_record(job.folder) is None:
        return []
    return [f"job: finished, and so found by its record: {job.folder}"]


def _model_lines(job: Job, info: ModelInfo | None, miss: Miss | None) -> list[str]:
    if info:
        how = "looked into before" if info.fingerprint is None else "trained before, by the same request and images"
        return [f"model: hit: {info.name}, digest {info.digest[:8]}: {how}"]
    assert miss is not None  # noqa: S101 - one of the two is given
    checkpoint = isinstance(job.config.model, Checkpoint)
    what = "nothing was found out about this checkpoint" if checkpoint else "no model of this fingerprint"
    head = f"model: miss: {what} ({job.source.asked[:8]})"
    if miss.nearest is None:
        return [f"{head}, and none to compare with"]
    return [f"{head}; nearest is {miss.nearest}, and differs in", *(f"  {change}" for change in miss.changes)]


def _unknown_passes(job: Job) -> str:
    count = len(required_passes(job.policies, job.dataset))
    return f"passes: {count} to run: logits are found by the model's digest, which is not known before there is a model"


def _pass_lines(passes: Sequence[Explained]) -> list[str]:
    groups: dict[tuple[str, ...], list[Explained]] = {}
    for one in passes:
        if one.miss:
            groups.setdefault(tuple(map(str, one.miss.changes)), []).append(one)
    hits = sum(one.miss is None for one in passes)
    lines = [f"passes: {hits} of {len(passes)} hit: same model, images, view and engine"]
    for changes, group in groups.items():
        names = [f"{one.item.split} under {one.item.view.name}" for one in group]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"{len(group)} miss: {', '.join(names[:SHOWN])}{more}")
        if changes:
            nearest = group[0].miss.nearest if len(group) == 1 and group[0].miss else "the nearest stored logits"
            lines += [f"  {nearest} differ in", *(f"    {change}" for change in changes)]
        else:
            lines.append("  nothing in the store to compare with")
    return lines


def _as_data(job: Job, info: ModelInfo | None, model: Miss | None, passes: Sequence[Explained]) -> dict[str, Any]:
    return {
        "finished": finished_record(job.folder) is not None,
        "model": {"name": job.source.name, "hit": info is not None, **_miss(model)},
        "passes": [
            {"split": one.item.split, "view": one.item.view.name, "hit": one.miss is None, **_miss(one.miss)}
            for one in passes
        ],
    }


def _miss(miss: Miss | None) -> dict[str, Any]:
    changes = [{"field": one.field, "stored": one.stored, "asked": one.asked} for one in miss.changes] if miss else []
    return {"nearest": miss.nearest if miss else None, "changes": changes}
