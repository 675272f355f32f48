"""A policy as one model: the job's own numbers in a process that has no harness, or one line and nothing written."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from harness.backend import keras, tf
from harness.errors import ConfigError, DataError, HarnessError, ModelError
from harness.export.deployable import deployable
from harness.export.job import ExportJob, open_job
from harness.export.keras_file import foreign
from harness.export.parity import TOLERANCE, Parity, reference
from harness.export.writing import WRITERS, check_target, export

Recorded = Callable[[str], np.ndarray]
Stranger = Callable[..., dict[str, np.ndarray]]
RunJob = Callable[..., Path]
SUFFIX = {"keras": ".keras", "onnx": ".onnx"}
ADAPTIVE = ("exact_exit", "selective")


def agree(found: np.ndarray, job: ExportJob, expected: np.ndarray) -> None:
    """Classes and probabilities of the true class are those of the record, and rows are distributions."""
    labels = job.dataset.test.labels
    assert found.shape == (len(labels), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(found.argmax(axis=1), expected[:, 0])
    assert np.abs(found[np.arange(len(labels)), labels] - expected[:, 1]).max() < TOLERANCE


def test_every_format_gives_the_numbers_of_the_job_to_a_stranger(
    job: ExportJob, recorded: Recorded, stranger: Stranger, tmp_path: Path
) -> None:
    """Loaded without the harness and without unsafe code: on all test images the job's classes and probabilities."""
    wanted = [(form, "rotations") for form in WRITERS]
    wanted += [("savedmodel", "selective"), ("onnx", "exact_exit"), ("keras", "stacking"), ("mlflow", "augtta")]
    paths = {f"{form}-{name}": (form, tmp_path / f"{form}-{name}{SUFFIX.get(form, '')}") for form, name in wanted}
    for form, name in wanted:
        done = export(job, name, form, paths[f"{form}-{name}"][1])
        assert done.parity.images == 75 and done.parity.difference < 1e-5
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted(path.name for _, path in paths.values())
    images = job.dataset.test.images.read(np.arange(75))
    found = stranger(paths, images)
    for (_, name), probs in zip(wanted, found.values(), strict=True):
        agree(probs, job, recorded(name))


@pytest.mark.parametrize("policy", ["identity", "hflip", "tutorial_limit", "stacking", *ADAPTIVE])
def test_the_function_gives_the_same_for_one_image_and_for_many(
    policy: str, job: ExportJob, recorded: Recorded
) -> None:
    """What is timed is what is shipped; a batch has no say in what an image gets."""
    model = deployable(job, policy)
    images = job.dataset.test.images.read(np.arange(75))
    agree(model(images), job, recorded(policy))
    alone = np.concatenate([model(images[i : i + 1]) for i in range(10)])
    assert np.abs(alone - model(images)[:10]).max() < 1e-6
    assert (model.image_shape, model.class_names) == ((8, 8, 1), job.record.dataset.class_names)


def test_each_format_carries_what_is_known(job: ExportJob, tmp_path: Path) -> None:
    """Policy, temperature, scores, class names, digests, versions and the parity that was measured."""
    found: dict[str, dict[str, Any]] = {}
    for form in WRITERS:
        path = tmp_path / f"model{SUFFIX.get(form, '')}"
        export(job, "hflip", form, path)
        found[form] = metadata_of(form, path)
        path.rename(tmp_path / f"done-{form}")
    record = job.record.policy("hflip")
    for form, about in found.items():
        assert about["policy"] == "hflip", form
        assert about["temperature"] == pytest.approx(record.temperature)
        assert tuple(about["class_names"]) == job.record.dataset.class_names
        assert about["model"]["digest"] == job.record.model.digest
        assert about["job"]["id"] == job.record.job_id
        assert about["scores"]["gain/accuracy_lower"] == record.metrics["gain/accuracy_lower"]
        assert about["parity"]["images"] == 75 and about["parity"]["max_abs_difference"] < about["parity"]["tolerance"]
        assert {"numpy", "keras", "tta-harness"} <= set(about["versions"])


def metadata_of(form: str, path: Path) -> dict[str, Any]:
    """An exported model's metadata, read as its format's readers would; the page for people is there too."""
    if form == "keras":
        with zipfile.ZipFile(path) as archive:
            assert b"calibrated probabilities" in archive.read("assets/tta/README.md")
            return dict(json.loads(archive.read("assets/tta/metadata.json")))
    if form == "onnx":
        properties = {item.key: item.value for item in onnx.load(path).metadata_props}
        assert "calibrated probabilities" in properties["readme"]
        plain = {"kind", "exported", "policy", "aggregation", "verdict", "readme"}
        return {key: value if key in plain else json.loads(value) for key, value in properties.items()}
    assert "calibrated probabilities" in (path / "README.md").read_text()
    about = dict(json.loads((path / "metadata.json").read_text()))
    if form == "mlflow":
        assert yaml.safe_load((path / "MLmodel").read_text())["metadata"] == about
    else:
        names = tf.saved_model.load(str(path)).class_names().numpy()
        assert [name.decode() for name in names] == about["class_names"]
    return about


