"""Two runs of one job compared, number by number: identical, within tolerance, or different.

Numbers decide. A verdict, or a chosen policy, that is another one is a difference; a number is one if it is off by more
than rounding explains (`harness.tolerances`). What only the second run has found, as a later version may, is counted
and decides nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from harness.records import IDENTITY, JobRecord, PolicyRecord
from harness.reproduction_numbers import SCORES, Numbers, Place, Predictions, record_numbers
from harness.tolerances import EXACT, IMAGE, KINDS, SHARE, Kind, Sizes, allowed, allowed_share, kind_of

Word = Literal["identical", "within tolerance", "different"]
ABSENT = "absent"
MOST_IMAGES = 5


@dataclass(frozen=True)
class Difference:
    """One number that is not the same.

    Attributes:
        place: where it stands. kind: what kind of number it is.
        before, after: as text, in full precision.
        off: by how much; infinite where there is no distance. allowed: how much rounding explains.
    """

    place: Place
    kind: Kind
    before: str
    after: str
    off: float
    allowed: float

    @property
    def beyond(self) -> bool:
        """True where it is no rounding."""
        return self.off > self.allowed

    def __str__(self) -> str:
        distance = f", off by {self.off:.2g}, allowed {self.allowed:.2g}" if math.isfinite(self.off) else ""
        return f"{self.place}: {_short(self.before)} -> {_short(self.after)}{distance}"


@dataclass(frozen=True)
class Comparison:
    """The verdict on a reproduction.

    Attributes:
        verdict: `identical` when every number has the same bits, `within tolerance` when none is off by more than
            rounding explains, else `different`.
        differences: what differs, the worst first.
        compared: how many numbers the first run has, all of which were looked for in the second.
        added: how many numbers only the second run has.
        flips: by policy, on how many test images its two runs name another class.
        images: the test images whose prediction by the model alone is off by more than rounding; the first few ids.
        moved_images: how many those are.
    """

    verdict: Word
    differences: tuple[Difference, ...]
    compared: int
    added: int = 0
    flips: Mapping[str, int] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    moved_images: int = 0


@dataclass(frozen=True)
class Findings:
    """What one run has found: its record, the numbers in its tables, its predictions where it kept them."""

    record: JobRecord
    tables: Numbers = field(default_factory=dict)
    predictions: Predictions = field(default_factory=dict)


def compare(first: Findings, second: Findings) -> Comparison:
    """Compares everything that the first run has found with the second."""
    names = renamed(first.record, second.record)
    old = {**record_numbers(first.record, names={}), **first.tables}
    new = {**record_numbers(second.record, names=names), **second.tables}
    sizes = _sizes(first.record)
    found = [
        item
        for place, value in old.items()
        if (item := _difference(place, value, new.get(place, ABSENT), sizes.get(place.subject, sizes[""])))
    ]
    predictions = {names.get(name, name): scores for name, scores in second.predictions.items()}
    common = [name for name in first.predictions if name in predictions]
    pairs = {name: (first.predictions[name], predictions[name]) for name in common}
    found += [item for name, pair in pairs.items() for item in _image_differences(name, *pair)]
    moved = moved_images(*pairs[IDENTITY]) if IDENTITY in pairs else np.empty(0, np.str_)
    found.sort(key=_order)
    return Comparison(
        verdict="different" if any(item.beyond for item in found) else "within tolerance" if found else "identical",
        differences=tuple(found),
        compared=len(old) + sum(a["nll"].size for a, _ in pairs.values()) * len(SCORES),
        added=len(new.keys() - old.keys()),
        flips={name: count for name, pair in pairs.items() if (count := _flips(*pair))},
        images=tuple(str(name) for name in moved[:MOST_IMAGES]),
        moved_images=len(moved),
    )


def renamed(first: JobRecord, second: JobRecord) -> dict[str, str]:
    """Policies of the second run that the first has under another name, with that name.

    They have the same views and aggregation, and each is the only one of its kind on its side.
    """
    old = {_identity(policy): policy.name for policy in first.policies}
    new = {_identity(policy): policy.name for policy in second.policies}
    known, now = set(old.values()), set(new.values())
    return {name: old[key] for key, name in new.items() if key in old and name not in known and old[key] not in now}


def moved_images(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> np.ndarray:
    """Ids of the examples whose confidence or NLL is off by more than rounding explains."""
    if not _same_examples(before, after):
        return np.empty(0, np.str_)
    moved = np.zeros(len(before["nll"]), bool)
    for name in SCORES[:2]:
        a, b = before[name].astype(np.float64), after[name].astype(np.float64)
        moved |= np.abs(a - b) > allowed(IMAGE, a)
    ids: np.ndarray = before["example"][moved]
    return ids


def _identity(policy: PolicyRecord) -> tuple[str, tuple[str, ...]]:
    return policy.aggregation, policy.view_keys


def _sizes(record: JobRecord) -> dict[str, Sizes]:
    """What the numbers of each policy are made of; under `` (no name) those of the rest."""
    counts = {name: split.count for name, split in record.dataset.splits.items()}
    shared = Sizes(counts.get("validation", 1), counts.get("test", 1), len(record.dataset.class_names))
    return {"": shared} | {f"policy {one.name}": replace(shared, views=len(one.views)) for one in record.policies}


def _difference(place: Place, before: float | str, after: float | str, sizes: Sizes) -> Difference | None:
    if before == after or _both_nan(before, after):
        return None
    if isinstance(before, str) or isinstance(after, str) or not (math.isfinite(before) and math.isfinite(after)):
        return Difference(place, EXACT, _text(before), _text(after), math.inf, 0.0)
    kind = kind_of(*place)
    limit = allowed_share(*place, sizes) if kind == SHARE else float(allowed(kind, before))
    return Difference(place, kind, _text(before), _text(after), abs(before - after), limit)


def _image_differences(
    name: str, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> Iterator[Difference]:
    """A policy's predictions, image by image; those of the model alone (identity) may move by rounding only.

    What an aggregation makes of rounding depends on the aggregation: a vote goes to another class as a whole.
    """
    subject = f"policy {name}"
    if not _same_examples(before, after):
        yield Difference(Place(subject, "test images"), EXACT, _count(before), _count(after), math.inf, 0.0)
        return
    for score in SCORES:
        a, b = before[score].astype(np.float64), after[score].astype(np.float64)
        off = np.abs(a - b)
        if not off.any():
            continue
        bound = allowed(IMAGE, a) if name == IDENTITY else np.full(len(a), math.inf)
        worst = int(np.argmax(off / bound if name == IDENTITY else off))
        yield Difference(Place(subject, f"{score} of image {before['example'][worst]}"), IMAGE, repr(float(a[worst])),
                         repr(float(b[worst])), float(off[worst]), float(bound[worst]))  # fmt: skip


def _same_examples(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(before[name], after[name]) for name in ("example", "label"))


def _flips(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> int:
    return int((before["predicted"] != after["predicted"]).sum()) if _same_examples(before, after) else 0


def _count(predictions: Mapping[str, np.ndarray]) -> str:
    return f"{len(predictions['example']):,} images and their labels"


def _both_nan(before: float | str, after: float | str) -> bool:
    return isinstance(before, float) and isinstance(after, float) and math.isnan(before) and math.isnan(after)


def _order(item: Difference) -> tuple[bool, int, float]:
    """What is beyond rounding first; then the kinds that matter most; then how far it is for its kind."""
    badness = item.off / item.allowed if item.allowed > 0 else math.inf
    return not item.beyond, [*KINDS].index(item.kind), -badness


def _short(text: str) -> str:
    """A number in as many digits as people read; full precision is in the JSON."""
    try:
        return f"{float(text):.8g}"
    except ValueError:
        return text


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else repr(float(value))
