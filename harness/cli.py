"""The commands. Each imports what it needs when it runs, so that `--help` and `list` answer at once.

Exit codes: 0 done, 1 a defect of ours, 2 bad configuration or usage, 3 finished but some jobs failed, 4 results
complete but the tracker still to be synced, 5 reproduced but different, 130/143 interrupted.
"""

import argparse
import importlib
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from harness import __version__
from harness.errors import ConfigError, HarnessError

EPILOG = """\
examples:
  harness run                                             the embedded data set, about a minute
  harness run dataset=cifar10 model=resnet20 tta=[hflip,shifts] seed=1
  harness run model=checkpoint model.path=net.keras dataset=image_folder dataset.path=photos
  harness run -m dataset=fashion_mini,digits seed=0,1     a sweep: one job for each combination
  harness plan tta=suite/standard                         what it would cost; runs nothing
  harness list policies                                   what there is
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; every mistake of a user is one line on standard error."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options, rest = _parser().parse_known_args(arguments)
        command = importlib.import_module(f"harness.commands.{options.command}")
        code: int = command.main(options, _overrides(options.command, rest))
        sys.stdout.flush()  # here, where a reader that has gone away is no error
        return code
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, Terminated) as stop:
        again = shlex.join(["harness", *arguments])
        print(f"\ninterrupted: what is finished is kept; `{again}` goes on from there", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130
    except BrokenPipeError:  # before its base class OSError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class Terminated(BaseException):
    """SIGTERM came: unwinds like Ctrl-C, so that locks are released and nothing is half-written."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        raise ConfigError(f"{message}; see `{self.prog} -h`")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="harness",
        description="Which test-time augmentation policy should I ship, is the gain real, what does it cost?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    run = add("run", "run one job, or with -m a sweep; overrides as key=value")
    run.add_argument("-m", "--multirun", action="store_true", help="one job for each combination of a,b,c values")
    run.add_argument("--cfg", action="store_true", help="print the job's configuration and stop")
    add("plan", "what a job would cost: policies, views, unique passes, stored, estimated time; runs nothing")
    listing = add("list", "what there is, a line each")
    listing.add_argument(
        "what",
        nargs="?",
        choices=[
            "datasets",
            "models",
            "augmentations",
            "transforms",
            "aggregations",
            "corruptions",
            "views",
            "policies",
            "suites",
        ],
    )
    again = add("reproduce", "run a job again from its MLflow run and compare every metric")
    again.add_argument("run_id", help="the parent run")
    again.add_argument("--fresh", action="store_true", help="train and predict anew instead of using the store")
    together = add("combine", "jobs that differ in their training seed as one result, with intervals over both")
    together.add_argument("folders", nargs="*", metavar="FOLDER", help="of finished jobs; none is all below `output`")
    together.add_argument("--study", dest="of_study", help="only the jobs of this study")
    together.add_argument("--sweep", help="only the jobs of this sweep (its tag in MLflow)")
    together.add_argument("--all", action="store_true", help="print every policy")
    add("sync", "write finished jobs to MLflow that it has missed")
    interface = add("ui", "the MLflow UI on 127.0.0.1, with a link that opens at the results")
    interface.add_argument("--port", type=int, default=5000)
    return parser


def _overrides(command: str, rest: list[str]) -> list[str]:
    for argument in rest:
        is_override = "=" in argument.lstrip("=") or argument.startswith("~")
        if argument.startswith("-") or command == "list" or not is_override:
            raise ConfigError(f"unexpected argument {argument!r}: overrides are key=value; see `harness {command} -h`")
    return rest


def _interrupt(*_: Any) -> None:
    raise Terminated


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
