"""Saved views of the MLflow UI's runs page: columns, order, filter and charts, as the UI itself would save them.

The UI keeps such views as experiment tags in a format of its own, which is not documented and may change: all that
is known about it is in this module. Whoever changes what a view shows raises `VERSION`, so that installations of
several versions which share a tracker do not take turns.
"""

import base64
import json
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

VERSION = 2
PREFIX = "mlflow.sharedViewState."
POLICIES = "tta-policies"
JOBS = "tta-jobs"
MOST_DATASETS = 20  # the UI stops saving views at 40
SORTED_BY = "gain/nll_calibrated"
CHARTS = "tta"


@dataclass(frozen=True)
class Column:
    """A column of the runs table: `metrics`, `params` or `tags`, the name, and how many pixels its heading needs."""

    kind: str
    name: str
    width: int

    @property
    def key(self) -> str:
        """Its name in the UI's state and in queries."""
        return f"{self.kind}.`{self.name}`"


RUN_NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
NAME_WIDTH = 200
CREATED_WIDTH = 80
ANSWER = (
    Column("metrics", SORTED_BY, 142),
    Column("metrics", "gain/accuracy", 112),
    Column("metrics", "test/accuracy", 112),
    Column("metrics", "cost/passes", 98),
    Column("metrics", "cost/latency_ratio", 140),
    Column("metrics", "gain/accuracy_lower", 156),
    Column("metrics", "gain/accuracy_upper", 156),
    Column("metrics", "test/nll_calibrated", 142),
)
DATASET, SEED, MODEL = Column("params", "dataset", 105), Column("params", "seed", 60), Column("params", "model", 100)
POLICY_COLUMNS = (
    Column("params", "verdict", 100),
    SEED,
    *ANSWER,
    Column("metrics", "gain/p_value_adjusted", 170),
    MODEL,
)
JOB_COLUMNS = (Column("params", "chosen", 150), Column("tags", "tta.verdict", 100), DATASET, SEED, *ANSWER, MODEL)


def saved_views(datasets: Sequence[str] = ()) -> dict[str, str]:
    """The experiment's tags that make its views: all policies, the jobs, and the policies of each data set.

    Args:
        datasets: names of the data sets that the experiment holds; one alone needs no view of its own.
    """
    several = len(datasets) > 1
    policies = _state("policy", columns=POLICY_COLUMNS, charts=_policy_charts())
    mixed = _state("policy", columns=(DATASET, *POLICY_COLUMNS), charts=_policy_charts())
    jobs = _state("job", columns=JOB_COLUMNS, charts=_job_charts())
    views = {POLICIES: _saved("TTA policies", mixed if several else policies), JOBS: _saved("TTA jobs", jobs)}
    for name in sorted(datasets)[:MOST_DATASETS] if several else ():
        if (condition := _equals("params.`dataset`", name)) is not None:
            state = {**policies, "searchFilter": f"{policies['searchFilter']} AND {condition}"}
            views[f"{POLICIES}-{sha256(name.encode()).hexdigest()[:8]}"] = _saved(f"TTA policies: {name}", state)
    return {f"{PREFIX}{key}": value for key, value in views.items()}


def is_outdated(saved: str, wanted: str) -> bool:
    """Whether a saved view is one of ours that nobody has changed, and not what it would be today.

    The UI notes when a user changes a view; in the first version of ours there was no number.
    """
    try:
        view, today = json.loads(saved), json.loads(wanted)
        ours = view["createdAt"] == view["updatedAt"] and view.get("version", 1) <= VERSION
        return bool(ours and (view["name"], view["state"]) != (today["name"], today["state"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def runs_query(role: str = "policy") -> dict[str, str]:
    """The same rows in the same order by the address alone, for an experiment without saved views."""
    return {"searchFilter": _role(role), "orderByKey": f"metrics.`{SORTED_BY}`", "orderByAsc": "false"}


def _saved(name: str, state: Mapping[str, Any]) -> str:
    now = int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}", "version": VERSION}
    return json.dumps(view)


def _state(role: str, *, columns: Sequence[Column], charts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    widths = {RUN_NAME: NAME_WIDTH, CREATED: CREATED_WIDTH, **{column.key: column.width for column in columns}}
    return {
        **runs_query(role),
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [column.key for column in columns],
        # Two columns that cannot be left out come last.
        "columnOrder": [RUN_NAME, *(column.key for column in columns), CREATED, DURATION],
        "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": list(charts),
        "compareRunSections": [_section()],
        # Otherwise our section sinks below the generated ones.
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
    }


def _section() -> dict[str, Any]:
    return {
        "uuid": CHARTS,
        "name": "Gain and cost",
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": 2,
        "cardHeight": 360,
    }


def _policy_charts() -> list[dict[str, Any]]:
    return [
        _scatter("test/accuracy", against="cost/passes", place=0),
        _bars("gain/accuracy", 1),
        _parallel(params=("policy", "aggregation"), metrics=("cost/views", "test/accuracy"), place=2),
        _scatter("test/nll_calibrated", against="cost/passes", place=3),
        _scatter("test/accuracy", against="cost/latency_ms_p50", place=4),  # once `harness price` has measured it
    ]


def _job_charts() -> list[dict[str, Any]]:
    return [_bars("gain/accuracy", 0), _scatter("gain/accuracy", against="cost/passes", place=1)]


def _scatter(metric: str, *, against: str, place: int) -> dict[str, Any]:
    return {
        **_chart("SCATTER", place),
        "xaxis": {"key": against, "type": "METRIC"},
        "yaxis": {"key": metric, "type": "METRIC"},
    }


def _bars(metric: str, place: int) -> dict[str, Any]:
    return {**_chart("BAR", place), "metricKey": metric}


def _parallel(*, params: Iterable[str], metrics: Iterable[str], place: int) -> dict[str, Any]:
    """The last metric gives the colour."""
    return {
        **_chart("PARALLEL", place),
        "selectedParams": list(params),
        "selectedMetrics": list(metrics),
        "showAllRuns": False,
    }


def _chart(kind: str, place: int) -> dict[str, Any]:
    return {
        "uuid": f"{CHARTS}-{place}",
        "type": kind,
        "metricSectionId": CHARTS,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }


def _role(role: str) -> str:
    return f"tags.`tta.role` = '{role}'"


def _equals(key: str, value: str) -> str | None:
    """A condition of MLflow's query language, which knows no escapes; None for a value that it cannot say."""
    quote = next((mark for mark in "'\"" if mark not in value), None)
    return None if quote is None else f"{key} = {quote}{value}{quote}"
