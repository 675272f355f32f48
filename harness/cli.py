"""The commands. Each imports what it needs when it runs, so that `--help` and `list` answer at once.

Exit codes: 0 done, 1 a defect of ours, 2 bad configuration or usage, 3 finished but some jobs failed, 4 results
complete but the tracker still to be synced, 5 reproduced but different, 6 looked (`doctor`, `cache verify`) and
found something wrong, 130/143 interrupted.
"""

import importlib
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from harness.arguments import overrides, parser
from harness.errors import HarnessError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; every mistake of a user is one line on standard error."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could be typed next
        importlib.import_module("harness.commands.completion").answer()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options, rest = parser().parse_known_args(arguments)
        command = importlib.import_module(f"harness.commands.{options.command}")
        code: int = command.main(options, overrides(options.command, rest))
        sys.stdout.flush()  # here, where a reader that has gone away is no error
        return code
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, Terminated) as stop:
        again = shlex.join(["harness", *arguments])
        kept = "what is finished is kept; `{}` goes on from there"
        if "--fresh" in arguments:  # its store was a temporary one
            kept = "nothing of it is kept; `{}` begins anew"
        print(f"\ninterrupted: {kept.format(again)}", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130
    except BrokenPipeError:  # before its base class OSError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class Terminated(BaseException):
    """SIGTERM came: unwinds like Ctrl-C, so that locks are released and nothing is half-written."""


def _interrupt(*_: Any) -> None:
    raise Terminated


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
