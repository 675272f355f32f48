"""A saved view of the experiment in the MLflow UI: the policies as a leaderboard, and a chart of gain against cost.

The UI keeps such views as experiment tags `mlflow.sharedViewState.<key>` in a format of its own, which is not
documented and may change: everything about it is in this module, and a failure here fails nothing else.
"""

import base64
import json
import time
import zlib
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

KEY = "tta-policies"
NAME = "TTA policies"
COLUMNS = (
    "params.`dataset`",
    "params.`model`",
    "params.`seed`",
    "metrics.`cost/passes`",
    "metrics.`test/accuracy`",
    "metrics.`gain/accuracy`",
    "metrics.`gain/accuracy_lower`",
    "metrics.`gain/accuracy_upper`",
    "metrics.`gain/p_value_adjusted`",
    "metrics.`test/nll_calibrated`",
)


def arrange(client: MlflowClient, experiment_id: str) -> None:
    """Writes the saved view where the experiment has none; what a user has saved or changed stays."""
    tag = f"mlflow.sharedViewState.{KEY}"
    try:
        if tag not in client.get_experiment(experiment_id).tags:
            client.set_experiment_tag(experiment_id, tag, json.dumps(_view()))
    except MlflowException:
        return


def _view() -> dict[str, Any]:
    now = int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(_state()).encode())).decode()
    return {"name": NAME, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}


def _state() -> dict[str, Any]:
    return {
        "searchFilter": "tags.`tta.role` = 'policy'",
        "orderByKey": "metrics.`test/nll_calibrated`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(COLUMNS),
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [
            _scatter("gain/accuracy", 0),
            _bars("gain/accuracy", 1),
            _scatter("test/nll_calibrated", 2),
        ],
        "compareRunSections": [
            {
                "uuid": "tta",
                "name": "Gain and cost",
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
        ],
        # Otherwise our section sinks below the generated ones.
        "isAccordionReordered": True,
        "groupBy": None,
        "groupsExpanded": {},
    }


def _scatter(metric: str, place: int) -> dict[str, Any]:
    return {
        **_chart("SCATTER", place),
        "xaxis": {"key": "cost/passes", "type": "METRIC"},
        "yaxis": {"key": metric, "type": "METRIC"},
    }


def _bars(metric: str, place: int) -> dict[str, Any]:
    return {**_chart("BAR", place), "metricKey": metric}


def _chart(kind: str, place: int) -> dict[str, Any]:
    return {
        "uuid": f"tta-{place}",
        "type": kind,
        "metricSectionId": "tta",
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
    }
