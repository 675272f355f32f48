"""The page of every command, from the parser itself."""

import argparse
import re
from collections.abc import Iterator
from functools import partial

from _site.markdown import block, code, table
from harness import cli
from harness.arguments import parser
from harness.errors import HarnessError

WIDTH = 92  # of usage lines, whatever the terminal of the build


def commands() -> str:
    """Markdown: usage, purpose and arguments of each command, in the order of `harness -h`."""
    parts = []
    for name, (command, purpose) in subcommands(parser()).items():
        parts += [f"## harness {name}", f"{purpose[0].upper()}{purpose[1:]}.", block(_usage(command))]
        if rows := list(_arguments(command)):
            parts.append(table(("argument", "what"), rows))
    return "\n\n".join(parts)


def subcommands(top: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    """Name to the parser of each command and its purpose."""
    (found,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    purposes = {choice.dest: choice.help or "" for choice in found._choices_actions}
    return {name: (command, purposes[name]) for name, command in found.choices.items()}


def exit_codes() -> str:
    """A table of the exit codes, from the docstring of `harness.cli`."""
    text = " ".join((cli.__doc__ or "").split()).partition("Exit codes: ")[2].rstrip(".")
    return table(("code", "meaning"), re.findall(r"([\d/]+) (.*?)(?=, \d|$)", text))


def errors() -> str:
    """A table of the errors that a user can meet, from `harness.errors`."""
    rows = [
        (code(cls.__name__), (cls.__doc__ or "").strip().split("\n")[0], str(cls.exit_code))
        for cls in HarnessError.__subclasses__()
    ]
    return table(("error", "meaning", "exit code"), rows)


def _usage(command: argparse.ArgumentParser) -> str:
    for action in command._actions:
        if action.choices and not action.option_strings:
            action.metavar = action.dest  # its choices are in the table
    command.formatter_class = partial(argparse.HelpFormatter, width=WIDTH)
    return command.format_usage().removeprefix("usage: ")


def _arguments(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        if action.dest != "help":
            yield _spelling(action), _what(action)


def _spelling(action: argparse.Action) -> str:
    if not action.option_strings:
        return code(action.metavar or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(code(f"{option}{value}") for option in action.option_strings)


def _what(action: argparse.Action) -> str:
    parts = [action.help or ""]
    if action.choices:
        parts.append(f"one of {', '.join(map(code, action.choices))}")
    if action.required and action.option_strings:
        parts.append("required")
    if isinstance(action.default, int) and not isinstance(action.default, bool) and "default" not in parts[0]:
        parts.append(f"default: {action.default}")
    return "; ".join(part for part in parts if part)
