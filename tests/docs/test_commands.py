"""The reference of the commands is the parser's own."""

import argparse

import pytest
from _site.commands import commands, errors, exit_codes, subcommands

from harness.arguments import parser
from harness.cli import main
from harness.errors import HarnessError

PAGE = commands()
COMMANDS = subcommands(parser())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_argument_is_on_the_page(name: str) -> None:
    """A section with its purpose, a usage line and a row for each argument, help included in neither."""
    section = PAGE.split(f"## harness {name}\n")[1].split("\n## ")[0]
    command, purpose = COMMANDS[name]
    assert purpose[1:] in section
    assert f"```\nharness {name}" in section
    for action in command._actions:
        spelling = action.option_strings[-1] if action.option_strings else action.metavar or action.dest
        if not isinstance(action, argparse._HelpAction):
            assert f"`{spelling}" in section, spelling


def test_all_commands_that_help_lists(capsys: pytest.CaptureFixture[str]) -> None:
    """No command of `harness -h` is missing."""
    with pytest.raises(SystemExit):
        main(["-h"])
    listed = {
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ") and line[4] != " "
    }
    assert {"run", "export", "cache"} <= set(COMMANDS)
    assert set(COMMANDS) <= listed


def test_exit_codes_are_those_of_the_errors() -> None:
    """Every code that an error carries is explained, beside those for success, defects and interruption."""
    codes = {line.split("|")[1].strip() for line in exit_codes().splitlines()[2:]}
    assert codes == {"0", "1", "2", "3", "4", "5", "130/143"}
    assert {str(cls.exit_code) for cls in HarnessError.__subclasses__()} <= codes


def test_every_error_has_a_row() -> None:
    """Each kind of error, with its exit code."""
    assert (
        "| `TrackingError` | The tracking server did not answer or refused; results on disk are complete. | 4 |"
        in errors()
    )
    assert len(errors().splitlines()) == 2 + len(HarnessError.__subclasses__())
