"""`harness completion SHELL` prints what teaches a shell to complete; the shell then asks `harness` at each TAB.

Overrides are no arguments of the parser, whose leftovers they are, so that what is no override is refused in our own
words. For completion alone they are declared, with what completes them.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import argcomplete
from argcomplete.shell_integration import shellcode

from harness.arguments import parser

WITHOUT_OVERRIDES = ("list", "completion", "cache")
"""`cache` has them behind its actions."""
JOBS = ("job", "jobs", "folders")
"""Arguments that name finished jobs."""
RESULTS = Path("results")
_OVERRIDE = re.compile(r"(?<=\s)[^\s\"'=-][^\s\"'=]*=[^\s\"']*\s")


def main(options: argparse.Namespace, overrides: Sequence[str]) -> int:  # noqa: ARG001
    """Prints the script; 0."""
    print(shellcode(["harness"], shell=options.shell))
    return 0


def answer(**options: Any) -> None:
    """Answers a shell that asks for completions, in argcomplete's protocol, and ends the process.

    Args:
        options: of `argcomplete.autocomplete`.
    """
    line, others = without_overrides(os.environ["COMP_LINE"], point=int(os.environ["COMP_POINT"]))
    os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    argcomplete.autocomplete(declared(others), always_complete_options=False, **options)


def without_overrides(line: str, *, point: int) -> tuple[str, list[str]]:
    """The line up to the cursor without its finished overrides, and these.

    argparse takes positional arguments in one go, and so would offer none behind `dataset=digits --json`.
    """
    before = line[:point]
    return _OVERRIDE.sub("", before), [word.strip() for word in _OVERRIDE.findall(before)]


def declared(others: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser with overrides as arguments, and what completes them and the names of jobs.

    Args:
        others: overrides that are on the line already.
    """
    top = parser()
    for name, command in _subcommands(top).items():
        _declare(name, command, others)
        for action in _subcommands(command).values():
            _declare("", action, others)
    return top


def _declare(name: str, command: argparse.ArgumentParser, others: Sequence[str]) -> None:
    for action in command._actions:
        if action.dest in JOBS:
            _complete(action, _jobs)
    if name not in WITHOUT_OVERRIDES:
        _complete(command.add_argument("overrides", nargs="*"), partial(_overrides, others=others))


def _complete(action: argparse.Action, completer: Callable[..., list[str]]) -> None:
    action.completer = completer  # type: ignore[attr-defined]


def _subcommands(command: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(action.choices)
    return found


def _overrides(prefix: str, *, others: Sequence[str], **_: Any) -> list[str]:
    # Imported when an override is asked for: the schema takes longer to load than all of this.
    from harness.commands.override_candidates import candidates

    return candidates(prefix, others)


def _jobs(prefix: str, **_: Any) -> list[str]:
    """Finished jobs below `results`, as `results/<name>`, which every command takes."""
    names = [file.parent.as_posix() for file in sorted(RESULTS.glob("*/record.json"))]
    return [name for name in names if name.startswith(prefix)]
