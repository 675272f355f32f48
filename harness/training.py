"""Train a model once: by what was asked it is found again, and an interrupted training goes on where it was.

Bits: with `deterministic` the weights depend on the request and the splits alone (same machine, same number of
threads). Epoch e visits the images in the order `default_rng((seed, e)).permutation(N)`; augmentation draws from
(seed, e, batch), dropout from (seed, e); so an epoch depends on nothing but the state after the one before.
"""

import math
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.augmentation import build_augmentation
from harness.backend import keras, prepare, tf
from harness.errors import ConfigError, ModelError, TrainingError
from harness.files import as_store_error, replace_atomically
from harness.fingerprint import fingerprint as fingerprint_of
from harness.models.cache import (
    MODEL_FILE,
    STATE_FILE,
    TrainResult,
    find_cached,
    locked,
    model_folder,
    write_record,
)
from harness.models.digest import model_digest
from harness.models.fitting import Learner, evaluate, make_learner, train_epoch
from harness.models.registry import build_model
from harness.models.specs import TrainingProgress, TrainingRequest, training_asked
from harness.models.training_state import TrainingState, restore_state, save_state
from harness.types import Split


class Silent:
    """Progress that nobody looks at."""

    def on_wait(self, folder: Path) -> None:
        """Say nothing."""

    def on_batch(self, done: int, total: int) -> None:
        """Say nothing."""

    def on_epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """Say nothing."""


def train_or_load(
    root: Path,
    request: TrainingRequest,
    *,
    name: str,
    train: Split,
    validation: Split | None = None,
    progress: TrainingProgress | None = None,
) -> TrainResult:
    """The trained model of this request under `root`, trained only if it is not there yet.

    Several processes that ask for one model train it once: one holds the folder's lock, the others wait and load.

    Args:
        root: the store's folder.
        request: what to train.
        name: for people, the first part of the folder's name.
        train: images of the request's input shape, streamed in batches.
        validation: measured after each epoch, and watched by early stopping.
        progress: told about batches and epochs.

    Raises:
        ConfigError: for early stopping without a validation split, and as `build_model` does.
        ModelError: where images and model do not fit, or the model ends in neither softmax nor linear logits.
        TrainingError: for a loss that is not finite.
        StoreError: where the store cannot be read or written.
    """
    progress = progress or Silent()
    _check(request, train=train, validation=validation)
    asked = training_asked(
        request, train_digest=train.digest, validation_digest=validation.digest if validation else None
    )
    fingerprint = fingerprint_of(asked)
    folder = model_folder(root, name=name, fingerprint=fingerprint)
    with locked(folder, on_wait=progress.on_wait):
        found = find_cached(root, name=name, fingerprint=fingerprint)
        if found is not None:
            return found
        return _train(folder, request, asked=asked, train=train, validation=validation, progress=progress)


def output_kind(model: keras.Model) -> Literal["probs", "logits"]:
    """What a model to be trained gives, read from its last layer.

    Raises:
        ModelError: where that ends in neither softmax nor a linear layer.
    """
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return "probs"
    activation = keras.activations.serialize(getattr(last, "activation", keras.activations.linear))
    if activation in ("softmax", "linear"):
        return "probs" if activation == "softmax" else "logits"
    raise ModelError(f"a model to be trained ends in softmax or in linear logits, got {activation}")


def _check(request: TrainingRequest, *, train: Split, validation: Split | None) -> None:
    if request.training.early_stopping is not None and validation is None:
        raise ConfigError("training.early_stopping needs a validation split, and there is none")
    for split in (train, validation):
        if split is None:
            continue
        if split.images.shape != request.input_shape:
            raise ModelError(
                f"split {split.name}: the model to be trained expects images {request.input_shape}, "
                f"got {split.images.shape}; give the data set and the model one image size"
            )
        if split.num_classes != request.num_classes and request.training.epochs > 0:
            raise ModelError(
                f"split {split.name} has {split.num_classes} classes, the model to be trained {request.num_classes}"
            )


