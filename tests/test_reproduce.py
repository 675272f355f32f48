"""`harness reproduce`: a finished job once more, from the store or from nothing, from here or from a stranger."""

import json
import re
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness.backend import keras
from harness.cli import main

JOB = "results/job"
SMALL = ("dataset=npz", "dataset.path=tiny.npz", "training.epochs=2", "training.batch_size=4",
         "evaluation.resamples=200")  # fmt: skip
Edit = Callable[[Any], None]


@pytest.fixture(scope="module")
def _finished(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a store and one finished job that no tracker knows."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copyfile(_trained / "tiny.npz", folder / "tiny.npz")
    shutil.copytree(_trained / "store", folder / ".harness" / "store")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        patch.delenv("HARNESS_STORE", raising=False)
        showwarning, on_sigterm = warnings.showwarning, signal.getsignal(signal.SIGTERM)
        assert main(["run", *SMALL, "tta=hflip", "tracking=none"]) == 0
        warnings.showwarning = showwarning
        signal.signal(signal.SIGTERM, on_sigterm)
    (made,) = (folder / "results").iterdir()
    made.rename(folder / JOB)
    return folder


@pytest.fixture
def here(_finished: Path, tmp_path: Path) -> Path:
    """The test's own copy of that folder; `harness` makes it the working directory."""
    shutil.copytree(_finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def edit(file: str, change: Edit) -> None:
    """Changes a JSON or YAML file of the job."""
    path = Path(JOB) / file
    data = yaml.safe_load(path.read_text()) if file.endswith(".yaml") else json.loads(path.read_text())
    change(data)
    path.write_text(yaml.safe_dump(data) if file.endswith(".yaml") else json.dumps(data))


def files(*but: str) -> dict[str, int]:
    """Every file below the working directory and when it was written, except the store's locks and `but`."""
    found = (path for path in Path().rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.stat().st_mtime_ns for path in found if not str(path).startswith(but)}


def test_a_logged_job_from_the_store_and_from_nothing(harness: Any, tiny: tuple[str, ...], database: Path) -> None:
    """From the store nothing is trained or run, with --fresh all of it; both are identical, and both runs are tagged.

    A record that says something else is found out: exit code 5, and the number is named.
    """
    done = harness("run", *tiny, "tta=hflip")
    run_id = re.findall(r"run ([0-9a-f]{32})", done.out)[0]
    before = files("mlflow.db", "mlartifacts")
    stored = harness("reproduce", run_id)
    assert (stored.code, stored.trained, stored.computed) == (0, 0, 0), stored.err
    assert "verdict: identical" in stored.out
    fresh = harness("reproduce", run_id, "--fresh", "--json")
    said = json.loads(fresh.out, parse_constant=pytest.fail)
    assert (fresh.code, said["verdict"], said["models_trained"], said["forward_passes_run"]) == (0, "identical", 1, 4)
    assert (said["reproduces"], said["differences"]) == (run_id, [])
    assert files("mlflow.db", "mlartifacts") == before
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    assert client.get_run(run_id).data.tags["tta.reproduced_by"] == said["reproduction"]
    assert client.get_run(said["reproduction"]).data.tags["tta.reproduces"] == run_id

    logged = next(path for path in Path("mlartifacts").rglob("record.json") if run_id in str(path))
    text = logged.read_text()
    value = re.findall(r'"test/nll": ([0-9.]+)', text)[0]
    logged.write_text(text.replace(f'"test/nll": {value}', f'"test/nll": {float(value) + 0.01}', 1))
    different = harness("reproduce", run_id)
    assert (different.code, "verdict: different" in different.out) == (5, True)
    assert "policy identity test/nll: " in different.out
    assert "different" in client.get_run(run_id).data.tags["tta.reproduced"]


def test_a_job_without_a_tracker(harness: Any, here: Path) -> None:
    """It goes by its folder or the folder's name; nothing is logged, and no database appears."""
    for name in (JOB, "job", str(here / JOB)):
        answer = harness("reproduce", name)
        assert (answer.code, answer.trained, answer.computed) == (0, 0, 0)
        assert "verdict: identical" in answer.out and "in MLflow" not in answer.out
    assert not (here / "mlflow.db").exists()


@pytest.mark.usefixtures("here")
def test_another_package_version(harness: Any) -> None:
    """The fact is told, and the numbers decide."""
    edit("record.json", lambda record: record["versions"].update(numpy="1.0"))
    answer = harness("reproduce", JOB)
    assert (answer.code, "verdict: identical" in answer.out) == (0, True)
    assert re.search(rf"environment +numpy: 1.0 -> {np.__version__}", answer.out)


@pytest.mark.usefixtures("here")
def test_one_pixel(harness: Any, arrays: dict[str, np.ndarray]) -> None:
    """A pixel of one test image: the digests say that data changed and labels did not, and the image is named."""
    arrays["x_test"][12, 4, 4] ^= 0x80
    np.savez("tiny.npz", **arrays)
    answer = harness("reproduce", JOB, "--json")
    said = json.loads(answer.out)
    assert (answer.code, said["verdict"]) == (5, "different")
    assert (said["models_trained"], said["forward_passes_run"]) == (0, 2)  # the views of test
    (fact,) = said["facts"]["data"]
    assert (fact["what"], fact["why"]) == ("test", "the same labels, other images")
    assert fact["before"] != fact["after"] and fact["before"].endswith("75 images")
    assert said["images_moved"] == {"count": 1, "first": ["test/12"]}


def test_data_that_lie_elsewhere(harness: Any, here: Path) -> None:
    """Data that are gone are one line that says what would do; given again, they are a fact of the configuration."""
    (here / "elsewhere").mkdir()
    Path("tiny.npz").rename("elsewhere/tiny.npz")
    gone = harness("reproduce", JOB)
    assert (gone.code, "dataset.path=… says where they are now" in gone.error) == (2, True)
    found = harness("reproduce", JOB, "dataset.path=elsewhere/tiny.npz")
    assert (found.code, "verdict: identical" in found.out) == (0, True)
    assert "dataset.path: tiny.npz -> elsewhere/tiny.npz (given on the command line)" in found.out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0" * 32, "no job '0000"),
        ("nothing", "no job 'nothing'"),
        ("../..", r"no job '\.\./\.\.'"),
        ("", "no job ''"),
        (300 * "x", "no job 'xxx"),
    ],
)
def test_a_job_that_is_not_there(harness: Any, database: Path, name: str, message: str) -> None:
    """One line, exit code 2."""
    answer = harness("reproduce", name)
    assert (answer.code, bool(re.search(message, answer.error))) == (2, True)
    assert database.exists()


