"""`harness promote JOB --policy P --name N`: a policy as a version of a registered model in MLflow."""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from harness.compose import compose
from harness.job_lookup import find_job
from harness.record_files import read_record
from harness.records import PolicyRecord
from harness.tracking import jobs, registry
from harness.tracking.location import public_uri, resolve_uri

TAGS = {
    "test/accuracy": "tta.accuracy",
    "test/nll_calibrated": "tta.nll_calibrated",
    "gain/accuracy": "tta.gain",
    "gain/accuracy_lower": "tta.gain_lower",
    "gain/accuracy_upper": "tta.gain_upper",
    "cost/passes": "tta.passes",
}
"""Numbers of a policy that a version is tagged with, as fractions."""


def main(options: argparse.Namespace, overrides: list[str]) -> int:
    """Prints the registered model's name and version; the same policy of the same job is registered once."""
    registry.check_name(options.model_name)
    config = compose(overrides)
    uri = resolve_uri(config.tracking.uri)
    folder = find_job(options.job, output=Path(config.output), store=Path(config.store), uri=uri)
    record = read_record(folder)
    candidate = registry.Candidate(options.policy, record.job_id, record.model.digest)
    known = registry.registered_version(candidate, name=options.model_name, uri=uri)
    if known is not None:
        print(f"{options.model_name} version {known} is {options.policy} of this job already; nothing was done")
        return 0
    with (
        Console(stderr=True).status(f"{options.policy}: put together, checked on test images and registered …"),
        tempfile.TemporaryDirectory(prefix="harness-promote-") as temporary,
    ):
        version, found = _promote(folder, candidate, Path(temporary) / "model", name=options.model_name, uri=uri)
    if found.verdict not in ("ship", ""):
        print(f"warning: the verdict on {found.name} is: {found.verdict}", file=sys.stderr)
    print(f"{options.model_name} version {version} in {public_uri(uri)}")
    where = f"MLFLOW_TRACKING_URI={public_uri(uri)} " if uri != resolve_uri(None) else ""
    print(f"serve it: {where}mlflow models serve -m models:/{options.model_name}/{version} --env-manager local -p 5001")
    return 0


def _promote(
    folder: Path, candidate: registry.Candidate, target: Path, *, name: str, uri: str
) -> tuple[str, PolicyRecord]:
    """The new version, and what the record says of the policy."""
    writing, card, mlflow_folder = (
        importlib.import_module(f"harness.export.{part}") for part in ("writing", "card", "mlflow_folder")
    )
    job = importlib.import_module("harness.export.job").open_job(folder)
    exported = writing.export(job, candidate.policy, "mlflow", target)
    page = card.page(job, exported.policy, exported.parity, usage=mlflow_folder.usage(f"models:/{name}/latest"))
    (target / card.README).write_text(page, encoding="utf-8")
    found = job.record.policy(candidate.policy)
    scores = {tag: f"{found.metrics[metric]:.6g}" for metric, tag in TAGS.items() if metric in found.metrics}
    scores |= {"tta.temperature": f"{exported.policy.temperature:.6g}", "tta.dataset": job.record.dataset.name}
    if found.verdict:
        scores["tta.verdict"] = found.verdict
    # Logged now where it was not: a registered model names the run that it came from.
    run_id = jobs.log_job(folder, uri=uri, experiment=job.experiment)
    version = registry.register(target, candidate, name=name, run_id=run_id, scores=scores, page=page, uri=uri)
    return version, found
