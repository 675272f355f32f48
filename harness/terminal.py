"""The terminal: consoles, durations for people, and lines that fit its width."""

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import IO, cast

from rich.console import Console
from rich.table import Table

UNFOLDED = 1000
"""Columns of a table where nobody looks at it."""


class _LabelledLines(io.TextIOBase):
    """Writes whole lines to standard error, each behind a label, so that processes that share it can be told apart."""

    def __init__(self, label: str) -> None:
        self._label, self._rest = label, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            sys.stderr.write("".join(f"[{self._label}] {line}\n" for line in lines if line.strip()))
            sys.stderr.flush()
        return len(text)


def progress_console() -> Console:
    """Standard error, for progress and notes; bars move only where it is a terminal that can move them.

    FORCE_COLOR asks for colours in a pipe, and gets no more than that.
    """
    moves = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return Console(stderr=True, force_interactive=moves)


def output_console() -> Console:
    """Standard output, for tables: as wide as the terminal or COLUMNS says; elsewhere no row is folded."""
    return Console() if has_width() else Console(width=UNFOLDED)


def has_width() -> bool:
    """True where standard output has a width that lines must fit."""
    return sys.stdout.isatty() or bool(os.environ.get("COLUMNS"))


def print_table(console: Console, table: Table) -> None:
    """Prints a table without the blanks that fill its last column."""
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def is_narrow(columns: int) -> bool:
    """True where standard output has a width, and that is less than this."""
    return has_width() and shutil.get_terminal_size().columns < columns


def folded(lines: Iterable[str], *, indent: int) -> list[str]:
    """Lines that fit the terminal that standard output is, folded between words, with what follows indented.

    A path or another long word stays whole. Where there is no terminal, and COLUMNS does not set a width, a line stays
    one line, for those who search them.
    """
    if not has_width():
        return list(lines)
    width = shutil.get_terminal_size().columns
    indent = indent if width >= 3 * indent else 4
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]


def worker_console(label: str) -> Console:
    """A console for one of several processes on one terminal: labelled lines, no bars."""
    return Console(file=cast(IO[str], _LabelledLines(label)), force_terminal=False, no_color=True)


def seconds_text(seconds: float) -> str:
    """A rough duration for people: `about 7 s`, `about 3 min 20 s`, `under 1 s`."""
    if seconds < 59.5:
        return f"about {seconds:.0f} s" if seconds >= 1 else "under 1 s"
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest} s" if minutes < 60 else f"about {minutes // 60} h {minutes % 60} min"