@pytest.mark.usefixtures("here")
def test_a_record_of_another_schema(harness: Any) -> None:
    """Its numbers may mean something else: one line with both schemas."""
    edit("record.json", lambda record: record.update(schema=1, command="rm -rf ~"))
    answer = harness("reproduce", JOB)
    assert (answer.code, "schema 2, got 1" in answer.error) == (2, True)
    assert "rm -rf" not in answer.error


@pytest.mark.parametrize(
    "change",
    [{"versions": []}, {"model": {"digest": 1}}, {"policies": [1]}, {"dataset": {"splits": {"test": {"count": "x"}}}}],
)
@pytest.mark.usefixtures("here")
def test_a_record_of_wrong_types(harness: Any, change: dict[str, Any]) -> None:
    """Whatever a stranger's record holds in a number's place: one line."""

    def merge(record: dict[str, Any], more: dict[str, Any]) -> None:
        for key, value in more.items():
            if isinstance(value, dict):
                merge(record[key], value)
            else:
                record[key] = value

    edit("record.json", lambda record: merge(record, change))
    answer = harness("reproduce", JOB)
    assert (answer.code, "cannot be compared" in answer.error) == (2, True)


@pytest.mark.parametrize(("file", "text"), [("predictions.parquet", "PAR1"), ("tables/views.csv", "a,b\n\0\udcff")])
@pytest.mark.usefixtures("here")
def test_a_damaged_file(harness: Any, file: str, text: str) -> None:
    """It is named."""
    Path(JOB, file).write_bytes(text.encode("utf-8", "surrogateescape"))
    answer = harness("reproduce", JOB)
    assert (answer.code, f"{Path(file).name} of a run is damaged" in answer.error) == (2, True)


@pytest.mark.usefixtures("here")
def test_a_configuration_of_another_version(harness: Any) -> None:
    """A key that is no longer known is named together with the version that wrote it."""
    edit("config.yaml", lambda config: config["evaluation"].update(bootstrap=7))
    edit("record.json", lambda record: record["versions"].update({"tta-harness": "0.0.1"}))
    answer = harness("reproduce", JOB)
    assert answer.code == 2
    assert "the job is of 0.0.1" in answer.error and "unknown key 'evaluation.bootstrap'" in answer.error