@pytest.mark.parametrize(
    ("policy", "form", "message"),
    [
        ("nobody", "onnx", r"^unknown policy of .* 'nobody'"),
        ("tutorial", "savedmodel", "random_flip draws for each example"),
        ("exact_exit", "keras", r"a .keras file cannot hold that: use the format savedmodel, onnx or mlflow$"),
    ],
)
def test_what_cannot_be_is_one_line(policy: str, form: str, message: str, job: ExportJob, tmp_path: Path) -> None:
    """It says what would do, and nothing is left behind."""
    with pytest.raises(HarnessError, match=message) as caught:
        export(job, policy, form, tmp_path / f"model{SUFFIX.get(form, '')}")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A file, a folder or a dangling link under that name stays what it is."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.keras").symlink_to(tmp_path / "gone")
    for form, name in (("mlflow", "folder"), ("keras", "link.keras")):
        with pytest.raises(ConfigError, match=r"exists already: remove it, or give another --output$"):
            check_target(form, tmp_path / name)
    for form, suffix in SUFFIX.items():
        with pytest.raises(ConfigError, match=rf"^format {form} is a file that ends in {suffix}, got"):
            check_target(form, tmp_path / "model")


def test_onnx_without_its_packages_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings them is named."""
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ConfigError, match=r"needs tf2onnx, which is not installed: pip install 'tta-harness\[onnx\]'$"):
        check_target("onnx", tmp_path / "model.onnx")


def warmer(learned: dict[str, Any]) -> None:
    """Another temperature: no predicted class changes."""
    learned["hflip"]["temperature"] *= 1.5


def other_views(learned: dict[str, Any]) -> None:
    """Another view in the place of the mirror image."""
    learned["hflip"]["views"][1] = [{"kind": "invert"}]


@pytest.mark.parametrize("damage", [warmer, other_views])
def test_other_numbers_are_not_shipped(
    damage: Any, copied: Path, edit_fitted: Callable[[Path, Any], None], tmp_path: Path
) -> None:
    """A model that does not give what was judged is refused with the figure, and nothing is written."""
    edit_fitted(copied, damage)
    with pytest.raises(
        ModelError, match=r"^hflip as .* is off by up to 0\.\d+ \(allowed 0\.0001\).* nothing was written"
    ):
        export(open_job(copied), "hflip", "savedmodel", tmp_path / "model")
    assert [item.name for item in tmp_path.iterdir()] == ["job"]


def test_parity_is_about_values_and_classes(job: ExportJob) -> None:
    """One image out of tolerance, another class beyond a tie, or a number that is none: it does not hold."""
    expected = reference(job, "hflip")
    probs = deployable(job, "hflip")(expected.images)

    def shown(change: Callable[[np.ndarray], None]) -> Parity:
        changed = probs.copy()
        change(changed)
        parts = iter([changed[:64], changed[64:]])
        return expected.compare(lambda _images: next(parts))

    def nudge(values: np.ndarray) -> None:
        values[70, expected.labels[70]] += 2 * TOLERANCE

    def swap(values: np.ndarray) -> None:
        right = expected.predicted[3]
        other = next(place for place in range(3) if place not in (right, expected.labels[3]))
        values[3, other] = values[3].max() + 0.01

    def spoil(values: np.ndarray) -> None:
        values[5] = np.nan

    assert shown(lambda _: None).holds
    assert not shown(nudge).holds
    assert (shown(swap).classes, shown(swap).holds) == (1, False)
    assert not shown(spoil).holds


def test_other_data_or_another_network_are_one_line(copied: Path, data: Path, tmp_path: Path) -> None:
    """One pixel, one weight: what was judged is not what would be shipped."""
    config = yaml.safe_load((copied / "config.yaml").read_text())
    with np.load(data / "tiny.npz") as arrays:
        changed = dict(arrays)
    changed["x_test"] = changed["x_test"].copy()
    changed["x_test"][0, 0, 0] ^= 1
    np.savez(tmp_path / "changed.npz", **changed)
    config["dataset"]["path"] = str(tmp_path / "changed.npz")
    (copied / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(DataError, match=r"the test images of .* are not those that .* was judged on"):
        open_job(copied)
    config["dataset"]["path"] = str(data / "tiny.npz")
    (copied / "config.yaml").write_text(yaml.safe_dump(config))
    record = json.loads((copied / "record.json").read_text())
    record["model"]["digest"] = "ab" * 32
    (copied / "record.json").write_text(json.dumps(record))
    with pytest.raises(
        ModelError, match=r"is not the network of .*: its digest is \w{12}, the job's abababababab; run"
    ):
        open_job(copied)


def test_a_job_whose_files_are_gone_is_one_line(copied: Path, tmp_path: Path) -> None:
    """The store deleted, what was learned deleted, the predictions deleted."""
    job = open_job(copied)
    (copied / "predictions.parquet").unlink()
    with pytest.raises(DataError, match=r"predictions.parquet is missing or damaged .* run the job again$"):
        export(job, "hflip", "savedmodel", tmp_path / "model")
    config = yaml.safe_load((copied / "config.yaml").read_text())
    (copied / "config.yaml").write_text(yaml.safe_dump({**config, "store": str(tmp_path / "empty")}))
    record = json.loads((copied / "record.json").read_text())
    assert open_job(copied).network.digest == job.network.digest  # at the path that the record names
    record["model"]["path"] = None
    (copied / "record.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=r"is no longer in .*: `harness run .*` trains it again"):
        open_job(copied)
    (copied / "fitted.json").unlink()
    with pytest.raises(DataError, match=r"fitted.json is missing or damaged"):
        open_job(copied)


@keras.saving.register_keras_serializable(package="theirs")
class Doubling(keras.layers.Layer):  # type: ignore[misc]
    """A layer that is no part of Keras."""

    def call(self, inputs: Any) -> Any:
        """Twice the inputs."""
        return 2 * inputs


@keras.saving.register_keras_serializable(package="theirs")
def soft(values: Any) -> Any:
    """An activation that is no part of Keras."""
    return keras.ops.tanh(values)


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (lambda: keras.layers.Dense(3, activation="relu"), []),
        (Doubling, ["Doubling"]),
        (lambda: keras.layers.Dense(3, activation=soft), ["theirs>soft"]),
        (lambda: keras.layers.Lambda(lambda values: values), ["Lambda"]),
    ],
)
def test_code_of_others_is_found_in_a_network(layer: Callable[[], Any], names: list[str]) -> None:
    """Such a network would not load elsewhere, however deep the code lies."""
    inner = keras.Sequential([keras.Input((4,)), layer()])
    outer = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4), inner])
    assert [name for name in foreign(json.loads(outer.to_json())) if name != "__lambda__"] == names


def test_the_command_says_what_it_wrote(harness: Callable[..., Any], job_folder: Path, tmp_path: Path) -> None:
    """Where, the policy's numbers, the parity; a mistake is one line and exit code 2."""
    answer = harness("export", str(job_folder), "--policy", "hflip", "--format", "savedmodel", "--output", "new/model")
    assert answer.code == 0, answer.err
    first, second, third = answer.out.splitlines()
    assert first.startswith("new/model  ") and first.endswith(" MB")
    assert second.startswith("  hflip: accuracy ") and second.endswith(", 2 passes an image")
    assert third.startswith("  on 75 test images within ")
    again = harness("export", str(job_folder), "--policy", "hflip", "--format", "savedmodel", "--output", "new/model")
    assert (again.code, again.error) == (2, "error: new/model exists already: remove it, or give another --output")
    (tmp_path / "file").write_text("")
    below = harness("export", str(job_folder), "--policy", "hflip", "--format", "mlflow", "--output", "file/model")
    assert below.code == 2
    assert "cannot write file/model: " in below.error


def test_a_saved_model_is_shipped_too(data: Path, run_job: RunJob, tmp_path: Path, stranger: Stranger) -> None:
    """A checkpoint without Keras layers goes into every format but `.keras`, which says so."""
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    network.export(str(data / "linear"), verbose=False)
    checkpoint = ["model=checkpoint", f"model.path={data}/linear", "model.output=logits"]
    job = open_job(run_job(data, *checkpoint, "tta=hflip", "tracking=none"))
    with pytest.raises(
        ModelError, match=r"is a SavedModel, not Keras layers: use the format savedmodel, onnx or mlflow$"
    ):
        export(job, "hflip", "keras", tmp_path / "model.keras")
    export(job, "hflip", "savedmodel", tmp_path / "model")
    export(job, "hflip", "onnx", tmp_path / "model.onnx")
    images = job.dataset.test.images.read(np.arange(9))
    found = stranger({"a": ("savedmodel", tmp_path / "model"), "b": ("onnx", tmp_path / "model.onnx")}, images)
    np.testing.assert_allclose(found["a"], found["b"], atol=1e-6)
    np.testing.assert_allclose(found["a"], deployable(job, "hflip")(images), atol=1e-6)