def _train(
    folder: Path,
    request: TrainingRequest,
    *,
    asked: Mapping[str, Any],
    train: Split,
    validation: Split | None,
    progress: TrainingProgress,
) -> TrainResult:
    learner, output = _build(request, examples=len(train))
    with as_store_error(folder):
        state = restore_state(folder, model=learner.model, optimizer=learner.optimizer)
    resumed_from_epoch = state.epoch
    try:
        _fit(folder, request, state, learner=learner, train=train, validation=validation, progress=progress)
    except TrainingError:
        (folder / STATE_FILE).unlink(missing_ok=True)  # the same request would run into the same number again
        raise
    if state.best_weights:
        learner.model.set_weights(state.best_weights)
    replace_atomically(folder / MODEL_FILE, lambda path: learner.model.save(path))
    result = TrainResult(
        path=folder / MODEL_FILE,
        fingerprint=fingerprint_of(asked),
        digest=model_digest(learner.model),
        input_shape=request.input_shape,
        num_classes=request.num_classes,
        output=output,
        history={metric: tuple(values) for metric, values in state.history.items()},
        seconds=state.seconds,
        from_cache=False,
        resumed_from_epoch=resumed_from_epoch,
    )
    write_record(result, about={"best_epoch": state.best_epoch, "asked": asked, "made_with": _made_with()})
    (folder / STATE_FILE).unlink(missing_ok=True)
    return result


def _build(request: TrainingRequest, *, examples: int) -> tuple[Learner, Literal["probs", "logits"]]:
    """The model as it is before the first step, which the seed alone decides."""
    prepare(deterministic=request.training.deterministic)
    keras.utils.set_random_seed(request.seed)
    model = build_model(
        request.model,
        input_shape=request.input_shape,
        num_classes=request.num_classes,
        options=request.model_options,
    )
    output = output_kind(model)
    steps_per_epoch = -(-examples // request.training.batch_size)
    return make_learner(model, spec=request.training, output=output, steps_per_epoch=steps_per_epoch), output


def _fit(
    folder: Path,
    request: TrainingRequest,
    state: TrainingState,
    *,
    learner: Learner,
    train: Split,
    validation: Split | None,
    progress: TrainingProgress,
) -> None:
    """Train the epochs that are left; after each one the state is on disk before anybody is told."""
    spec = request.training
    augment = build_augmentation(request.augmentation, request.augmentation_options)
    while state.epoch < spec.epochs and not _stops(state, patience=spec.early_stopping):
        started = time.perf_counter()
        metrics = train_epoch(
            learner,
            train,
            epoch=state.epoch,
            seed=request.seed,
            batch_size=spec.batch_size,
            augment=augment,
            on_batch=progress.on_batch,
        )
        if validation is not None:
            metrics |= evaluate(learner, validation)
        _check_finite(learner, epoch=state.epoch + 1)
        _note(state, metrics, learner=learner, early_stopping=spec.early_stopping is not None)
        state.seconds += time.perf_counter() - started
        save_state(folder, state, model=learner.model, optimizer=learner.optimizer)
        progress.on_epoch(state.epoch, spec.epochs, metrics)


def _note(state: TrainingState, metrics: dict[str, float], *, learner: Learner, early_stopping: bool) -> None:
    """Add a finished epoch to the state."""
    state.epoch += 1
    for metric, value in metrics.items():
        state.history.setdefault(metric, []).append(value)
    earlier = state.history["val_loss"][:-1] if early_stopping else []
    if early_stopping and metrics["val_loss"] < min(earlier, default=math.inf):
        state.best_epoch, state.best_weights = state.epoch, learner.model.get_weights()


def _stops(state: TrainingState, *, patience: int | None) -> bool:
    return patience is not None and state.epoch - state.best_epoch >= patience


def _check_finite(learner: Learner, *, epoch: int) -> None:
    """The last step of an epoch can break the weights after its loss was still a number."""
    if not all(np.isfinite(weight).all() for weight in learner.model.get_weights()):
        raise TrainingError(f"a weight is not finite after epoch {epoch}: try a lower training.learning_rate")


def _made_with() -> dict[str, Any]:
    """What the bits of the weights may depend on besides the request."""
    return {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "machine": platform.machine(),
        "devices": [device.name for device in tf.config.list_physical_devices()],
        "cores": os.cpu_count(),
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
    }
