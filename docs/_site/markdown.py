"""Markdown, written by functions."""

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table; a bar within a cell, code included, is escaped, and a line break becomes a space."""
    lines = [list(headings), [":--"] * len(headings), *(map(_cell, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(text: object) -> str:
    """Text as code, or nothing."""
    return f"`{text}`" if str(text) else ""


def block(text: str, *, language: str = "") -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def folded(summary: str, inner: str) -> str:
    """A block that is opened by a click on its summary."""
    return f"<details>\n<summary>{summary}</summary>\n\n{inner}\n</details>\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
