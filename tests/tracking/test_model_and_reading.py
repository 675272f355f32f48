"""The model is logged once and loads elsewhere; what was logged is read back as data."""

import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from harness.errors import ModelError, TrackingError
from harness.record_files import CONFIG, ENVIRONMENT, read_record
from harness.records import JobRecord
from harness.tracking import jobs, reading, ui
from harness.tracking.children import children

# MLflow's own use of SQLAlchemy; it is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]


def with_file(record: JobRecord, path: Path) -> JobRecord:
    """The record, whose model lies in a file."""
    return replace(record, model=replace(record.model, path=str(path)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory and an environment that name no tracker: only the given URI may be used."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    """A file that stands for a model: logging copies its bytes and never opens it."""
    file = tmp_path / "net.keras"
    file.write_bytes(b"weights")
    return file


def test_a_model_is_logged_once_per_digest(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, keras_file: Path
) -> None:
    """Two jobs with one model share it, and their runs and children are linked to it."""
    first = with_file(make_job(), keras_file)
    second = replace(first, job_id="ef" * 32, seed=1)
    run_ids = [
        jobs.log_job(make_folder(record, record.job_id), uri=uri, experiment="tta") for record in (first, second)
    ]
    client = MlflowClient(uri, registry_uri=uri)
    (model,) = client.search_logged_models([client.get_run(run_ids[0]).info.experiment_id])
    assert (str(model.status), model.name, model.tags["tta.model_digest"]) == ("READY", "net", "cd" * 32)
    runs = client.search_runs([model.experiment_id])
    assert len(runs) == 8
    linked = {run.info.run_id: [item.model_id for item in client.get_run(run.info.run_id).inputs.model_inputs]
              for run in runs if run.info.run_id in run_ids}  # fmt: skip
    assert linked == {run_id: [model.model_id] for run_id in run_ids}


def test_a_model_that_was_broken_off_is_logged_again(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, keras_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a model never counts as logged, and does not stay."""

    def breaking(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = make_folder(with_file(make_job(), keras_file))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, "log_model_artifacts", breaking)
        jobs.log_job(folder, uri=uri, experiment="tta")
    run_id = jobs.log_job(folder, uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    (model,) = client.search_logged_models([client.get_run(run_id).info.experiment_id])
    assert str(model.status) == "READY"


def test_a_model_without_a_file_is_left_out(make_job: MakeJob, make_folder: MakeFolder, uri: str) -> None:
    """The store is a cache and may be gone: the job is logged all the same."""
    run_id = jobs.log_job(make_folder(with_file(make_job(), Path("/nowhere.keras"))), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    assert list(client.search_logged_models([client.get_run(run_id).info.experiment_id])) == []


def test_logging_imports_no_tensorflow(make_job: MakeJob, make_folder: MakeFolder, uri: str, keras_file: Path) -> None:
    """A job whose passes are all stored stays light, also when it logs a model."""
    folder = make_folder(with_file(make_job(), keras_file))
    code = (
        "import sys; from pathlib import Path; from harness.tracking.jobs import log_job; "
        "log_job(Path(sys.argv[1]), uri=sys.argv[2], experiment='tta'); "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder), uri], check=False).returncode == 0


def test_the_logged_model_has_a_signature_and_gives_its_file_back(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, keras_file: Path, tmp_path: Path
) -> None:
    """Image batches in, one number per class out; the file comes back byte for byte."""
    run_id = jobs.log_job(make_folder(with_file(make_job(), keras_file)), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    (model,) = client.search_logged_models([client.get_run(run_id).info.experiment_id])
    client.create_registered_model("winner")
    client.create_model_version("winner", model.artifact_location)
    client.set_registered_model_alias("winner", "champion", "1")
    for number, name in enumerate((model.model_id, "winner/1", "winner@champion")):
        folder = tmp_path / f"fetched{number}"
        folder.mkdir()
        found = reading.download_model(f"models:/{name}", uri=uri, folder=folder)
        assert found.read_bytes() == b"weights"
    signature = Model.load(str(found.parent.parent)).signature
    assert signature.inputs.inputs[0].shape == (-1, 8, 8, 1)
    assert signature.outputs.inputs[0].shape == (-1, 2)
    with pytest.raises(TrackingError, match="nobody"):
        reading.download_model("models:/nobody/1", uri=uri, folder=tmp_path)
    with pytest.raises(ModelError, match="holds no Keras model"):
        reading.download_model(f"runs:/{run_id}/plots", uri=uri, folder=tmp_path)


@pytest.mark.slow
def test_mlflow_loads_the_model_and_it_predicts_the_same(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, tmp_path: Path
) -> None:
    """As pyfunc and as Keras model, in a process without the harness: the same bits."""
    make = (
        "import sys, keras, numpy as np; keras.utils.set_random_seed(0); "
        "net = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3), keras.layers.Flatten(), "
        "keras.layers.Dense(2)]); net.save(sys.argv[1] + '/net.keras'); "
        "images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32); np.save(sys.argv[1] + '/x.npy', images); "
        "np.save(sys.argv[1] + '/y.npy', net.predict(images, verbose=0))"
    )
    subprocess.run([sys.executable, "-c", make, str(tmp_path)], check=True)
    run_id = jobs.log_job(make_folder(with_file(make_job(), tmp_path / "net.keras")), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    (model,) = client.search_logged_models([client.get_run(run_id).info.experiment_id])
    load = (
        "import sys, mlflow, mlflow.keras, numpy as np; mlflow.set_tracking_uri(sys.argv[2]); "
        "x = np.load(sys.argv[1] + '/x.npy'); "
        "np.save(sys.argv[1] + '/a.npy', mlflow.pyfunc.load_model(sys.argv[3]).predict(x)); "
        "np.save(sys.argv[1] + '/b.npy', mlflow.keras.load_model(sys.argv[3]).predict(x, verbose=0))"
    )
    arguments = [str(tmp_path), uri, f"models:/{model.model_id}"]
    subprocess.run([sys.executable, "-c", load, *arguments], check=True, cwd=tmp_path)
    expected, as_pyfunc, as_keras = (np.load(tmp_path / f"{name}.npy") for name in "yab")
    np.testing.assert_array_equal(expected, as_pyfunc)
    np.testing.assert_array_equal(expected, as_keras)


def test_a_logged_job_is_read_back_exactly(
    make_job: MakeJob, make_folder: MakeFolder, uri: str, tmp_path: Path
) -> None:
    """By the parent's id or a child's: configuration, environment and unrounded numbers."""
    record = make_job()
    run_id = jobs.log_job(make_folder(record), uri=uri, experiment="tta")
    client = MlflowClient(uri, registry_uri=uri)
    child = children(client, run_id, experiment_id=client.get_run(run_id).info.experiment_id)[0]
    for given in (run_id, child.info.run_id):
        assert reading.parent_run(given, uri=uri) == run_id
    found = reading.fetch_job(run_id, uri=uri, folder=tmp_path / "fetched")
    assert found == tmp_path / "fetched" / run_id
    texts = [(found / name).read_text(encoding="utf-8") for name in (CONFIG, ENVIRONMENT)]
    assert (texts, read_record(found)) == (["seed: 0\n", "numpy==2\n"], record)


def test_an_unknown_run_is_one_line(uri: str, tmp_path: Path) -> None:
    """A mistyped id and a run that is no job of ours are told apart from a defect."""
    with pytest.raises(TrackingError, match="f" * 32) as caught:
        reading.parent_run("f" * 32, uri=uri)
    assert "\n" not in str(caught.value)
    client = MlflowClient(uri, registry_uri=uri)
    foreign = client.create_run(client.create_experiment("other", artifact_location="file:///nowhere"))
    with pytest.raises(TrackingError, match="expected a job that `harness run` logged"):
        reading.fetch_job(foreign.info.run_id, uri=uri, folder=tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def asked(link: str) -> dict[str, str]:
    """The query of a link."""
    return dict(urllib.parse.parse_qsl(link.split("?")[1], strict_parsing=True))


def test_the_links_open_the_saved_view_of_the_policies(uri: str) -> None:
    """Loopback for a database; the same each time; the key is that of a view which the experiment has."""
    links = ui.ui_links(uri, experiment="tta", port=5001)
    assert links.leaderboard.split("?")[0] == "http://127.0.0.1:5001/#/experiments/1/runs"
    assert asked(links.charts) == asked(links.leaderboard) | {"compareRunsMode": "CHART"}
    assert asked(links.leaderboard)["workflowType"] == "machine_learning"
    assert ui.ui_links(uri, experiment="tta", port=5001) == links
    client = MlflowClient(uri, registry_uri=uri)
    key = asked(links.leaderboard)["viewStateShareKey"]
    assert f"mlflow.sharedViewState.{key}" in client.get_experiment("1").tags


def test_without_arrangement_the_address_says_which_runs(uri: str) -> None:
    """Nothing is written; filter and order are such that MLflow takes."""
    query = asked(ui.ui_links(uri, experiment="tta", port=5001, arranged=False).leaderboard)
    client = MlflowClient(uri, registry_uri=uri)
    assert set(client.get_experiment("1").tags) == {"mlflow.experimentKind"}
    order = [f"{query['orderByKey']} {'ASC' if query['orderByAsc'] == 'true' else 'DESC'}"]
    assert list(client.search_runs(["1"], filter_string=query["searchFilter"], order_by=order)) == []


def test_a_server_is_not_served_again() -> None:
    """The line names the address without its password."""
    with pytest.raises(TrackingError, match=r"^https://host is a server already"):
        ui.serve_ui("https://me:pw@host")
