"""Whether everything in the store is what was written."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.models import cache
from harness.store import LogitStore
from harness.upkeep.inventory import LOGITS, MODEL, Item


@dataclass(frozen=True)
class Damage:
    """An item that is not what was written; it has been set aside as `*.damaged`, and will be made again."""

    path: Path
    kind: str
    reason: str


def verify(root: Path, found: Iterable[Item], *, advance: Callable[[Item], None]) -> list[Damage]:
    """Reads every model and all logits of `found` again, and sets aside what does not agree with its checksum.

    Raises:
        StoreError: where the store cannot be read or written.
    """
    damaged, store = [], LogitStore(root)
    for item in found:
        if item.kind not in (MODEL, LOGITS):
            continue
        advance(item)
        reason = cache.verify(item.path) if item.kind == MODEL else store.verify(item.path.with_suffix(".json"))
        if reason:
            damaged.append(Damage(item.path, item.kind, reason))
    return damaged
