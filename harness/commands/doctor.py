"""`harness doctor`: whether the installation is well, a line a check; nothing is made, migrated or downloaded."""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.compose import compose
from harness.config import Config, conf_folder, user_folders
from harness.doctor.check import Check
from harness.doctor.packages import check_packages
from harness.doctor.places import check_disks, check_store
from harness.doctor.tensorflow import check_tensorflow
from harness.doctor.tracker import check_pending, check_tracker
from harness.errors import ConfigError
from harness.json_output import print_json
from harness.terminal import output_console, print_table
from harness.tracking.location import resolve_uri, sqlite_file

FOUND_SOMETHING = 6
STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
NARROW = 60  # columns, below which what was found stands under its name


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints every check with what would do; 0, or 6 where one is a problem."""
    # The slow ones wait for another process and for the network, so they run side by side.
    with ThreadPoolExecutor(1) as pool:
        tensorflow = pool.submit(check_tensorflow)
        config, configuration = _configuration(overrides)
        checks = [*check_packages(), configuration, *_tracker(config)]
        store, output = Path(config.store), Path(config.output)
        checks += [check_store(store), *check_disks({"store": store, "results": output, **_database(config)})]
        checks[2:2] = tensorflow.result()
    problems = sum(check.status == "problem" for check in checks)
    if options.json:
        found = [
            {"check": one.name, "status": one.status, "text": one.text, "remedy": one.remedy or None} for one in checks
        ]
        print_json({"ok": not problems, "checks": found})
    else:
        _print(checks, output_console())
    return FOUND_SOMETHING if problems else 0


def _configuration(overrides: Sequence[str]) -> tuple[Config, Check]:
    """What `harness run` with these overrides would read; where the user's own files spoil it, our files alone."""
    where = " before ".join(str(folder) for folder in [*user_folders(), conf_folder()])
    try:
        return compose(overrides), Check("configuration", "ok", f"read from {where}")
    except ConfigError as error:
        usual = Config.model_validate({"dataset": {"kind": "fashion_mini"}, "model": {"kind": "small_cnn"}, "tta": {}})
        return usual, Check("configuration", "problem", f"{error} (read from {where})", "mend the file or the override")


def _tracker(config: Config) -> list[Check]:
    if not config.tracking.enabled:
        return [Check("tracker", "ok", "switched off by tracking=none")]
    try:
        uri = resolve_uri(config.tracking.uri)
    except ConfigError as error:
        return [Check("tracker", "problem", str(error), "set tracking.uri or MLFLOW_TRACKING_URI")]
    return [check_tracker(uri), *check_pending(Path(config.output))]


def _database(config: Config) -> dict[str, Path]:
    """Where the tracker's own files go, where it is a file."""
    try:
        file = sqlite_file(resolve_uri(config.tracking.uri)) if config.tracking.enabled else None
    except ConfigError:
        file = None
    return {"tracker": file} if file else {}


def _print(checks: Sequence[Check], console: Console) -> None:
    narrow = console.width < NARROW
    table = Table.grid(padding=(0, 2 if not narrow else 1, 0, 0))
    for _ in range(2 if narrow else 3):
        table.add_column(overflow="fold")
    for check in checks:
        text = Text(check.text)
        if check.remedy:
            text.append(f"\n→ {check.remedy}" if console.encoding.startswith("utf") else f"\n-> {check.remedy}")
        status, name = Text(check.status, style=STYLES[check.status]), Text(check.name)
        if narrow:
            table.add_row(status, Text(f"{check.name}: ").append(text))
        else:
            table.add_row(status, name, text)
    print_table(console, table)
