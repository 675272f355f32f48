"""`harness cache`: what is in the store, whether it is sound, what may go, and why a job finds or misses a thing."""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.commands import cache_explain
from harness.compose import compose
from harness.json_output import print_json
from harness.progress import step_bar
from harness.quantities import age_text, bytes_text
from harness.terminal import folded, output_console, print_table, progress_console
from harness.upkeep.collection import Removal, removals, remove
from harness.upkeep.inventory import HALF_WRITTEN, LOCK, LOGITS, MODEL, Item, items, leftovers
from harness.upkeep.verification import verify

FOUND_SOMETHING = 6
LISTED = 40  # files of a dry run


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Does what `options.action` says; 0, or 6 where `verify` found damage."""
    config = compose(overrides)
    if options.action == "explain":
        return cache_explain.main(config, as_json=options.json)
    root = Path(config.store)
    return ACTIONS[options.action](root, options)


def _ls(root: Path, options: argparse.Namespace) -> int:
    found, now = items(root), time.time()
    if options.json:
        print_json([_item(item) for item in found])
        return 0
    if not found:
        print(f"{root} is empty")
        return 0
    console = output_console()
    rows = [
        (item.model, _split(item), item.view or f"({item.kind})", "x".join(map(str, item.shape)),
         bytes_text(item.bytes), age_text(now - item.modified))
        for item in found
    ]  # fmt: skip
    _print(console, rows, heads=("model", "split", "view", "N x C", "size", "age"), widths=(0, 60, 0, 70, 0, 50))
    return 0


def _du(root: Path, options: argparse.Namespace) -> int:
    found, left = items(root), [one for one in leftovers(root) if not one.is_lock]
    sums: dict[tuple[str, str], list[int]] = {}
    for item in found:
        count_bytes = sums.setdefault((item.model, _split(item) or item.kind), [0, 0])
        count_bytes[0] += 1
        count_bytes[1] += item.bytes
    rest, total = sum(one.bytes for one in left), sum(item.bytes for item in found)
    if options.json:
        by = [{"model": model, "of": of, "items": n, "bytes": size} for (model, of), (n, size) in sums.items()]
        print_json({"store": str(root), "bytes": total + rest, "leftover_bytes": rest, "by": by})
        return 0
    rows: list[Sequence[str]] = [(model, of, str(n), bytes_text(size)) for (model, of), (n, size) in sums.items()]
    if left:
        rows.append(("(left over)", "", str(len(left)), bytes_text(rest)))
    rows.append(("in all", "", str(len(found) + len(left)), bytes_text(total + rest)))
    _print(output_console(), rows, heads=("model", "of", "items", "size"), widths=(0, 0, 0, 0))
    print("\n".join(folded([f"store: {root}"], indent=2)))
    return 0


def _verify(root: Path, options: argparse.Namespace) -> int:
    found = [item for item in items(root) if item.kind in (MODEL, LOGITS)]
    weights = {str(item.path): float(item.bytes) for item in found}
    with step_bar(progress_console(), f"{len(found)} items", weights, done="read") as advance:
        damaged = verify(root, found, advance=lambda item: advance(str(item.path)))
    half = [one for one in leftovers(root) if one.reason == HALF_WRITTEN]
    if options.json:
        print_json(
            {
                "store": str(root),
                "checked": len(found),
                "damaged": [{"path": str(one.path), "kind": one.kind, "reason": one.reason} for one in damaged],
                "half_written": [str(one.path) for one in half],
            }
        )
    else:
        _show_verified(root, found, [f"damaged: {one.path}: {one.reason}" for one in damaged], len(half))
    return FOUND_SOMETHING if damaged else 0


def _show_verified(root: Path, found: list[Item], damaged: list[str], half: int) -> None:
    lines = [*damaged, f"{len(found)} items in {root}, {len(damaged)} damaged"]
    if damaged:
        lines.append("set aside as *.damaged, and made again when a job needs them; `harness cache gc` removes them")
    if half:
        lines.append(f"{half} half-written: being written now, or by a process that was killed")
    print("\n".join(folded(lines, indent=2)))


def _gc(root: Path, options: argparse.Namespace) -> int:
    wanted = removals(
        items(root), leftovers(root), now=time.time(), older_than=options.older_than, max_size=options.max_size
    )
    done, in_use = (wanted, []) if options.dry_run else remove(wanted)
    if options.json:
        removed = [
            {"files": [str(file) for file in one.files], "reason": one.reason, "bytes": one.bytes} for one in done
        ]
        kept = [str(file) for one in in_use for file in one.files]
        print_json({"store": str(root), "dry_run": options.dry_run, "removed": removed, "in_use": kept})
        return 0
    if options.dry_run:
        _show_planned(root, wanted)
    verb = "would go" if options.dry_run else "removed"
    lines = [f"{_total(done)} {verb}"] + [f"  {text}" for text in _by_reason(done)]
    if in_use:
        lines.append(f"{len(in_use)} in use by a running process: left alone")
    print("\n".join(folded(lines, indent=4)))
    return 0


def _show_planned(root: Path, wanted: list[Removal]) -> None:
    """Every file by name, those of locks apart, for these are empty and many."""
    named = [one for one in wanted if one.reason != LOCK]
    for one in named[:LISTED]:
        print("\n".join(folded([f"{one.files[0].relative_to(root)}  {bytes_text(one.bytes)}  {one.reason}"], indent=4)))
    if len(named) > LISTED:
        print(f"and {len(named) - LISTED} more; --json names all")


def _total(removed: Iterable[Removal]) -> str:
    listed = list(removed)
    count = f"{len(listed)} item{'' if len(listed) == 1 else 's'}"
    return f"{count}, {bytes_text(sum(one.bytes for one in listed))}"


def _by_reason(removed: Iterable[Removal]) -> list[str]:
    groups: dict[str, list[Removal]] = {}
    for one in removed:
        groups.setdefault(one.reason, []).append(one)
    return [f"{reason}: {_total(group)}" for reason, group in groups.items()]


def _item(item: Item) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "path": str(item.path),
        "model": item.model,
        "model_digest": item.digest or None,
        "split": item.split or None,
        "split_digest": item.split_digest or None,
        "view": item.view or None,
        "shape": item.shape or None,
        "bytes": item.bytes,
        "modified": item.modified,
    }


def _split(item: Item) -> str:
    """Its name, and where an older version stored none, the first digits of its digest."""
    return item.split or item.split_digest[:8]


def _print(console: Console, rows: Sequence[Sequence[str]], *, heads: tuple[str, ...], widths: tuple[int, ...]) -> None:
    """A table of the columns that the width takes: each is shown from its own width on."""
    columns = [place for place, minimum in enumerate(widths) if console.width >= minimum]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in columns:
        right = heads[place] in ("size", "age", "items", "N x C")
        table.add_column(heads[place], justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[place]) for place in columns))
    print_table(console, table)


ACTIONS: dict[str, Callable[[Path, argparse.Namespace], int]] = {
    "ls": _ls,
    "du": _du,
    "verify": _verify,
    "gc": _gc,
}
