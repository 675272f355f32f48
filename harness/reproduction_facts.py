"""What two runs of one job rest on, and where it is not the same: configuration, code, data, model, environment.

Facts explain and do not decide. What the first run did not write down is left out: it says nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.records import JobRecord, PolicyRecord, SplitRecord
from harness.run_conditions import CODE

Group = Literal["config", "code", "data", "model", "environment"]
GROUPS: tuple[Group, ...] = ("config", "code", "data", "model", "environment")
ABSENT = "absent"
RETRAINED = (
    "the same training gave other weights: training multiplies rounding, so another number of threads, processor or "
    "build of TensorFlow ends at another network"
)


@dataclass(frozen=True)
class Fact:
    """Something that is not as it was.

    Attributes:
        group: one of `GROUPS`.
        what: its name. before, after: its values. why: what there is to say about it, or empty.
    """

    group: Group
    what: str
    before: str
    after: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}" + (f" ({self.why})" if self.why else "")


def facts(
    before: JobRecord,
    after: JobRecord,
    *,
    keys: Sequence[tuple[str, str, str]],
    given: Mapping[str, str],
    renamed: Mapping[str, str],
    chosen: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> tuple[Fact, ...]:
    """Everything that differs between what two records rest on, by group in the order of `GROUPS`.

    Args:
        before: the first record.
        after: the second.
        keys: dotted keys of the configuration with their values before and after.
        given: the keys that the user gave a value on the command line.
        renamed: policies of the second run by name, with their name in the first.
        chosen: what searching policies chose in the first run and in the second, by name.
    """
    found = [Fact("config", key, old, new, _why_key(key, old, given)) for key, old, new in keys]
    found += _code(before, after, renamed)
    found += _data(before, after)
    found += [Fact("environment", *pair) for pair in _versions(before, after) if pair[0] not in CODE]
    if before.model.digest != after.model.digest:
        trained = after.model.fingerprint is not None and before.model.fingerprint == after.model.fingerprint
        why = RETRAINED if trained else "other weights, or other preprocessing"
        found.append(Fact("model", "digest", before.model.digest[:12], after.model.digest[:12], why))
    found += _chosen(*chosen, renamed)
    return tuple(sorted(found, key=lambda fact: GROUPS.index(fact.group)))


def _chosen(before: Mapping[str, str], after: Mapping[str, str], renamed: Mapping[str, str]) -> Iterator[Fact]:
    for name, new in after.items():
        old = before.get(renamed.get(name, name), new)
        if old != new:
            yield Fact(
                "model", f"choice of {name}", old, new, "its candidates were as good as equal, or its logits moved"
            )


def _why_key(key: str, before: str, given: Mapping[str, str]) -> str:
    if key in given:
        return "given on the command line"
    if key == "model.trust":
        return "trust is not taken over from a run: give model.trust=true"
    return "this version of the schema has it" if before == ABSENT else ""


def _code(before: JobRecord, after: JobRecord, renamed: Mapping[str, str]) -> Iterator[Fact]:
    """The versions of our code, the commit of the working directory, and policies whose meaning or name moved."""
    for name, old, new in _versions(before, after):
        if name in CODE:
            yield Fact("code", name, old, new)
    if before.commit != after.commit:
        yield Fact("code", "git commit", before.commit or "none", after.commit or "none")
    elif "yes" in (after.versions.get(CODE[-1]), before.versions.get(CODE[-1])):
        yield Fact(
            "code", "git commit", before.commit or "none", "the same", "with uncommitted changes, perhaps others"
        )
    for new_name, old_name in renamed.items():
        yield Fact("code", "policy", old_name, new_name, "the same views and aggregation under another name")
    known = {policy.name: policy for policy in before.policies}
    for policy in after.policies:
        if policy.name in known:
            yield from _of_policy(known[policy.name], policy)


def _of_policy(old: PolicyRecord, new: PolicyRecord) -> Iterator[Fact]:
    if old.view_keys != new.view_keys:
        views = "the same names, specified differently" if old.views == new.views else ""
        yield Fact("code", f"views of {new.name}", " ".join(old.views), " ".join(new.views), views)
    if old.aggregation != new.aggregation:
        yield Fact("code", f"aggregation of {new.name}", old.aggregation, new.aggregation)


def _data(before: JobRecord, after: JobRecord) -> Iterator[Fact]:
    old, new = before.dataset, after.dataset
    for name in sorted(old.splits.keys() | new.splits.keys()):
        a, b = old.splits.get(name), new.splits.get(name)
        if a is None or b is None or a.digest != b.digest:
            yield Fact("data", name, _split(a), _split(b), _changed(a, b))
    if old.class_names != new.class_names:
        yield Fact("data", "class names", " ".join(old.class_names), " ".join(new.class_names))


def _split(split: SplitRecord | None) -> str:
    return ABSENT if split is None else f"{split.digest[:12]}, {split.count:,} images"


def _changed(old: SplitRecord | None, new: SplitRecord | None) -> str:
    if old is None or new is None:
        return ""
    if old.count != new.count:
        return "another number of images"
    if not old.labels or not new.labels:
        return "as many images; their pixels or labels are others"
    return "the same labels, other images" if old.labels == new.labels else "other labels, perhaps other images"


def _versions(before: JobRecord, after: JobRecord) -> Iterator[tuple[str, str, str]]:
    for name in sorted(before.versions.keys() | after.versions.keys()):
        old, new = before.versions.get(name, ABSENT), after.versions.get(name, ABSENT)
        if old != new and (old != ABSENT or _is_package(name) or "processor" in before.versions):
            yield name, old, new


def _is_package(name: str) -> bool:
    """Packages are written down completely; other conditions are not by older versions of ours."""
    return name.islower() and ":" not in name and " " not in name and name not in (*CODE, "processor", "cores")
