"""An experiment arranged for the UI: written once, kept up to date, a user's changes left alone, never a failure."""

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from harness.records import JobRecord
from harness.tracking import jobs, saved_views
from harness.tracking.arrangement import DESCRIPTION, NOTE, arrange

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]
POLICIES = f"{saved_views.PREFIX}{saved_views.POLICIES}"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    """Of a store with one experiment, whose id is 1."""
    client = MlflowClient(uri, registry_uri=uri)
    assert client.create_experiment("tta") == "1"
    return client


def tags(client: MlflowClient) -> dict[str, str]:
    """Those of the experiment."""
    return dict(client.get_experiment("1").tags)


def views(client: MlflowClient) -> dict[str, dict[str, Any]]:
    """The saved views by the names that the UI shows, their states unpacked as it does."""
    saved = [json.loads(value) for name, value in tags(client).items() if name.startswith(saved_views.PREFIX)]
    return {view["name"]: state_of(view) for view in saved}


def state_of(view: dict[str, Any]) -> dict[str, Any]:
    """What a saved view says: base64 of deflated JSON."""
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    return state


def test_a_logged_job_arranges_its_experiment(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """Views of policies and of jobs, a description, a primary metric; each view finds the runs it is for, sorted."""
    jobs.log_job(make_folder(make_job()), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    found = views(client)
    assert set(found) == {"TTA policies", "TTA jobs"}
    for name, count in (("TTA policies", 3), ("TTA jobs", 1)):
        state = found[name]
        order = [f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"]
        assert len(client.search_runs(["1"], filter_string=state["searchFilter"], order_by=order)) == count
    assert tags(client)[NOTE] == DESCRIPTION
    assert tags(client)["mlflow.experiment.primaryMetric.name"] == "gain/nll_calibrated"


def test_every_column_and_chart_is_of_something_that_is_logged(
    make_job: MakeJob, make_folder: MakeFolder, uri: str
) -> None:
    """No column names a param, metric or tag that a full job lacks; latency comes later, by `harness price`."""
    record = make_job()
    for policy in record.policies:
        policy.metrics.update({"gain/nll_calibrated": 0.0, "cost/views": 1.0})  # type: ignore[attr-defined]
    run_id = jobs.log_job(make_folder(record), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    runs = {
        "TTA policies": client.search_runs(["1"], "tags.`tta.role` = 'policy'"),
        "TTA jobs": [client.get_run(run_id)],
    }
    for name, state in views(client).items():
        known = {f"{kind}.`{key}`" for run in runs[name] for kind in ("params", "metrics", "tags")
                 for key in getattr(run.data, kind)}  # fmt: skip
        asked = {key for key in state["selectedColumns"] if "latency" not in key}
        assert asked - known == set()
        drawn = {f"metrics.`{chart['metricKey']}`" for chart in state["compareRunCharts"] if chart["type"] == "BAR"}
        assert drawn - known == set()


def test_several_data_sets_get_views_of_their_own(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """With the second data set come a view of each, odd names too, and a column that tells them apart."""
    names = ("digits", "Anna's photos")
    for place, name in enumerate(names):
        record = make_job(job_id=f"{place}" * 64, params={"dataset": name})
        record = replace(record, dataset=replace(record.dataset, name=name))
        jobs.log_job(make_folder(record, f"job{place}"), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    found = views(client)
    assert set(found) == {"TTA policies", "TTA jobs", "TTA policies: digits", "TTA policies: Anna's photos"}
    assert "params.`dataset`" in found["TTA policies"]["selectedColumns"]
    for name in names:
        runs = client.search_runs(["1"], filter_string=found[f"TTA policies: {name}"]["searchFilter"])
        assert {run.data.params["dataset"] for run in runs} == {name}
        assert len(runs) == 3


def test_a_second_time_nothing_is_written(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there and of today costs one question."""
    arrange(client, "1", dataset="digits")
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", lambda *_: pytest.fail("written again"))
    arrange(client, "1", dataset="digits")


@pytest.mark.parametrize("change", [{"updatedAt": 2}, {"updatedAt": 2, "state": "{}"}, {"version": 99}])
def test_what_a_user_or_a_later_version_saved_stays(client: MlflowClient, change: dict[str, Any]) -> None:
    """A view that was changed in the UI, which notes when, and one of a version that we do not know yet."""
    theirs = json.dumps({"name": "TTA policies", "createdAt": 1, "updatedAt": 1, "state": "old"} | change)
    client.set_experiment_tag("1", POLICIES, theirs)
    arrange(client, "1")
    assert tags(client)[POLICIES] == theirs


@pytest.mark.parametrize("version", [{}, {"version": 1}, {"version": saved_views.VERSION}])
def test_an_earlier_view_of_ours_is_replaced(client: MlflowClient, version: dict[str, Any]) -> None:
    """One that nobody changed since we wrote it; the first version of ours had no number."""
    ours = json.dumps({"name": "TTA policies", "createdAt": 1, "updatedAt": 1, "state": "old", **version})
    client.set_experiment_tag("1", POLICIES, ours)
    arrange(client, "1")
    assert views(client)["TTA policies"]["selectedColumns"]


@pytest.mark.parametrize("note", ["mine", ""])
def test_a_description_of_the_user_stays(client: MlflowClient, note: str) -> None:
    """One that was there before, and one that replaced ours, an empty one too."""
    if note:
        client.set_experiment_tag("1", NOTE, note)
    arrange(client, "1")
    assert tags(client)[NOTE] == (note or DESCRIPTION)
    client.set_experiment_tag("1", NOTE, note)
    arrange(client, "1")
    assert tags(client)[NOTE] == note


@pytest.mark.parametrize("value", ["mine", "null", "[]", '"a"', '{"createdAt": 1}', "{"])
def test_odd_tags_break_nothing(client: MlflowClient, value: str) -> None:
    """What is no view or no list of names is left alone, and the rest is written."""
    client.set_experiment_tag("1", POLICIES, value)
    client.set_experiment_tag("1", "tta.datasets", value)
    arrange(client, "1", dataset="digits")
    assert tags(client)[POLICIES] == value
    assert tags(client)[NOTE] == DESCRIPTION


@pytest.mark.parametrize("error", [MlflowException("no"), RuntimeError("no"), OSError("no")])
@pytest.mark.parametrize("method", ["get_experiment", "set_experiment_tag"])
def test_no_failure_here_reaches_a_job(
    make_job: MakeJob,
    make_folder: MakeFolder,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    error: Exception,
) -> None:
    """The job is logged whole where its experiment cannot be arranged."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(MlflowClient, method, fail)
    run_id = jobs.log_job(make_folder(make_job()), uri=uri, experiment="tta")
    assert MlflowClient(uri, registry_uri=uri).get_run(run_id).info.status == "FINISHED"


def test_it_can_be_left_out(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """`arranged=False` writes no tag of the UI's but the experiment's kind."""
    jobs.log_job(make_folder(make_job()), uri=uri, experiment="tta", arranged=False)
    assert set(tags(MlflowClient(uri, registry_uri=uri))) == {"mlflow.experimentKind"}


def test_views_are_small() -> None:
    """MLflow takes 20,000 characters in a tag, its UI 40 views in an experiment."""
    found = saved_views.saved_views([f"data set {number}" for number in range(100)])
    assert len(found) < 30
    assert max(map(len, found.values())) < 5_000
