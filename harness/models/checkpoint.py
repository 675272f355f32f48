"""Any Keras model that the user has: `.keras`, `.h5` or a SavedModel folder, loaded without running foreign code.

What the model expects and gives is found out by looking at its layers and by trying it on validation images, and said.
"""

import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.backend import keras, tf
from harness.errors import ModelError
from harness.files import path_digest
from harness.models import anatomy
from harness.models.digest import model_digest
from harness.models.predictor import Output


@dataclass(frozen=True)
class Network:
    """A loaded checkpoint, before anything is known of its preprocessing.

    Attributes:
        call: the network: tensor `[n, H, W, channels]` float32 to tensor `[n, units]`.
        input_shape: `(H, W, channels)`; a side that the network leaves open is None.
        units: how many numbers it gives for an image.
        ending: activation of the last layer (`softmax`, `linear`, `relu`, ...), or `unknown`.
        rescales: True where its first layers rescale or normalise pixels themselves.
        digest: SHA-256 over weights and architecture.
        model: the Keras model, None for a SavedModel.
        owner: what holds the variables: the Keras model, or what was loaded of a SavedModel.
    """

    call: Callable[[Any], Any]
    input_shape: tuple[int | None, int | None, int | None]
    units: int
    ending: str
    rescales: bool
    digest: str
    model: Any = None
    owner: Any = None


def load_network(path: Path, *, trust: bool) -> Network:
    """Loads a checkpoint.

    Raises:
        ModelError: where the file is damaged, holds weights only, holds code and `trust` is False, or is no classifier
            of images with one input and one output.
    """
    if path.is_dir() and (path / "saved_model.pb").exists():
        return _load_saved_model(path)
    if path.is_dir() or path.suffix.lower() not in (".keras", ".h5", ".hdf5"):
        raise ModelError(f"{path} is no Keras checkpoint: expected .keras, .h5 or a folder with saved_model.pb")
    return network_of(_load_keras(path, trust=trust), name=path.name)


def network_of(model: Any, *, name: str) -> Network:
    """The network of a Keras model.

    Raises:
        ModelError: where it has several inputs or outputs, or they are not images and class scores.
    """
    if not hasattr(anatomy.graph(model), "_nodes_by_depth"):
        raise ModelError(f"{name} has no fixed input: build the model with keras.Input, or call it once before saving")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ModelError(f"{name} has {counts}: expected one image input and one vector of class scores")
    inputs, outputs = model.inputs[0].shape, model.outputs[0].shape
    if len(inputs) != 4 or len(outputs) != 2 or outputs[1] is None:
        raise ModelError(f"{name} maps {inputs} to {outputs}: expected [n, H, W, channels] to [n, classes]")
    return Network(
        call=lambda images: model(images, training=False),
        input_shape=tuple(inputs[1:]),
        units=int(outputs[1]),
        ending=anatomy.ending(model),
        rescales=anatomy.rescales(model),
        digest=model_digest(model),
        model=model,
        owner=model,
    )


def detect_output(network: Network, setting: str, values: np.ndarray) -> Output:
    """What the network gives: as `setting` says, or for `auto` by its last layer, or by values it gave `[n, units]`.

    Raises:
        ModelError: where it is neither plainly logits nor plainly probabilities.
    """
    if setting != "auto":
        _check_output_setting(setting, network.units, values)
        return Output(setting, network.units)
    if network.ending in ("softmax", "sigmoid") and (network.units == 1 or network.ending == "softmax"):
        return Output("probs", network.units)
    # Under a wrong input range a network may overflow: rows that did say nothing.
    rows = values[np.isfinite(values).all(axis=1)].astype(np.float64)
    if network.ending in ("linear", "log_softmax"):
        return Output("logits", network.units)
    if network.ending == "unknown" and len(rows):
        if network.units > 1 and rows.min() >= 0 and np.allclose(rows.sum(axis=1), 1, atol=1e-2):
            return Output("probs", network.units)
        if rows.min() < 0:
            return Output("logits", network.units)
    raise ModelError(
        f"the model ends in {network.ending}: its outputs are recognised neither as logits nor as probabilities; "
        f"set model.output=logits if it was trained from logits, model.output=probs if its rows sum to one"
    )


