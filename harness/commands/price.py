"""`harness price`: the latency of a job's policies as deployed models, measured now, on this machine."""

import argparse
import importlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.compose import compose
from harness.config import Config
from harness.errors import ConfigError, ModelError, TrackingError, unknown_name
from harness.job_lookup import find_job
from harness.json_output import print_json
from harness.latency import MOST, WARM_UP, Query, doubts, load_doubt, time_queries, timings
from harness.latency_record import Latency, Timing, write_latency
from harness.machine import machine
from harness.pareto import worth_pricing
from harness.progress import step_bar
from harness.record_files import read_record
from harness.records import IDENTITY, JobRecord
from harness.terminal import progress_console
from harness.tracking.location import resolve_uri

SECONDS = 45.0  # for each batch size
IMAGES = 512  # test images that queries are drawn from


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the timings and keeps them with the job; 0, or 4 where the tracker could not be told."""
    load = os.getloadavg()[0]  # before TensorFlow loads, which is our own work
    if options.serving_batch < 2:
        raise ConfigError(f"--serving-batch: expected 2 images or more, got {options.serving_batch}")
    config = compose(overrides)
    uri = resolve_uri(config.tracking.uri)
    folder = find_job(options.job, output=Path(config.output), store=Path(config.store), uri=uri)
    record = read_record(folder)
    names = _named(record, options.policies)
    latency = _measure(folder, names, batches=(1, options.serving_batch), load=load, console=progress_console())
    write_latency(folder, latency)
    importlib.import_module("harness.page.job").write_page(folder, cache=Path(config.store))
    if options.json:
        print_json(asdict(latency))
    else:
        _show(latency, Console())
        print(f"kept in {folder}, and in its report")
    return _track(folder, config, uri)


def _named(record: JobRecord, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The policies to time, identity first.

    Raises:
        ConfigError: for one that the job does not have.
    """
    if not asked:
        return worth_pricing(record)
    known = [policy.name for policy in record.policies]
    for name in asked:
        if name not in known:
            raise ConfigError(unknown_name(f"policy of {record.name}", name, known))
    return tuple(dict.fromkeys((IDENTITY, *asked)))


def _measure(folder: Path, names: Sequence[str], *, batches: Sequence[int], load: float, console: Console) -> Latency:
    job = importlib.import_module("harness.export.job").open_job(folder)
    candidates, notes = _deployed(job, names)
    test = job.dataset.test
    images = test.images.read(test.spread(IMAGES))
    found: list[Timing] = []
    noise = list(load_doubt(load))
    for batch in batches:
        with _rounds(console, f"batches of {batch}" if batch > 1 else "single images") as advance:
            times = time_queries(
                candidates, images, batch=batch, seconds=SECONDS, clock=time.perf_counter, advance=advance
            )
        found += timings(times, batch=batch)
        noise += doubts(times, batch=batch)
    device = importlib.import_module("harness.models.predictor").device_notes()
    return Latency(
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        device=str(device["device"]),
        threads=int(device["threads"]),
        load=load,
        noisy=bool(noise),
        notes=(*noise, *notes),
        timings=tuple(found),
    )


@contextmanager
def _rounds(console: Console, title: str) -> Iterator[Callable[[], None]]:
    """Progress over the rounds, which may end before all are done."""
    with step_bar(console, title, {str(number): 1.0 for number in range(WARM_UP + MOST)}, done="timed") as advance:
        numbers = itertools.count()
        yield lambda: advance(str(next(numbers)))


def _deployed(job: object, names: Sequence[str]) -> tuple[Mapping[str, Query], list[str]]:
    """The policies as models, and a sentence for each that cannot be one.

    Raises:
        ModelError: where identity cannot: then there is nothing to compare with.
    """
    deployable: Callable[..., Query] = importlib.import_module("harness.export.deployable").deployable
    found: dict[str, Query] = {}
    notes = []
    for name in names:
        try:
            found[name] = deployable(job, name)
        except ModelError as error:
            if name == IDENTITY:
                raise
            notes.append(f"{name} is not timed: {error}")
    return found, notes


def _show(latency: Latency, console: Console) -> None:
    alone, serving = latency.batches[0], latency.batches[-1]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("policy", overflow="fold")
    for heading in ("p50 ms", "p90", "p99", "ratio", f"images/s,\nbatch {serving}", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in (one for one in latency.timings if one.batch == alone):
        many = latency.of(one.policy, serving)
        found = [one.milliseconds.get(name) for name in ("p50", "p90", "p99")]
        percentiles = ["" if value is None else f"{value:.2f}" for value in found]
        rest = [f"{many.images_per_second:,.0f}", f"{many.ratio:.2f}"] if many else ["", ""]
        table.add_row(Text(one.policy), *percentiles, f"{one.ratio:.2f}", *rest)
    console.print(table)
    queries = latency.timings[0].queries
    caption = f"one image a query, {queries:,} queries in turn; ratio: to identity; {latency.machine}, {latency.device}"
    console.print(Text(f"{caption}, {latency.threads} threads", style="dim"))
    for note in latency.notes:
        console.print(Text(f"{'noisy' if latency.noisy else 'note'}: {note}", style="yellow"))


def _track(folder: Path, config: Config, uri: str) -> int:
    if not config.tracking.enabled:
        return 0
    tracking = importlib.import_module("harness.tracking.latency")
    try:
        tracking.log_latency(folder, uri=uri, experiment=config.tracking.experiment)
    except TrackingError as error:
        print(f"warning: {error}; the measurement is on disk: `harness price` again later", file=sys.stderr)
        return 4
    return 0
