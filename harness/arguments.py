"""The grammar of the command line: what each command takes; what is to be run is given as Hydra's overrides."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from harness import __version__
from harness.errors import ConfigError
from harness.quantities import age_seconds, size_bytes

EPILOG = """\
examples:
  harness run                                             the embedded data set, about a minute
  harness run dataset=cifar10 model=resnet20 tta=[hflip,shifts] seed=1
  harness run model=checkpoint model.path=net.keras dataset=image_folder dataset.path=photos
  harness run -m dataset=fashion_mini,digits seed=0,1     a sweep: one job for each combination
  harness plan tta=suite/standard                         what it would cost; runs nothing
  harness list policies                                   what there is
  harness export JOB --policy hflip --format keras --output net.keras    the winner as one model
"""
JOB = "a job: the id of its MLflow run (parent or child), or its folder"
FORMATS = ("keras", "savedmodel", "onnx", "mlflow")
LISTINGS = (
    "datasets",
    "models",
    "augmentations",
    "transforms",
    "aggregations",
    "corruptions",
    "views",
    "policies",
    "suites",
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        raise ConfigError(f"{message}; see `{self.prog} -h`")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(
        prog="harness",
        description="Which test-time augmentation policy should I ship, is the gain real, what does it cost?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command", parser_class=Parser)
    _add_jobs(commands)
    _add_results(commands)
    _add_installation(commands)
    return top


def overrides(command: str, rest: Sequence[str]) -> list[str]:
    """What the parser left over, as overrides.

    Raises:
        ConfigError: for an argument that is none.
    """
    for argument in rest:
        is_override = "=" in argument.lstrip("=") or argument.startswith("~")
        if argument.startswith("-") or command == "list" or not is_override:
            raise ConfigError(f"unexpected argument {argument!r}: overrides are key=value; see `harness {command} -h`")
    return list(rest)


def _add(commands: "argparse._SubParsersAction[Parser]", name: str, text: str) -> Parser:
    return commands.add_parser(name, help=text, description=text, allow_abbrev=False)


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON value on standard output, for scripts")


def _add_jobs(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Commands that run a job, or say what one would be."""
    run = _add(commands, "run", "run one job, or with -m a sweep; overrides as key=value")
    run.add_argument("-m", "--multirun", action="store_true", help="one job for each combination of a,b,c values")
    run.add_argument("--cfg", action="store_true", help="print the job's configuration and stop")
    _json(run)
    _json(_add(commands, "plan", "what a job would cost: policies, views, unique passes, stored, time; runs nothing"))
    listing = _add(commands, "list", "what there is, a line each")
    listing.add_argument("what", nargs="?", choices=LISTINGS)
    _json(listing)
    show = _add(commands, "show", "a picture of the views of the policies on sample images")
    show.add_argument("--output", dest="picture", metavar="PATH", help="where the picture goes (default: views.png)")
    show.add_argument("--images", type=int, default=4, metavar="N", help="how many sample images (default: 4)")
    again = _add(commands, "reproduce", "run a finished job again, compare every number, say what differs")
    again.add_argument("job", metavar="JOB", help=JOB)
    again.add_argument("--fresh", action="store_true", help="train and predict anew instead of using the store")
    _json(again)


def _add_results(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Commands that start from finished jobs."""
    report = _add(commands, "report", "one self-contained HTML page with the answer, for one job or for several")
    report.add_argument("jobs", nargs="*", metavar="JOB", help=f"{JOB}; none is all below `output`")
    report.add_argument("--experiment", dest="of_experiment", metavar="NAME", help="the jobs of an MLflow experiment")
    report.add_argument("--output", dest="page", metavar="PATH", help="where the page goes (default: report.html)")
    price = _add(commands, "price", "measure the latency of policies as deployed models, beside identity")
    price.add_argument("job", metavar="JOB", help=JOB)
    price.add_argument("--policy", dest="policies", action="append", metavar="NAME",
                       help="a policy to time, again for more; none is the Pareto front")  # fmt: skip
    price.add_argument("--serving-batch", type=int, default=32, metavar="N", help="images of a batch (default: 32)")
    _json(price)
    export = _add(commands, "export", "a policy as one deployable model: uint8 images in, calibrated probabilities out")
    export.add_argument("job", metavar="JOB", help=JOB)
    export.add_argument("--policy", required=True, metavar="NAME", help="its name in the leaderboard")
    export.add_argument("--format", required=True, choices=FORMATS)
    export.add_argument(
        "--output", dest="target", required=True, metavar="PATH", help="what is written; must not exist"
    )
    promote = _add(commands, "promote", "register a policy as a model version in MLflow")
    promote.add_argument("job", metavar="JOB", help=JOB)
    promote.add_argument("--policy", required=True, metavar="NAME", help="its name in the leaderboard")
    promote.add_argument("--name", dest="model_name", required=True, metavar="NAME", help="of the registered model")
    together = _add(commands, "combine", "jobs that differ in their training seed as one result, intervals over both")
    together.add_argument("folders", nargs="*", metavar="FOLDER", help="of finished jobs; none is all below `output`")
    together.add_argument("--study", dest="of_study", help="only the jobs of this study")
    together.add_argument("--sweep", help="only the jobs of this sweep (its tag in MLflow)")
    together.add_argument("--all", action="store_true", help="print every policy")
    _json(together)
    _add(commands, "sync", "write finished jobs to MLflow that it has missed")
    interface = _add(commands, "ui", "the MLflow UI on 127.0.0.1, with a link that opens at the results")
    interface.add_argument("--port", type=int, default=5000)
    interface.add_argument("--no-open", action="store_true", help="print the links and leave the browser alone")


def _add_installation(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Commands that look after the installation and the store."""
    _json(_add(commands, "doctor", "check the installation: versions, devices, tracker, store, disk"))
    cache = _add(commands, "cache", "look at the store of models and logits, verify it, make room")
    actions = cache.add_subparsers(dest="action", required=True, metavar="action", parser_class=Parser)
    _json(_add(actions, "ls", "what is in the store, a line each"))
    _json(_add(actions, "du", "how much room it takes, by model and split"))
    _json(_add(actions, "verify", "read everything again; what is damaged is set aside, and made again when needed"))
    gc = _add(
        actions, "gc", "make room: what is damaged, left over, or of no use; and on request what is old or too much"
    )
    gc.add_argument("--older-than", type=age_seconds, metavar="AGE", help="also what was last written so long ago: 30d")
    gc.add_argument("--max-size", type=size_bytes, metavar="SIZE", help="also the oldest, until this is left: 10GB")
    gc.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")
    _json(gc)
    _json(_add(actions, "explain", "for a job, why its model and passes are found or missed: the field that changed"))
    completion = _add(commands, "completion", "print the completion script of a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
