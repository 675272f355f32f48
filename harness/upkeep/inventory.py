"""What is in the store: models, logits, what was found out about checkpoints, fetched jobs; and what was left over.

Reads side files only; no array and no model is opened.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.files import DAMAGED_SUFFIX
from harness.model_source import AS_TRAINED, logit_digest
from harness.models.cache import MODEL_FILE, RECORD_FILE, STATE_FILE
from harness.record_files import FETCHED

MODEL, UNFINISHED, LOGITS, CHECKPOINT, JOB = "model", "unfinished training", "logits", "checkpoint", "fetched job"
DAMAGED, TEMPORARY, LOCK, HALF_WRITTEN, STALE = (
    "damaged, set aside",
    "temporary file of a process that was killed",
    "lock file that nobody holds",
    "half-written",
    "training state of a finished model",
)

_HEX = "[0-9a-f]" * 8
MODELS, LOGITS_OF, CHECKPOINTS = f"models/*-{_HEX}", f"logits/{_HEX}/{_HEX}", f"checkpoints/*-{_HEX}*"
FILES = tuple(f"{folder}/*" for folder in (MODELS, LOGITS_OF, CHECKPOINTS))
"""Where our files lie: what does not look like them is somebody else's, and is neither shown nor touched."""

_TEMPORARY = re.compile(r"\..{0,40}-[a-z0-9_]{8}\.(npy|npz|json|keras)")


@dataclass(frozen=True)
class Item:
    """One thing in the store.

    Attributes:
        kind: one of `MODEL`, `UNFINISHED`, `LOGITS`, `CHECKPOINT`, `JOB`.
        path: what names it: the folder, or the array of logits. files: all that goes with it.
        model: its name for people. digest: of what its logits are keyed by; empty where there is none.
        split, split_digest, view: of logits; the split's name is empty where an older version stored them.
        shape: `(N, C)` of logits, `(H, W, channels)` of a model.
        bytes: on disk. modified: when it was last written, in seconds since the epoch.
        told: what its side file says; empty where that cannot be read.
    """

    kind: str
    path: Path
    files: tuple[Path, ...]
    model: str
    digest: str
    bytes: int
    modified: float
    split: str = ""
    split_digest: str = ""
    view: str = ""
    shape: tuple[int, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        """The file that a process locks while it makes the item."""
        return self.path.with_suffix(".lock") if self.kind == LOGITS else self.path / ".lock"


@dataclass(frozen=True)
class Leftover:
    """A file that no item needs: `reason` is one of `DAMAGED`, `TEMPORARY`, `LOCK`, `HALF_WRITTEN`, `STALE`."""

    path: Path
    reason: str
    bytes: int
    modified: float

    @property
    def is_lock(self) -> bool:
        """True for a lock file: every item has had one, most are free, and all are empty."""
        return self.reason == LOCK

    @property
    def lock(self) -> Path:
        """The file that a process locks while it works beside it."""
        if self.reason == LOCK:
            return self.path
        return self.path.with_suffix(".lock") if self.path.suffix == ".npy" else self.path.parent / ".lock"


def items(root: Path) -> list[Item]:
    """Everything in the store below `root`: models, then logits by model, split and view, then the rest."""
    return [*_models(root), *_logits(root), *_checkpoints(root), *_jobs(root)]


def leftovers(root: Path) -> list[Leftover]:
    """Files that are no part of an item, by path; lock files that a process holds among them."""
    found = []
    for path in sorted(file for pattern in FILES for file in root.glob(pattern)):
        reason = _reason(path) if path.is_file() else None
        if reason:
            size, modified = _measured([path])
            found.append(Leftover(path, reason, size, modified))
    return found


def known_digests(found: list[Item]) -> set[str]:
    """Of the models that are in the store or were looked into: what logits may be keyed by."""
    return {item.digest for item in found if item.kind == MODEL and item.digest} | {
        digest for item in found if item.kind == CHECKPOINT for digest in item.told.values()
    }


def read_side(side: Path) -> dict[str, Any]:
    """What a side file says; empty where it cannot be read."""
    try:
        told = json.loads(side.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _reason(path: Path) -> str | None:
    name = path.name
    if name.endswith(DAMAGED_SUFFIX):
        return DAMAGED
    if path.suffix == ".lock":
        return LOCK
    if _TEMPORARY.fullmatch(name):
        return TEMPORARY
    if path.suffix == ".npy" and not path.with_suffix(".json").exists():
        return HALF_WRITTEN
    if name == STATE_FILE and path.with_name(RECORD_FILE).exists():
        return STALE
    return None


def _models(root: Path) -> Iterator[Item]:
    for folder in sorted(root.glob(MODELS)):
        record, state = folder / RECORD_FILE, folder / STATE_FILE
        if record.exists():
            told = read_side(record)
            files = (folder / MODEL_FILE, record)
            name, shape = folder.name[:-9], tuple(told.get("input_shape") or ())
            yield Item(MODEL, folder, files, name, _digest(told), *_measured(files), shape=shape, told=told)
        elif state.exists():
            yield Item(UNFINISHED, folder, (state,), folder.name[:-9], "", *_measured((state,)))


def _logits(root: Path) -> Iterator[Item]:
    for side in sorted(root.glob(f"{LOGITS_OF}/*.json")):
        if side.name.startswith("."):
            continue
        told, path = read_side(side), side.with_suffix(".npy")
        identity = told["identity"] if isinstance(told.get("identity"), dict) else {}
        yield Item(
            LOGITS,
            path,
            (path, side),
            str(told.get("model_name", "")),
            str(identity.get("model", side.parts[-3])),
            *_measured((path, side)),
            split=str(told.get("split_name", "")),
            split_digest=str(identity.get("split", side.parts[-2])),
            view=str(told.get("view_name", path.stem[:-17])),
            shape=tuple(told.get("shape") or ()),
            told=told,
        )


def _checkpoints(root: Path) -> Iterator[Item]:
    for folder in sorted(root.glob(CHECKPOINTS)):
        files = tuple(sorted(file for file in folder.glob("*.json") if not file.name.startswith(".")))
        if files:
            digests = {file.name: str(digest) for file in files if (digest := read_side(file).get("digest"))}
            yield Item(CHECKPOINT, folder, files, folder.name.rpartition("-")[0], "", *_measured(files), told=digests)


def _jobs(root: Path) -> Iterator[Item]:
    for folder in sorted((root / FETCHED).glob("*/")):
        files = tuple(sorted(file for file in folder.rglob("*") if file.is_file()))
        yield Item(JOB, folder, files, folder.name, "", *_measured(files))


def _digest(told: Mapping[str, Any]) -> str:
    """What the logits of a model that was trained here are keyed by."""
    try:
        return logit_digest(told["digest"], AS_TRAINED, told["output"])
    except (KeyError, TypeError):
        return ""


def _measured(files: tuple[Path, ...] | list[Path]) -> tuple[int, float]:
    """Bytes of the files together, and when the newest was written; files that have just gone count nothing."""
    size, modified = 0, 0.0
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        size, modified = size + status.st_size, max(modified, status.st_mtime)
    return size, modified
