"""`harness reproduce RUN_ID`: the run's configuration again, and every metric compared."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from harness.config import Config, parse
from harness.errors import ConfigError
from harness.reproduction import TOLERANCE, Comparison, compare
from harness.runner import run
from harness.tracking.location import resolve_uri
from harness.tracking.reading import load_run_config

SHOWN = 10


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the verdict; 0, or 5 where the numbers differ. The second run is not logged."""
    uri = _tracking_uri(overrides)
    logged = load_run_config(options.run_id, uri=resolve_uri(uri))
    config = parse(yaml.safe_load(logged.config))
    with tempfile.TemporaryDirectory(prefix="harness-reproduce-") as temporary:
        again = _elsewhere(config, Path(temporary), uri=uri, fresh=options.fresh)
        outcome = run(again, console=Console(stderr=True), command=logged.record.command)
        comparison = compare(logged.record, outcome.record)
    print(f"models trained: {outcome.trained}, forward passes run: {outcome.computed}")
    _show(comparison)
    return 5 if comparison.verdict == "different" else 0


def _elsewhere(config: Config, folder: Path, *, uri: str | None, fresh: bool) -> Config:
    """The same job with its record in `folder`, unlogged; with `fresh` its models and logits there too.

    The tracker stays known, because a checkpoint may lie there.
    """
    tracking = config.tracking.model_copy(update={"enabled": False, "uri": uri or config.tracking.uri})
    changed: dict[str, Any] = {"output": str(folder / "results"), "tracking": tracking}
    if fresh:
        changed["store"] = str(folder / "store")
    return config.model_copy(update=changed)


def _tracking_uri(overrides: list[str]) -> str | None:
    uri = None
    for override in overrides:
        key, _, value = override.partition("=")
        if key != "tracking.uri":
            raise ConfigError(f"reproduce takes its configuration from the run; only tracking.uri=… fits, got {key!r}")
        uri = value
    return uri


def _show(comparison: Comparison) -> None:
    print(f"verdict: {comparison.verdict} ({comparison.compared} metrics compared, tolerance {TOLERANCE:g})")
    for difference in comparison.metrics[:SHOWN]:
        print(f"  {difference}")
    if len(comparison.metrics) > SHOWN:
        print(f"  and {len(comparison.metrics) - SHOWN} more")
    for fact in comparison.facts:
        print(f"  changed since: {fact}")
