"""Making room in the store: what may go and why, and its removal. What a running process locks stays.

Always: what was set aside as damaged, what killed processes left behind, and logits whose model is gone. Temporary
files, half-written items and lock files must have lain for an hour, so that none is taken from a process that is about
to use it. On request: what was not written for so long, and what is too much, logits before models, oldest first.
"""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from harness.files import as_store_error
from harness.upkeep.inventory import (
    DAMAGED,
    LOGITS,
    MODEL,
    STALE,
    UNFINISHED,
    Item,
    Leftover,
    known_digests,
)

GRACE = 3600.0
"""Seconds for which a lock, a temporary file and an array without its side file are left alone."""

ORPHANED = "logits of a model that is gone"
TOO_OLD = "older than asked"
TOO_MUCH = "more than asked"


@dataclass(frozen=True)
class Removal:
    """What goes: the files, why, how many bytes, and the lock that must be free."""

    files: tuple[Path, ...]
    reason: str
    bytes: int
    lock: Path


def removals(
    found: Sequence[Item],
    left: Sequence[Leftover],
    *,
    now: float,
    older_than: float | None = None,
    max_size: int | None = None,
) -> list[Removal]:
    """What may go, in the order in which it should.

    Args:
        found: the items that are there.
        left: what no item needs.
        now: in seconds since the epoch.
        older_than: items that were last written more seconds ago go too; a model is as young as its youngest logits.
        max_size: bytes of items that may stay.
    """
    gone = [
        Removal((one.path,), one.reason, one.bytes, one.lock)
        for one in left
        if one.reason in (DAMAGED, STALE) or now - one.modified > GRACE
    ]
    reasons: dict[Path, str] = {}
    if older_than is not None:
        used = last_used(found)
        reasons |= {item.path: TOO_OLD for item in found if now - used[item.path] > older_than}
    reasons |= {item.path: ORPHANED for item in _orphans(found, reasons)}
    if max_size is not None:
        reasons |= {item.path: TOO_MUCH for item in _surplus(found, reasons, max_size=max_size)}
        reasons |= {item.path: ORPHANED for item in _orphans(found, reasons)}
    return gone + [
        Removal(item.files, reasons[item.path], item.bytes, item.lock) for item in found if item.path in reasons
    ]


def last_used(found: Iterable[Item]) -> dict[Path, float]:
    """When each item was last written, by path; a model is as young as its youngest logits."""
    youngest: dict[str, float] = {}
    for item in found:
        if item.kind == LOGITS:
            youngest[item.digest] = max(item.modified, youngest.get(item.digest, 0.0))
    return {
        item.path: max(item.modified, youngest.get(item.digest, 0.0)) if item.kind == MODEL else item.modified
        for item in found
    }


def remove(wanted: Iterable[Removal]) -> tuple[list[Removal], list[Removal]]:
    """Removes what no process has locked; what was removed, and what is in use.

    Raises:
        StoreError: where something cannot be removed.
    """
    done: list[Removal] = []
    in_use: list[Removal] = []
    for one in wanted:
        (done if _remove(one) else in_use).append(one)
    return done, in_use


def _remove(one: Removal) -> bool:
    if not one.lock.parent.is_dir():  # its folder went with something else
        return True
    with as_store_error(one.lock):
        lock = filelock.FileLock(one.lock)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        try:
            for file in one.files:
                file.unlink(missing_ok=True)
            # While it is held: who waits for it sees that its file is gone, and takes a new one.
            one.lock.unlink(missing_ok=True)
        finally:
            lock.release()
        for folder in dict.fromkeys(file.parent for file in one.files):
            _remove_empty(folder)
    return True


def _remove_empty(folder: Path) -> None:
    """The folder and those above it, as far as they are empty and below one of the store's own."""
    while folder.name not in ("models", "logits", "checkpoints", "fetched"):
        with contextlib.suppress(OSError):
            folder.rmdir()
        if folder.exists():
            return
        folder = folder.parent


def _orphans(found: Sequence[Item], reasons: dict[Path, str]) -> list[Item]:
    staying = [item for item in found if item.path not in reasons]
    known = known_digests(staying)
    return [item for item in staying if item.kind == LOGITS and item.digest not in known]


def _surplus(found: Sequence[Item], reasons: dict[Path, str], *, max_size: int) -> list[Item]:
    staying = [item for item in found if item.path not in reasons]
    total, surplus = sum(item.bytes for item in staying), []
    order = {LOGITS: 0, MODEL: 2, UNFINISHED: 2}
    for item in sorted(staying, key=lambda one: (order.get(one.kind, 1), one.modified)):
        if total <= max_size:
            break
        surplus.append(item)
        total -= item.bytes
    return surplus
