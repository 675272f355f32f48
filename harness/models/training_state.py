"""The state of an unfinished training on disk, so that it goes on from its last epoch with the same bits.

One `.npz` file holds the model's weights, the optimizer's variables, the best weights so far and, as JSON, the
epoch and the history: one file, so that they cannot come from different epochs. Kept apart from Keras' own
format, which keeps no early stopping state and needs a model's custom classes to be registered.
"""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.backend import keras
from harness.files import write_atomically
from harness.models.cache import STATE_FILE, set_aside


@dataclass
class TrainingState:
    """How far a training is: everything that the next epoch depends on, the weights apart.

    Attributes:
        epoch: finished epochs.
        history: metric name to one number per finished epoch.
        seconds: spent so far.
        best_epoch: the epoch (from 1) with the lowest validation loss; 0 for none.
        best_weights: the weights after it; empty without early stopping.
    """

    epoch: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    best_epoch: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)


def save_state(folder: Path, state: TrainingState, *, model: keras.Model, optimizer: Any) -> None:
    """Replace the folder's state by this one, in one step.

    Raises:
        StoreError: for a full disk or a folder that cannot be written.
    """
    groups = {
        "weights": model.get_weights(),
        "optimizer": [np.asarray(variable) for variable in optimizer.variables],
        "best": state.best_weights,
    }
    arrays = {f"{group}/{i}": array for group, members in groups.items() for i, array in enumerate(members)}
    numbers = {key: value for key, value in vars(state).items() if key != "best_weights"}
    arrays["state"] = np.frombuffer(json.dumps(numbers).encode(), np.uint8)

    write_atomically(folder / STATE_FILE, lambda stream: np.savez(stream, **arrays))


def restore_state(folder: Path, *, model: keras.Model, optimizer: Any) -> TrainingState:
    """Set the model and its optimizer to the last finished epoch; a new state where there is none.

    A damaged state is set aside with a warning, and training starts again.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return TrainingState()
    try:
        # Opened here, because np.load leaves a file that it cannot understand open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            arrays = dict(members)
        state = TrainingState(**json.loads(arrays["state"].tobytes()), best_weights=_group(arrays, "best"))
        weights, variables = _group(arrays, "weights"), _group(arrays, "optimizer")
        _check_shapes([*weights, *variables], [*model.weights, *optimizer.variables])
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        set_aside(path, reason=str(error))
        return TrainingState()
    model.set_weights(weights)
    for variable, value in zip(optimizer.variables, variables, strict=True):
        variable.assign(value)
    return state


def _group(arrays: dict[str, np.ndarray], group: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{group}/") for key in arrays)
    return [arrays[f"{group}/{i}"] for i in range(count)]


def _check_shapes(arrays: list[np.ndarray], variables: list[Any]) -> None:
    got, expected = [array.shape for array in arrays], [tuple(variable.shape) for variable in variables]
    if got != expected:
        raise ValueError("it belongs to a model of another shape")
