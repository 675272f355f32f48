"""Where a job's model comes from: what is found out about a checkpoint, and when TensorFlow is needed for it."""

import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.checkpoint_source import CheckpointSource, input_size
from harness.errors import ConfigError, ModelError
from harness.files import path_digest
from harness.fingerprint import array_digest
from harness.model_source import ModelInfo, load_model
from harness.models.detection import Trial, choose_preprocessing, try_out
from harness.models.preprocessing import PREPROCESSING, make_preprocessing
from harness.types import ArrayImages, Dataset, Split

SHAPE = (6, 6, 1)


def split(name: str, count: int, *, channels: int = 1, classes: int = 3) -> Split:
    """Noise with one brighter band, which tells the class; one label in eight is drawn at random."""
    rng = np.random.default_rng(sum(name.encode()))
    labels = rng.integers(0, 3, count)
    images = rng.integers(0, 90, (count, 6, 6, channels)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 120
    labels = np.where(rng.uniform(size=count) < 1 / 8, rng.integers(0, 3, count), labels)
    names = tuple(f"class {index}" for index in range(classes))
    return Split(name, ArrayImages(images), labels, names, array_digest(images, labels))


def dataset(**changes: int) -> Dataset:
    """A toy data set."""
    return Dataset("toy", None, split("validation", 240, **changes), split("test", 60, **changes))


def source(path: Path, root: Path, **changes: Any) -> CheckpointSource:
    """A checkpoint with everything detected."""
    given = {"preprocessing": "auto", "output": "auto", "trust": False, "dataset": dataset(), "center_crop": False}
    return CheckpointSource(path=path, label="label", digest=path_digest(path), root=root, **{**given, **changes})


def obtain(path: Path, root: Path, **changes: Any) -> ModelInfo:
    """What is found out about a checkpoint."""
    return source(path, root, **changes).obtain(None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Networks that were trained for real, on pixels in 0..1, in 0..255, and in 0..255 with their own rescaling."""
    import keras

    layers = keras.layers
    folder = tmp_path_factory.mktemp("checkpoints")
    train = split("train", 600)
    pixels = train.images.read(np.arange(600)).astype(np.float32)

    def trained(name: str, *first: Any, factor: float, end: Any = "softmax", bias: bool = True) -> Path:
        keras.utils.set_random_seed(0)
        middle = [layers.Conv2D(8, 3, use_bias=bias), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
        if not bias:
            middle[1] = layers.ReLU()
        model = keras.Sequential([keras.Input(SHAPE), *first, *middle, layers.Dense(3, activation=end, use_bias=bias)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=end != "softmax")
        model.compile(keras.optimizers.Adam(0.01), loss)
        model.fit(pixels * factor, train.labels, batch_size=64, epochs=8, verbose=0)
        model.save(folder / f"{name}.keras")
        return folder / f"{name}.keras"

    return {
        "unit": trained("unit", factor=1 / 255),
        "rescaling": trained("rescaling", layers.Rescaling(1 / 255), factor=1),
        "relu": trained("relu", factor=1 / 255, end="relu"),
        "no_bias": trained("no_bias", factor=1 / 255, bias=False),
        "logits": trained("logits", factor=1 / 255, end=None),
    }


def accuracy(info: ModelInfo) -> float:
    """Of the loaded model on the test split."""
    test = dataset().test
    predict = load_model(info, dataset().validation, trust=False, engine="exact", batch_size=None).predict
    logits = predict(test.images.read(np.arange(len(test))).astype(np.float32))
    return float((logits.argmax(axis=1) == test.labels).mean())


def test_a_model_with_its_own_rescaling_takes_pixels_as_they_are(files: Mapping[str, Path], tmp_path: Path) -> None:
    """Detected by its layers, and said."""
    info = obtain(files["rescaling"], tmp_path)
    assert info.preprocessing == PREPROCESSING["none"]
    assert info.warnings == ()
    assert any("the model rescales pixels itself" in note for note in info.notes)
    assert any("model.output is probs: its last layer is softmax" in note for note in info.notes)
    assert accuracy(info) > 0.8


@pytest.mark.parametrize("name", ["unit", "no_bias", "logits"])
def test_a_model_trained_on_unit_pixels_is_recognised(files: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    """By how it does on validation images; without biases only its confidence tells, for classes are the same."""
    info = obtain(files[name], tmp_path)
    assert info.preprocessing.name == "unit"
    assert info.warnings == ()
    assert any("best on 240 validation images" in note and "unit" in note for note in info.notes)
    assert (info.output, info.units, info.num_classes) == ("logits" if name == "logits" else "probs", 3, 3)
    assert accuracy(info) > 0.8


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("unit", "none"),
        ("rescaling", "unit"),
        ("no_bias", "none"),
        ("logits", "none"),
        ("unit", {"scale": 4.0, "mean": 800, "std": 0.5}),
    ],
)
def test_a_wrong_range_is_warned_of(files: Mapping[str, Path], tmp_path: Path, name: str, setting: Any) -> None:
    """What was set is done, and the better setting named in one line; a setting spelt out is no exception."""
    info = obtain(files[name], tmp_path, preprocessing=setting)
    assert info.preprocessing == make_preprocessing(setting)
    better = "none" if name == "rescaling" else "unit"
    assert len(info.warnings) == 1
    assert f"the input range looks wrong; set model.preprocessing={better}" in info.warnings[0]
    assert "\n" not in info.warnings[0]


@pytest.mark.parametrize("setting", ["unit", {"scale": 1 / 255}])
def test_a_right_range_is_not_warned_of(files: Mapping[str, Path], tmp_path: Path, setting: Any) -> None:
    """Named or spelt out."""
    assert obtain(files["unit"], tmp_path, preprocessing=setting).warnings == ()


def test_a_model_that_ends_in_relu_is_asked_about(files: Mapping[str, Path], tmp_path: Path) -> None:
    """Neither logits nor probabilities: one line names the setting; with it the model is used, and nothing cached."""
    with pytest.raises(ModelError, match=r"ends in relu.*model\.output=logits") as caught:
        obtain(files["relu"], tmp_path)
    assert "\n" not in str(caught.value)
    assert source(files["relu"], tmp_path).cached() is None
    info = obtain(files["relu"], tmp_path, output="logits")
    assert (info.output, info.units) == ("logits", 3)
    assert any("set by model.output" in note for note in info.notes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dataset": dataset(channels=3)}, "1 channels, the data set gives 3"),
        ({"dataset": dataset(classes=5)}, "3 class scores, the data set has 5"),
        ({"preprocessing": "torch"}, "mean has 3 values, the images 1 channels"),
        ({"preprocessing": "tourch"}, "did you mean torch"),
    ],
)
def test_what_does_not_fit_is_one_line(files: Mapping[str, Path], tmp_path: Path, changes: Any, says: str) -> None:
    """Channels, classes and settings, told before any forward pass."""
    with pytest.raises((ModelError, ConfigError), match=says) as caught:
        obtain(files["unit"], tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_the_second_look_needs_no_tensorflow(files: Mapping[str, Path], tmp_path: Path) -> None:
    """What was found out is on disk: another process gets the same from there."""
    checkpoint = source(files["unit"], tmp_path)
    assert checkpoint.cached() is None
    info = checkpoint.obtain(None)  # type: ignore[arg-type]
    assert checkpoint.cached() == info
    (tmp_path / "source.pickle").write_bytes(pickle.dumps(checkpoint))
    code = (
        "import pathlib, pickle, sys\n"
        "info = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()).cached()\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
        "print(info)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "source.pickle")]
    there = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str(info)


def test_other_settings_or_images_are_looked_into_anew(files: Mapping[str, Path], tmp_path: Path) -> None:
    """What was found out holds for one file, one setting, one data set."""
    obtain(files["unit"], tmp_path)
    data = dataset()
    other = Dataset("toy", None, split("other", 240), data.test)
    for changes in ({"preprocessing": "unit"}, {"output": "probs"}, {"dataset": other}):
        assert source(files["unit"], tmp_path, **changes).cached() is None
    assert source(files["unit"], tmp_path).cached() is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"asked": 1}'])
def test_a_damaged_note_is_found_out_again(files: Mapping[str, Path], tmp_path: Path, text: str) -> None:
    """Whatever stands in the file."""
    checkpoint = source(files["unit"], tmp_path)
    info = checkpoint.obtain(None)  # type: ignore[arg-type]
    side = next(tmp_path.rglob("*.json"))
    whole = side.read_text()
    for damaged in (
        text,
        whole.replace('"units"', '"unitz"'),
        whole.replace('"preprocessing": {', '"preprocessing": {"x": 1,'),
    ):
        side.write_text(damaged)
        assert checkpoint.cached() is None
    assert checkpoint.obtain(None) == info  # type: ignore[arg-type]


def test_the_digest_sees_weights_and_preprocessing(files: Mapping[str, Path], tmp_path: Path) -> None:
    """What logits are keyed by changes with each of them, and with nothing else."""
    import keras

    model = keras.saving.load_model(files["unit"], compile=False)
    model.save(tmp_path / "again.keras")
    weights = model.get_weights()
    weights[0].flat[0] = np.nextafter(weights[0].flat[0], np.float32(9))
    model.set_weights(weights)
    model.save(tmp_path / "other.keras")
    first = obtain(files["unit"], tmp_path)
    assert obtain(tmp_path / "again.keras", tmp_path).digest == first.digest
    assert obtain(files["unit"], tmp_path, preprocessing={"scale": 1 / 255}).digest == first.digest
    changed = [
        obtain(tmp_path / "other.keras", tmp_path),
        obtain(files["unit"], tmp_path, preprocessing="tf"),
    ]
    assert len({first.digest, *(info.digest for info in changed)}) == 3


@pytest.mark.parametrize(("name", "setting"), [("unit", "logits"), ("logits", "probs")])
def test_an_output_that_the_values_contradict_is_refused(
    files: Mapping[str, Path], tmp_path: Path, name: str, setting: str
) -> None:
    """A softmax gives no logits and a linear layer no probabilities, whatever the setting says."""
    with pytest.raises(ModelError, match=f"model.output={setting}, but the model's outputs are"):
        obtain(files[name], tmp_path, output=setting)


def test_a_file_that_changed_since_is_refused(files: Mapping[str, Path], tmp_path: Path) -> None:
    """Its logits would be stored under another model's digest."""
    info = replace(obtain(files["unit"], tmp_path), path=files["rescaling"])
    with pytest.raises(ModelError, match="has changed since it was looked into"):
        load_model(info, dataset().validation, trust=False, engine="exact", batch_size=None)


def test_fast_measures_its_rounding_on_validation(files: Mapping[str, Path], tmp_path: Path) -> None:
    """The folded network differs by rounding, and the notes say by how much, and how many layers were folded."""
    info = obtain(files["logits"], tmp_path)
    pixels = dataset().test.images.read(np.arange(60)).astype(np.float32)
    exact, fast = (
        load_model(info, dataset().validation, trust=False, engine=engine, batch_size=None)
        for engine in ("exact", "fast")
    )
    assert set(exact.notes) == {"device", "onednn", "threads"}
    assert fast.notes["fast_folded"] == 1
    assert 0 < fast.notes["fast_max_abs_difference"] < 1e-3
    assert np.abs(fast.predict(pixels) - exact.predict(pixels)).max() < 1e-3


def test_the_size_of_a_checkpoint_is_seen_without_a_data_set(files: Mapping[str, Path], tmp_path: Path) -> None:
    """Height and width, or None for a network that is open to any."""
    import keras

    inputs = keras.Input((None, None, 1))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "open.keras")
    assert input_size(files["unit"], trust=False, root=tmp_path) == (6, 6)
    assert input_size(tmp_path / "open.keras", trust=False, root=tmp_path) is None


def trial(correct: int, nll: float, *, count: int = 400) -> Trial:
    """A trial of which the first `correct` images are right."""
    return Trial(np.arange(count) < correct, nll, 10)


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ({"none": trial(40, 9.0), "unit": trial(360, 0.3)}, "unit"),
        ({"none": trial(360, 0.9), "unit": trial(300, 0.6)}, "none"),
        ({"none": trial(361, 55.0), "unit": trial(360, 0.3)}, "unit"),
        ({"none": trial(360, 0.3), "unit": trial(360, 2.2)}, "none"),
        ({"none": trial(0, np.inf), "unit": trial(0, 3.0)}, "unit"),
        ({"none": trial(330, 11.9), "unit": trial(351, 0.92), "torch": trial(345, 0.42)}, "unit"),
        ({"unit": trial(351, 0.92), "torch": trial(355, 0.42)}, "unit"),
        ({"unit": trial(300, 0.92), "torch": trial(355, 0.42)}, "torch"),
    ],
)
def test_the_best_is_the_most_accurate_of_those_that_are_not_absurd(trials: Mapping[str, Trial], best: str) -> None:
    """Accuracy decides; NLL rules out absurd confidence only, and ImageNet's statistics have to be clearly better."""
    chosen, _, warnings = choose_preprocessing(None, trials, rescales=False)
    assert chosen.name == best
    assert warnings == ()


def test_a_tie_is_said() -> None:
    """Where other settings are as accurate, the user is told that there was a choice."""
    trials = {"none": trial(361, 55.0), "unit": trial(360, 0.3), "tf": trial(200, 1.0)}
    _, notes, _ = choose_preprocessing(None, trials, rescales=False)
    assert notes[0].endswith("; in accuracy not told apart from `none`: set model.preprocessing if you know it")


def test_a_small_difference_is_not_warned_of() -> None:
    """Five of 400 images prove nothing."""
    trials = {"none": trial(355, 0.4), "unit": trial(360, 0.3)}
    assert choose_preprocessing(PREPROCESSING["none"], trials, rescales=False)[2] == ()


def test_a_trial_against_hand_values() -> None:
    """Uniform logits lose log C; a row that is not finite is wrong and its loss infinite."""
    labels = np.array([0, 1, 2])
    uniform = try_out(np.full((3, 3), 1e30), labels)
    assert uniform.nll == pytest.approx(np.log(3))
    assert uniform.correct.tolist() == [True, False, False]
    broken = try_out(np.array([[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]]), labels)
    assert broken.correct.tolist() == [False, True, True]
    assert broken.nll == np.inf
