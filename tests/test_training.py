"""Training once, the same every time, and again from where it was broken off."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import filelock
import keras
import numpy as np
import pytest

from harness.errors import ConfigError, ModelError, StoreError, TrainingError
from harness.fingerprint import array_digest
from harness.models import registry
from harness.models.cache import find_cached
from harness.models.digest import model_digest
from harness.models.specs import TRAINING_DEFAULTS, TrainingRequest, TrainingSpec, training_fingerprint
from harness.training import Silent, TrainResult, train_or_load
from harness.types import ArrayImages, Split


def split(name: str, n: int = 64, seed: int = 0) -> Split:
    """Make n noisy 8x8 pictures of three classes, brighter by class."""
    generator = np.random.default_rng((seed, n))
    labels = np.arange(n) % 3
    images = (generator.integers(0, 90, (n, 8, 8, 1)) + 70 * labels[:, None, None, None]).astype(np.uint8)
    return Split(name, ArrayImages(images), labels, ("a", "b", "c"), array_digest(images, labels))


def build_tiny(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """A network with batch normalisation and dropout: state of both kinds that a restart could lose."""
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Flatten()(keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(x)))
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tiny` is a model kind."""
    monkeypatch.setitem(registry.MODELS, "tiny", f"{Path(__file__).stem}:build_tiny")
    monkeypatch.setitem(sys.modules, Path(__file__).stem, sys.modules[__name__])


SPEC = TrainingSpec(epochs=3, batch_size=24, learning_rate=0.01, schedule="cosine")
REQUEST = TrainingRequest(
    model="tiny", input_shape=(8, 8, 1), num_classes=3, training=SPEC, augmentation="tutorial", seed=5
)


def train(root: Path, request: TrainingRequest = REQUEST, **more: object) -> TrainResult:
    """Train the tiny model with the small splits."""
    splits = {"train": split("train"), "validation": split("validation", 20)}
    return train_or_load(root, request, name="tiny", **{**splits, **more})  # type: ignore[arg-type]


class StopsAt(Silent):
    """Ctrl-C in the middle of the epoch after `epoch`."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.seen = epoch, 0

    def on_epoch(self, epoch: int, *_more: object) -> None:
        """Count."""
        self.seen = epoch

    def on_batch(self, done: int, *_more: object) -> None:
        """Break off."""
        if self.seen == self.epoch and done == 2:
            raise KeyboardInterrupt


class Counts(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.epochs: list[tuple[int, int, dict[str, float]]] = []

    def on_batch(self, done: int, total: int) -> None:
        """Keep."""
        self.batches.append((done, total))

    def on_epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """Keep."""
        self.epochs.append((epoch, epochs, metrics))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """The model as it comes out of one go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.MODELS, "tiny", f"{Path(__file__).stem}:build_tiny")
        patch.setitem(sys.modules, Path(__file__).stem, sys.modules[__name__])
        return train(tmp_path_factory.mktemp("uninterrupted"))


def test_trains_once_and_then_reads(tmp_path: Path, uninterrupted: TrainResult) -> None:
    """The second call trains no batch and says the same; the folder holds the model and its record alone."""
    first = train(tmp_path)
    progress = Counts()
    second = train(tmp_path, progress=progress)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second == replace(first, from_cache=True)
    assert progress.batches == []
    assert sorted(path.name for path in first.path.parent.iterdir()) == [".lock", "model.json", "model.keras"]
    assert first.digest == uninterrupted.digest
    assert first.path.parent.name == f"tiny-{first.fingerprint[:8]}"


def test_the_file_is_the_model_that_was_trained(uninterrupted: TrainResult) -> None:
    """Loaded by plain Keras it has the digest, the classes and the validation accuracy that the record states."""
    model = keras.models.load_model(uninterrupted.path)
    assert model_digest(model) == uninterrupted.digest
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    validation = split("validation", 20)
    images = validation.images.read(np.arange(20)).astype(np.float32)
    loss, accuracy = model.evaluate(images, validation.labels, verbose=0)
    assert loss == pytest.approx(uninterrupted.history["val_loss"][-1], rel=1e-5)
    assert accuracy == pytest.approx(uninterrupted.history["val_accuracy"][-1])