def _check_output_setting(setting: str, units: int, values: np.ndarray) -> None:
    """Refuses a setting that the values `[n, units]` contradict.

    Raises:
        ModelError: for `probs` that are no probabilities, or `logits` whose rows all sum to one.
    """
    rows = values[np.isfinite(values).all(axis=1)].astype(np.float64)
    if units == 1 or not len(rows):
        return
    probs = rows.min() >= -1e-6 and np.allclose(rows.sum(axis=1), 1, atol=1e-2)
    if probs != (setting == "probs"):
        found = (
            "are probabilities" if probs else f"are no probabilities (they lie in {rows.min():.3g}..{rows.max():.3g})"
        )
        raise ModelError(
            f"model.output={setting}, but the model's outputs {found}: leave model.output out or correct it"
        )


def _load_keras(path: Path, *, trust: bool) -> Any:
    if path.name.endswith(".weights.h5"):
        raise _weights_only(path)
    if path.suffix.lower() == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(f"{path.name} is no .keras file: it is damaged, cut short or of another kind")
    try:
        with warnings.catch_warnings():
            # Keras advises on the style in which a model was once written: nothing its user can do.
            warnings.filterwarnings("ignore", category=UserWarning, module="keras")
            return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        raise _load_error(path, str(error) or type(error).__name__, trust=trust) from error


def _load_error(path: Path, message: str, *, trust: bool) -> ModelError:
    if "No model config found" in message:
        return _weights_only(path)
    if not trust and any(word in message for word in ("safe_mode", "unsafe", "Lambda", "lambda")):
        return ModelError(
            f"{path.name} holds arbitrary code (a Lambda layer): it is not loaded unless you trust its author "
            f"and set model.trust=true"
        )
    custom = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:|Unknown \w+ function:) '?(\w+)", message)
    if custom:
        return ModelError(
            f"{path.name} needs {custom[1]}, which is no part of Keras and not in the file: "
            f"export the model with model.export('folder') and give that folder"
        )
    first = next(line.strip() for line in message.splitlines() if line.strip())
    return ModelError(f"Keras cannot load {path.name}: {first[:300]}")


def _weights_only(path: Path) -> ModelError:
    return ModelError(f"{path.name} holds weights only: save the whole model with model.save('model.keras')")


def _load_saved_model(path: Path) -> Network:
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        first = " ".join(str(error).split())[:300]
        raise ModelError(f"TensorFlow cannot load the SavedModel {path.name}: {first}") from error
    signatures = loaded.signatures
    function = signatures.get("serving_default") or signatures.get("serve")
    if function is None:
        raise ModelError(f"SavedModel {path.name} has no signature serving_default, only {sorted(signatures)}")
    specs, outputs = function.structured_input_signature[1], function.structured_outputs
    if len(specs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"SavedModel {path.name} has {len(specs)} inputs, {len(outputs)} outputs: expected one of each"
        )
    (input_name, spec), (output_name, result) = next(iter(specs.items())), next(iter(outputs.items()))
    if spec.shape.rank != 4 or result.shape.rank != 2 or result.shape[1] is None:
        raise ModelError(f"SavedModel {path.name} maps {spec.shape} to {result.shape}: expected images to class scores")

    def call(images: Any) -> Any:
        # The function holds its variables weakly: they live as long as what was loaded.
        return loaded and function(**{input_name: tf.cast(images, spec.dtype)})[output_name]

    return Network(
        call=call,
        input_shape=tuple(spec.shape[1:]),
        units=int(result.shape[1]),
        ending="unknown",
        rescales=False,
        digest=path_digest(path),
        owner=loaded,
    )


def resolve_input_shape(
    network: Network, image_shape: tuple[int, int, int], *, name: str, center_crop: bool
) -> tuple[int, int, int]:
    """The network's input shape, its open sides filled from the images'.

    Raises:
        ModelError: where channels differ from the images', or the size does (larger images pass with `center_crop`).
    """
    (height, width, channels), (h, w, c) = network.input_shape, image_shape
    if channels not in (None, c):
        raise ModelError(
            f"{name} takes images of {channels} channels, the data set gives {c}; a folder takes dataset.color_mode"
        )
    shape = (height or h, width or w, c)
    if shape[0] > h or shape[1] > w:
        raise ModelError(f"{name} takes images of {shape[0]}x{shape[1]}, the data set gives smaller ones: {h}x{w}")
    if shape != image_shape and not center_crop:
        raise ModelError(
            f"{name} takes images of {shape[0]}x{shape[1]}, the data set gives {h}x{w}: "
            f"set dataset.center_crop=true to evaluate their centre"
        )
    return shape


def check_classes(units: int, num_classes: int, *, name: str) -> None:
    """Checks that a model's outputs match the data set's classes (one unit counts as two classes).

    Raises:
        ModelError: with both numbers.
    """
    if (2 if units == 1 else units) != num_classes:
        raise ModelError(f"{name} gives {units} class scores, the data set has {num_classes} classes")
