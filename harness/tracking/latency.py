"""A measurement of latency told to MLflow: numbers on the policies' runs, the file on the job's."""

from collections.abc import Iterable
from pathlib import Path

from mlflow import MlflowClient

from harness.latency_record import LATENCY, Latency, Timing, read_latency
from harness.record_files import PAGE
from harness.tracking import entries
from harness.tracking.artifacts import log_present
from harness.tracking.children import children
from harness.tracking.location import logged_run
from harness.tracking.server import open_client


def log_latency(folder: Path, *, uri: str, experiment: str) -> str | None:
    """Tells the tracker the measurement of a job's folder; the parent run's id, None where the job is not logged there.

    Raises:
        DataError: for a measurement that is damaged.
        TrackingError: where the tracker does not answer or refuses.
    """
    run_id, latency = logged_run(folder, uri=uri, experiment=experiment), read_latency(folder)
    if run_id is None or latency is None:
        return None
    with open_client(uri) as client:
        write_latency_metrics(client, run_id, latency)
        log_present(client, run_id, folder, (LATENCY, PAGE))  # the page is made anew with the measurement
    return run_id


def write_latency_metrics(client: MlflowClient, run_id: str, latency: Latency) -> None:
    """Metrics on the child runs of the policies that were timed; a later measurement adds to an earlier one's history.

    `cost/latency_ms_p50` (and p90, p99) is of one image alone, `cost/latency_ratio` that to identity;
    `cost/images_per_second` and `cost/latency_ratio_serving` are of the largest batch.
    """
    experiment_id = client.get_run(run_id).info.experiment_id
    for run in children(client, run_id, experiment_id=experiment_id):
        numbers = dict(_numbers(latency, run.info.run_name))
        if numbers:
            client.log_batch(run.info.run_id, metrics=entries.metrics(numbers, latency.measured))


def _numbers(latency: Latency, policy: str) -> Iterable[tuple[str, float]]:
    batches = latency.batches
    alone = latency.of(policy, batches[0]) if batches else None
    serving = latency.of(policy, batches[-1]) if len(batches) > 1 else None
    if alone is not None:
        yield from _percentiles(alone)
        yield "cost/latency_ratio", alone.ratio
    if serving is not None:
        yield "cost/images_per_second", serving.images_per_second
        yield "cost/latency_ratio_serving", serving.ratio


def _percentiles(timing: Timing) -> Iterable[tuple[str, float]]:
    return ((f"cost/latency_ms_{name}", value) for name, value in timing.milliseconds.items())
