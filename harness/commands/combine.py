"""`harness combine`: jobs that differ in their training seed as one result."""

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from harness.combination import Combination, CombinedPolicy, combine_each
from harness.compose import compose
from harness.json_output import print_json
from harness.record_files import TABLES, write_table
from harness.records import IDENTITY, Table
from harness.report import percent, points
from harness.seed_groups import select

ROWS = 25


def main(options: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Prints a table for each combination, and writes it below `output`/combined; 0."""
    # The parser cannot tell an override from a folder.
    given = [word for word in options.folders if "=" in word and not Path(word).exists()]
    folders = [Path(word) for word in options.folders if word not in given]
    config = compose([*given, *overrides])
    groups = [folders]
    if not folders:
        groups, left_out = select(Path(config.output), study=options.of_study, sweep=options.sweep)
        for sentence in left_out:
            warnings.warn(sentence, stacklevel=2)
    node, console, target = config.evaluation, Console(), Path(config.output) / "combined"
    together = combine_each(groups, resamples=node.resamples, seed=node.seed, level=node.level)
    for found in together:
        for table in (found.table(), found.ledger_table()):
            write_table(target, table)
    if options.json:
        print_json([as_data(found, target) for found in together])
        return 0
    for found in together:
        _print(found, console, rows=None if options.all else ROWS, level=node.level)
        console.print(f"tables: {target}/tables/{found.table().name}*.csv", highlight=False, soft_wrap=True)
    return 0


def as_data(found: Combination, target: Path) -> dict[str, Any]:
    """A combination as plain data: what `harness combine --json` prints (docs/how-to/script-it.md)."""
    table, variance = found.table(), found.ledger_table()
    return {
        "name": found.name,
        "seeds": found.seeds,
        "examples": found.examples,
        "policies": _rows(table),
        "variance": _rows(variance),
        "tables": [str(target / TABLES / f"{one.name}.csv") for one in (table, variance)],
    }


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _print(found: Combination, console: Console, *, rows: int | None, level: float) -> None:
    count, seeds = len(found.seeds), ", ".join(map(str, found.seeds))
    title = f"{found.name}: {count} training seed{'s' if count > 1 else ''} ({seeds}) x {found.examples:,} images"
    columns = [column for column in _columns(found, level) if console.width >= column.min_width]
    console.print(Text(title, style="bold"))
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    table.add_column("policy", overflow="fold")
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for one in found.policies[:rows]:
        table.add_row(Text(one.name), *(column.cell(one) for column in columns))
    console.print(table)
    caption = (
        f"{len(found.policies[:rows])} of {len(found.policies)} policies, by calibrated NLL on test; intervals: "
        f"{found.policies[0].gains['accuracy'].method}"
    )
    if any(column.heading.startswith("seed") for column in columns):
        caption += "; seed %: share of the gain's variance that comes from the training seed"
    else:
        caption += "; a wider terminal shows gains in NLL"
    console.print(Text(caption, style="dim"))


@dataclass(frozen=True)
class Column:
    """One column: its heading, how a cell is written, and from which width of the terminal it is shown."""

    heading: str
    cell: Callable[[CombinedPolicy], str]
    min_width: int = 0


def _columns(found: Combination, level: float) -> list[Column]:
    """In the order of reading; the less telling ones are left out on narrow terminals."""

    def spread(one: CombinedPolicy) -> str:
        return f" ± {percent(one.accuracy_sd)}" if len(found.seeds) > 1 else ""

    return [
        Column("passes", lambda one: f"{one.passes:.3g}"),
        Column("accuracy %", lambda one: percent(one.accuracy) + spread(one)),
        Column(f"gain, points [{level:.0%}]", lambda one: _interval(one, "accuracy", points), 72),
        Column("NLL cal.", lambda one: f"{one.nll_calibrated:.4f}", 92),
        Column("gain in NLL cal.", lambda one: _interval(one, "nll_calibrated", "{:+.4f}".format), 136),
        Column("seed %", lambda one: _share(one, found), 112),
        Column("chosen", lambda one: f"{one.chosen}/{len(found.seeds)}", 120),
        Column("verdict", lambda one: one.verdict, 80),
    ]


def _interval(one: CombinedPolicy, score: str, text: Callable[[float], str]) -> str:
    gain = one.gains[score]
    return "reference" if one.name == IDENTITY else f"{text(gain.value)} [{text(gain.lower)}, {text(gain.upper)}]"


def _share(one: CombinedPolicy, found: Combination) -> str:
    ledger = found.ledger(one.name)
    share = ledger.shares.get("training_seed") if ledger else None
    return "" if share is None else f"{100 * share:.0f}"