def test_progress_counts_every_batch_and_the_incomplete_last_one(tmp_path: Path) -> None:
    """64 images in batches of 24 are 3 steps an epoch, told in order, with four metrics an epoch."""
    progress = Counts()
    result = train(tmp_path, progress=progress)
    assert progress.batches == [(1, 3), (2, 3), (3, 3)] * 3
    assert [(epoch, epochs) for epoch, epochs, _ in progress.epochs] == [(1, 3), (2, 3), (3, 3)]
    assert set(result.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert result.history["loss"] == tuple(metrics["loss"] for _, _, metrics in progress.epochs)


def test_it_learns(tmp_path: Path) -> None:
    """Brightness tells the three classes apart: a few epochs suffice."""
    spec = TrainingSpec(epochs=20, batch_size=16, learning_rate=0.01)
    result = train(tmp_path, TrainingRequest(model="small_cnn", input_shape=(8, 8, 1), num_classes=3, training=spec))
    assert result.history["val_accuracy"][-1] == 1.0
    assert result.output == "logits"


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_training_ends_with_the_same_bits(
    tmp_path: Path, uninterrupted: TrainResult, epoch: int
) -> None:
    """Ctrl-C within an epoch leaves the last finished one, and the rest gives what one go gives, dropout and all."""
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=StopsAt(epoch))
    assert find_cached(tmp_path, name="tiny", fingerprint=uninterrupted.fingerprint) is None
    progress = Counts()
    result = train(tmp_path, progress=progress)
    assert result.resumed_from_epoch == epoch
    assert len(progress.epochs) == 3 - epoch
    assert (result.digest, result.history) == (uninterrupted.digest, uninterrupted.history)
    assert not (result.path.parent / "training.npz").exists()


def test_a_killed_training_ends_with_the_same_bits(tmp_path: Path, uninterrupted: TrainResult) -> None:
    """After kill -9 in the second epoch of another process: its lock ends with it, its first epoch counts."""
    code = (
        "import importlib.util, os, pathlib, signal, sys\n"
        "spec = importlib.util.spec_from_file_location('test_training', sys.argv[1])\n"
        "module = sys.modules['test_training'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.registry.MODELS['tiny'] = 'test_training:build_tiny'\n"
        "class Kills(module.StopsAt):\n"
        "    def on_batch(self, done, total):\n"
        "        if self.seen == 1 and done == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "module.train(pathlib.Path(sys.argv[2]), progress=Kills(1))\n"
    )
    command = [sys.executable, "-c", code, __file__, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    result = train(tmp_path)
    assert result.resumed_from_epoch == 1
    assert (result.digest, result.history) == (uninterrupted.digest, uninterrupted.history)


def test_a_damaged_state_is_set_aside_and_training_starts_again(tmp_path: Path, uninterrupted: TrainResult) -> None:
    """Half a state file is not trusted: a warning, and the whole training again."""
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, progress=StopsAt(2))
    (state,) = tmp_path.rglob("training.npz")
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    with pytest.warns(RuntimeWarning, match="damaged"):
        result = train(tmp_path)
    assert result.resumed_from_epoch == 0
    assert result.digest == uninterrupted.digest


@pytest.mark.parametrize("file", ["model.keras", "model.json"])
def test_a_damaged_model_is_set_aside_and_trained_again(tmp_path: Path, uninterrupted: TrainResult, file: str) -> None:
    """One byte flipped in the model, or a torn record: kept as *.damaged, warned about, never used."""
    path = train(tmp_path).path.parent / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = bytes(data if file == "model.keras" else data[:100])
    path.write_bytes(damaged)
    with pytest.warns(RuntimeWarning, match="damaged"):
        again = train(tmp_path)
    assert not again.from_cache
    assert again.digest == uninterrupted.digest
    assert path.with_name(file + ".damaged").read_bytes() == damaged
    assert find_cached(tmp_path, name="tiny", fingerprint=again.fingerprint) is not None


def test_two_that_ask_at_once_train_once(tmp_path: Path) -> None:
    """The second waits for the first, is told so, and reads its model."""
    waiting = threading.Event()
    results: list[TrainResult] = []

    class First(Silent):
        def on_batch(self, *_more: object) -> None:
            if not second.is_alive() and not waiting.is_set():
                second.start()
            waiting.wait(60)

    class Second(Silent):
        def on_wait(self, *_more: object) -> None:
            waiting.set()

    second = threading.Thread(target=lambda: results.append(train(tmp_path, progress=Second())))
    results.insert(0, train(tmp_path, progress=First()))
    second.join()
    assert sorted(result.from_cache for result in results) == [False, True]
    assert results[0].digest == results[1].digest


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    """Stops after `patience` epochs without a lower validation loss, also across an interruption."""
    spec = TrainingSpec(epochs=40, batch_size=16, learning_rate=0.05, early_stopping=2)
    request = replace(REQUEST, training=spec)
    result = train(tmp_path / "a", request)
    losses = result.history["val_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 2 < 40
    model = keras.models.load_model(result.path)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    validation = split("validation", 20)
    images = validation.images.read(np.arange(20)).astype(np.float32)
    assert model.evaluate(images, validation.labels, verbose=0) == pytest.approx(losses[best], rel=1e-5)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", request, progress=StopsAt(best + 2))
    assert train(tmp_path / "b", request).digest == result.digest


def test_a_loss_that_is_not_finite_stops_with_one_line(tmp_path: Path) -> None:
    """Epoch and remedy are named, and no model is left."""
    request = replace(REQUEST, training=TrainingSpec(epochs=5, batch_size=8, learning_rate=1e38))
    with pytest.raises(TrainingError, match=r"epoch \d.*lower training.learning_rate") as caught:
        train(tmp_path, request)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A file where the store should be."""
    (tmp_path / "models").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        train(tmp_path)


def test_a_full_disk_is_one_line_and_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space for the model's file: one line, no half-written model, and the last epoch is kept to go on from."""

    def full(_fd: int) -> None:
        if (tmp_path / "models").exists() and list(tmp_path.rglob(".model-*.keras")):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left"):
        train(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} - {".lock"} == {"training.npz"}


def test_a_limit_on_file_size_is_one_line(tmp_path: Path) -> None:
    """A real refusal by the operating system while Keras writes its file."""
    code = (
        "import importlib.util, pathlib, resource, sys\n"
        "spec = importlib.util.spec_from_file_location('test_training', sys.argv[1])\n"
        "module = sys.modules['test_training'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.registry.MODELS['tiny'] = 'test_training:build_tiny'\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "spec = module.TrainingSpec(epochs=int(sys.argv[3]))\n"
        "try: module.train(pathlib.Path(sys.argv[2]), module.replace(module.REQUEST, training=spec))\n"
        "except module.StoreError as error: print(error)\n"
    )
    for epochs in ("0", "1"):
        command = [sys.executable, "-c", code, __file__, str(tmp_path), epochs]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
        assert "File too large" in done.stdout, done.stderr
        assert done.stdout.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]


