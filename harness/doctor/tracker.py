"""Whether the tracker answers, fits the installed MLflow, and knows all finished jobs."""

import importlib
from pathlib import Path

from harness.doctor.check import Check
from harness.errors import TrackingError
from harness.tracking.location import check_reachable, pending_jobs, public_uri, sqlite_file


def check_tracker(uri: str) -> Check:
    """The tracker at a resolved URI; nothing is made or migrated.

    A server is asked for its health. A database is asked which version of MLflow's schema it has.
    """
    where = public_uri(uri)
    if uri.startswith(("http://", "https://")):
        try:
            check_reachable(uri)
        except TrackingError as error:
            remedy = "start it, or `tracking.uri=…` another; jobs run without, and `harness sync` makes it good"
            return Check("tracker", "problem", str(error), remedy)
        return Check("tracker", "ok", f"{where} answers")
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        return Check("tracker", "ok", f"{where} is made by the first job")
    # Imported when there is a database to ask.
    schema = importlib.import_module("harness.tracking.schema")
    try:
        state = schema.schema_state(uri)
    except TrackingError as error:
        return Check("tracker", "problem", str(error), "look whether the file or the server is what you think it is")
    return _of_schema(state, where)


def _of_schema(state: str, where: str) -> Check:
    if state == "older":
        text = f"{where} was written by an older MLflow, and the installed one refuses it"
        return Check("tracker", "problem", text, f"copy it first, then `mlflow db upgrade {where}`")
    if state == "newer":
        text = f"{where} was written by another MLflow, newer than the installed one"
        return Check("tracker", "problem", text, "install the MLflow that wrote it")
    if state == "none":
        text = f"{where} is a database, but not one of MLflow"
        return Check("tracker", "problem", text, "name another file, `tracking.uri=sqlite:///…`")
    return Check("tracker", "ok", f"{where}, its schema is the installed MLflow's")


def check_pending(output: Path) -> list[Check]:
    """Finished jobs that the tracker has missed, where there are any."""
    count = len(pending_jobs(output)) if output.is_dir() else 0
    if not count:
        return []
    return [Check("sync", "warning", f"{count} finished jobs are not in the tracker", "`harness sync` writes them")]