@pytest.mark.usefixtures("here")
def test_a_policy_that_went_by_another_name(harness: Any) -> None:
    """It is found by its views and aggregation, and its old name is told."""
    Path(JOB, "record.json").write_text(Path(JOB, "record.json").read_text().replace('"hflip"', '"mirror"'))
    answer = harness("reproduce", JOB)
    assert "policy: mirror -> hflip (the same views and aggregation under another name)" in answer.out
    assert "policy mirror test/nll" not in answer.out


@pytest.mark.usefixtures("here")
def test_only_what_belongs_to_a_machine_may_be_said(harness: Any) -> None:
    """A seed on the command line would make it another job."""
    answer = harness("reproduce", JOB, "seed=1")
    assert (answer.code, "reproduce takes its configuration from the job" in answer.error) == (2, True)


EVIL: dict[str, Edit] = {
    "paths": lambda config: config.update(
        output="../evil", store="/evil", tracking={"enabled": True, "uri": "sqlite:///../evil.db", "experiment": "evil"}
    ),
    "name": lambda config: config["model"].update(arguments={"name": "../../../evil"}),
    "dataset": lambda config: config["dataset"].update(_target_="os.system", path="touch ../evil"),
    "model": lambda config: config.update(model={"kind": "os.system", "arguments": {"_target_": "touch ../evil"}}),
    "policy": lambda config: config.update(tta={"../../evil": {"views": ["horizontal_flip"]}}),
    "view": lambda config: config.update(tta={"x": {"views": [{"kind": "os.system", "command": "touch ../evil"}]}}),
}


@pytest.mark.parametrize("what", EVIL)
def test_a_strangers_configuration_is_data(
    harness: Any, here: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs nothing and writes nothing but what the user's own store takes: at most the job is refused or differs."""
    edit("config.yaml", EVIL[what])
    scratch = here / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    around, before = set(here.parent.iterdir()), files(".harness")
    answer = harness("reproduce", JOB)
    assert answer.code in (0, 2, 5) and "Traceback" not in answer.err
    assert set(here.parent.iterdir()) == around
    assert files(".harness") == before
    assert {path.name for path in here.iterdir()} == {".harness", "results", "scratch", "tiny.npz"}
    assert list(scratch.iterdir()) == []


@pytest.mark.usefixtures("here")
def test_code_in_yaml_is_not_run(harness: Any) -> None:
    """A tag that would have Python call something is one line."""
    with Path(JOB, "config.yaml").open("a") as stream:
        stream.write("study: !!python/object/apply:os.system ['touch pwned']\n")
    answer = harness("reproduce", JOB)
    assert (answer.code, "is no plain YAML" in answer.error) == (2, True)
    assert not Path("pwned").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.usefixtures("here")
def test_a_model_with_code_is_not_trusted(harness: Any) -> None:
    """Whatever the job says: a Lambda layer and a SavedModel are run on the user's own word only."""
    images = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Lambda(lambda x: x / 255.0)(images)))
    keras.Model(images, outputs).save("lambda.keras")
    keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images))).export("saved", verbose=False)
    for path, word in (("lambda.keras", "Lambda"), ("saved", "SavedModel, a program")):
        edit("config.yaml", lambda config, path=path: config.update(  # type: ignore[misc]
            model={"kind": "checkpoint", "path": path, "trust": True}
        ))  # fmt: skip
        answer = harness("reproduce", JOB)
        (error,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
        assert answer.code == 2 and word in error and "model.trust=true" in error
        assert harness("reproduce", JOB, "model.trust=true").code == 5  # another model than the job's
    gone = harness("reproduce", JOB, "model.path=nowhere.keras")
    assert (gone.code, "model.path=… says where it is now" in gone.error) == (2, True)


def test_a_tracker_that_refuses_tags(
    harness: Any, tiny: tuple[str, ...], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict stands, a warning says so, and exit code 4 as where a job could not be logged."""
    from harness.errors import TrackingError
    from harness.tracking import reproductions

    run_id = re.findall(r"run ([0-9a-f]{32})", harness("run", *tiny, "tta=identity").out)[0]

    def refused(*_: Any, **__: Any) -> str:
        raise TrackingError("read only")

    monkeypatch.setattr(reproductions, "log_reproduction", refused)
    answer = harness("reproduce", run_id)
    assert (answer.code, "verdict: identical" in answer.out) == (4, True)
    assert "warning: the runs are not tagged: read only" in answer.err
    assert database.exists()
