"""Why a job finds a thing in the store or misses it: the nearest one that is there, and the fields that differ.

Compared are the specifications that things are found by: what was asked of a training, and what logits are the logits
of. A fingerprint alone says that something differs; the specification beside the thing says what.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.dotted_keys import leaves
from harness.fingerprint import canonical
from harness.store import LogitKey
from harness.types import Split
from harness.upkeep.inventory import CHECKPOINT, LOGITS, MODEL, Item, read_side

ABSENT = "(absent)"
UNKNOWN = "unknown: stored by an older version"
NAMES = {
    "request.training": "training",
    "request.model_options": "model.arguments",
    "request.model": "model.kind",
    "request.augmentation_options": "augmentation.arguments",
    "request.augmentation": "augmentation.kind",
    "request.seed": "seed",
    "request.input_shape": "image shape",
    "request.num_classes": "number of classes",
    "train": "train images",
    "validation": "validation images",
    "version": "version of the training code",
    "file": "file of the checkpoint",
    "preprocessing": "model.preprocessing",
    "output": "model.output",
    "image_shape": "image shape",
    "center_crop": "dataset.center_crop",
}
"""Fields of a specification as the configuration calls them."""

HINT = "dataset.seed, validation_fraction, train_fraction, limit_test, or the data themselves"


@dataclass(frozen=True)
class Change:
    """A field that differs: what is stored, what is asked."""

    field: str
    stored: Any
    asked: Any

    def __str__(self) -> str:
        if self.stored == UNKNOWN:
            return f"{self.field}: {UNKNOWN}"
        if _is_digest(self.stored) and _is_digest(self.asked):
            why = f" ({HINT})" if self.field.endswith("images") else ""
            return f"{self.field}: others, digest {self.stored[:8]} → {self.asked[:8]}{why}"
        return f"{self.field} {_text(self.stored)} → {_text(self.asked)}"


@dataclass(frozen=True)
class Miss:
    """Why something is not there: the nearest thing that is, and what differs; None and nothing for an empty store."""

    nearest: str | None
    changes: tuple[Change, ...]


def missing_model(specification: Mapping[str, Any], found: Iterable[Item]) -> Miss:
    """Why no model of this specification is stored: the stored one with the fewest differing fields.

    A model that an older version stored holds its training request, but not of which images.
    """
    asked = _flat(specification)
    candidates = [
        Miss(item.path.name, tuple(_changes(stored, asked)))
        for item in found
        if item.kind == MODEL and (stored := _asked_of(item.told))
    ]
    return min(candidates, key=lambda miss: len(miss.changes), default=Miss(None, ()))


def missing_checkpoint(specification: Mapping[str, Any], found: Iterable[Item], *, name: str) -> Miss:
    """Why a checkpoint must be looked into again: what was found out before about one of this name."""
    asked = _flat(specification)
    files = [file for item in found if item.kind == CHECKPOINT and item.model == name for file in item.files]
    candidates = [
        Miss(file.name, tuple(_changes(_flat(told["specification"]), asked)))
        for file in files
        if isinstance((told := read_side(file)).get("specification"), Mapping)
    ]
    return min(candidates, key=lambda miss: len(miss.changes), default=Miss(None, ()))


def missing_logits(key: LogitKey, split: Split, found: Sequence[Item]) -> Miss:
    """Why no logits of this key are stored: the stored ones that differ in the fewest fields.

    Args:
        key: what is asked.
        split: of which images.
        found: what is stored.
    """
    asked = canonical(key.identity)
    names = {item.digest: item.path.name for item in found if item.kind == MODEL and item.digest}
    best, nearest = (math.inf, math.inf, math.inf, True), Miss(None, ())
    for item in found:
        stored = item.told.get("identity")
        if item.kind != LOGITS or not isinstance(stored, dict):
            continue
        others = _logit_changes(stored, asked, item=item, count=len(split), names=names)
        view = _view_changes(stored.get("view") or [], asked["view"])
        # Under another view of the same images is as near as under the same view of other images.
        distance = (len(others) + bool(view), sum(map(_cost, view)), sum(map(_step, view)), item.split != split.name)
        if distance < best:
            label = f"{item.view} of {item.split or item.split_digest[:8]} by {item.model or item.digest[:8]}"
            best, nearest = distance, Miss(label, (*others, *view))
    return nearest


def _logit_changes(
    stored: Mapping[str, Any], asked: Mapping[str, Any], *, item: Item, count: int, names: Mapping[str, str]
) -> list[Change]:
    changes = []
    if stored.get("version") != asked["version"]:
        changes.append(Change("version of the inference code", stored.get("version"), asked["version"]))
    if stored.get("model") != asked["model"]:
        changes.append(Change("model", _model(stored.get("model"), names), _model(asked["model"], names)))
    if stored.get("split") != asked["split"]:
        held = item.shape[0] if item.shape else None
        if held not in (None, count):
            changes.append(Change("split images (dataset.limit_test?)", held, count))
        else:
            changes.append(Change("split images", stored.get("split"), asked["split"]))
    if stored.get("engine") != asked["engine"]:
        changes.append(Change("engine", stored.get("engine"), asked["engine"]))
    return changes


def _view_changes(stored: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The parameters that differ where the chains are of the same transforms, else the chains."""
    before, after = _kinds(stored), _kinds(asked)
    if before != after:
        return [Change("view", before, after)]
    return [
        Change(f"view: {now['kind']} {name}", then.get(name, ABSENT), now.get(name, ABSENT))
        for then, now in zip(stored, asked, strict=True)
        for name in sorted({*then, *now})
        if then.get(name, ABSENT) != now.get(name, ABSENT)
    ]


def _cost(change: Change) -> int:
    """Another chain is farther than any number of other parameters."""
    return 100 if change.field == "view" else 1


def _step(change: Change) -> float:
    """How far a number has moved."""
    numbers = [value for value in (change.stored, change.asked) if isinstance(value, int | float)]
    return abs(numbers[0] - numbers[1]) if len(numbers) == 2 else 0.0


def _kinds(chain: Sequence[Mapping[str, Any]]) -> str:
    return "+".join(str(link.get("kind")) for link in chain) or "identity"


def _model(digest: Any, names: Mapping[str, str]) -> str:
    name = names.get(str(digest))
    return f"{str(digest)[:8]} ({name})" if name else str(digest)[:8]


def _asked_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """The flat specification that a model was trained by; without digests of images where these were not kept."""
    if isinstance(told.get("asked"), Mapping):
        return _flat(told["asked"])
    request = told.get("request")
    if isinstance(request, Mapping):
        watched = (request.get("training") or {}).get("early_stopping") is not None
        images = {"train": UNKNOWN, "validation": UNKNOWN if watched else None}
        return {**_flat({"request": request}), **images, "version": 1}  # there was no other version then
    return {}


def _changes(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[Change]:
    return [
        Change(_named(key), stored.get(key, ABSENT), asked.get(key, ABSENT))
        for key in dict.fromkeys((*asked, *stored))
        if stored.get(key, ABSENT) != asked.get(key, ABSENT)
    ]


def _named(key: str) -> str:
    for prefix in sorted(NAMES, key=len, reverse=True):
        if key == prefix or key.startswith(f"{prefix}."):
            return NAMES[prefix] + key[len(prefix) :]
    return key


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys and their values; an empty mapping asks for nothing."""
    return {key: canonical(value) for key, value in leaves(tree) if value != {}}


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
