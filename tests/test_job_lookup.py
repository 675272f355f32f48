"""A job is found by its folder, the folder's name, and the ids of its runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import ConfigError
from harness.job_lookup import find_job
from harness.record_files import read_record, write_job
from harness.records import JobRecord
from harness.tracking.children import children
from harness.tracking.jobs import log_job

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_a_job_has_many_names(
    tmp_path: Path, database: Path, make_job: Callable[..., JobRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder, the folder's name, the parent run and a child run all lead to the folder on this disk."""
    monkeypatch.chdir(tmp_path)
    output, uri = tmp_path / "results", f"sqlite:///{database}"
    folder = output / "net-1"
    write_job(folder, make_job(), predictions=[])
    run_id = log_job(folder, uri=uri, experiment="tta")
    client = MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'tta'")
    child = children(client, run_id, experiment_id=experiment.experiment_id)[0].info.run_id
    where = {"output": output, "store": tmp_path / "store", "uri": uri}
    assert {find_job(name, **where) for name in (str(folder), "net-1", run_id, child)} == {folder}

    elsewhere = {**where, "output": tmp_path / "nothing"}
    fetched = find_job(child, **elsewhere)
    assert fetched == tmp_path / "store" / "fetched" / run_id
    assert read_record(fetched) == read_record(folder)


def test_a_name_that_nobody_has(tmp_path: Path, database: Path) -> None:
    """One line that says what would do."""
    with pytest.raises(ConfigError, match="no job 'nobody': expected a folder with"):
        find_job("nobody", output=tmp_path / "results", store=tmp_path / "store", uri=f"sqlite:///{database}")


def test_looking_makes_no_database(tmp_path: Path) -> None:
    """A tracker that was never there is said, and not made."""
    with pytest.raises(ConfigError, match="there is no tracking database"):
        find_job("nobody", output=tmp_path, store=tmp_path, uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_path(tmp_path: Path, database: Path) -> None:
    """What a tracker says is a parent does not decide where files go."""
    uri = f"sqlite:///{database}"
    run = MlflowClient(uri).create_run("0", tags={"mlflow.parentRunId": "../../outside"})
    with pytest.raises(ConfigError, match="names a parent that is no run id"):
        find_job(run.info.run_id, output=tmp_path / "results", store=tmp_path / "store", uri=uri)