def test_no_epochs_leave_the_model_as_it_was_built(tmp_path: Path) -> None:
    """With epochs 0 the file holds the first weights, which the seed decides."""
    result = train(tmp_path, replace(REQUEST, training=TrainingSpec(epochs=0)))
    keras.utils.set_random_seed(REQUEST.seed)
    assert result.digest == model_digest(build_tiny((8, 8, 1), 3))
    assert result.history == {}


def test_the_record_says_what_the_model_is(uninterrupted: TrainResult) -> None:
    """For people: request, digest, hash of the file and versions, as JSON."""
    record = json.loads((uninterrupted.path.parent / "model.json").read_text())
    assert record["asked"]["request"]["model"] == "tiny"
    assert record["asked"]["request"]["training"]["epochs"] == 3
    assert record["digest"] == uninterrupted.digest
    assert record["made_with"]["keras"] == keras.__version__


def test_mistakes_are_found_before_training(tmp_path: Path) -> None:
    """Splits that do not fit, numbers out of range and early stopping without a validation split."""
    with pytest.raises(ModelError, match=r"\(9, 9, 1\).*got \(8, 8, 1\)"):
        train(tmp_path, replace(REQUEST, input_shape=(9, 9, 1)))
    with pytest.raises(ModelError, match=r"has 3 classes.* 4"):
        train(tmp_path, replace(REQUEST, num_classes=4))
    with pytest.raises(ConfigError, match="needs a validation split"):
        train(tmp_path, replace(REQUEST, training=TrainingSpec(early_stopping=1)), validation=None)
    with pytest.raises(ConfigError, match="batch_size must be 1 or more, got 0"):
        TrainingSpec(batch_size=0)
    with pytest.raises(ConfigError, match="learning_rate must be above 0"):
        TrainingSpec(learning_rate=0)
    with pytest.raises(ConfigError, match="seed must be 0 or more"):
        replace(REQUEST, seed=-1)


def test_fingerprint_sees_what_decides_the_weights_and_nothing_else() -> None:
    """Each part of the request counts; the validation split only with early stopping; 1 and 1.0 are one."""

    def of(request: TrainingRequest = REQUEST, train: str = "a", validation: str | None = "b") -> str:
        return training_fingerprint(request, train_digest=train, validation_digest=validation)

    stopping = replace(REQUEST, training=replace(SPEC, early_stopping=1))
    others = [
        of(replace(REQUEST, seed=6)),
        of(replace(REQUEST, model="small_cnn")),
        of(replace(REQUEST, model_options={"width": 8})),
        of(replace(REQUEST, augmentation="none", augmentation_options={})),
        of(replace(REQUEST, augmentation_options={"zoom_range": 0.5})),
        of(replace(REQUEST, training=replace(SPEC, epochs=4))),
        of(replace(REQUEST, input_shape=(9, 8, 1))),
        of(replace(REQUEST, num_classes=4)),
        of(train="c"),
        of(stopping),
        of(stopping, validation="c"),
    ]
    assert len({of(), *others}) == len(others) + 1
    assert of() == of(validation="c") == of(validation=None)
    assert TrainingSpec(learning_rate=1) == TrainingSpec(learning_rate=1.0)
    assert of() == of(replace(REQUEST, augmentation_options={"rotation_range": 15}))


def test_every_model_of_ours_has_training_defaults() -> None:
    """The table of defaults and the table of models name the same kinds."""
    assert set(TRAINING_DEFAULTS) == set(registry.MODELS) - {"tiny"}


def test_the_lock_is_free_after_training(uninterrupted: TrainResult) -> None:
    """Nobody who comes later waits."""
    with filelock.FileLock(uninterrupted.path.parent / ".lock").acquire(timeout=0):
        pass
