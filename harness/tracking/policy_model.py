"""A policy in the form of `mlflow.tensorflow`, around a SavedModel; TensorFlow is not imported, nothing is pickled."""

import importlib
import json
import warnings
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from harness.tracking.model import requirements, save_description

SAVED_MODEL = "tf2model"
"""Where the SavedModel lies in the folder: where MLflow itself puts one."""

EXAMPLE = "input_example.json"
REQUEST = "serving_input_example.json"


def package_policy(folder: Path, *, about: Mapping[str, Any], example: np.ndarray) -> None:
    """Writes what makes a folder with a SavedModel an MLflow model: signature, example, requirements, flavours.

    Args:
        folder: holds the SavedModel as `SAVED_MODEL`.
        about: the model's metadata, with `input`, `output` and more.
        example: images `[n, h, w, channels]` uint8.
    """
    wanted = [f"mlflow=={metadata.version('mlflow')}", f"numpy=={metadata.version('numpy')}", *requirements()]
    request = json.dumps({"inputs": example.tolist()})
    for name in (EXAMPLE, REQUEST):
        (folder / name).write_text(request, encoding="utf-8")
    description = Model(
        signature=_signature(about),
        metadata=dict(about),
        saved_input_example_info={
            "artifact_path": EXAMPLE,
            "serving_input_path": REQUEST,
            "type": "ndarray",
            "format": "tf-serving",
        },
    )
    description.add_flavor("tensorflow", saved_model_dir=SAVED_MODEL, model_type="tf2-module")
    save_description(description, folder, loader_module="mlflow.tensorflow", requirements=wanted)


def load(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The function of raw images that a folder is, as `mlflow.pyfunc` loads it."""
    with warnings.catch_warnings():
        # MLflow warns of the type hints of its own modules while it imports them.
        warnings.filterwarnings("ignore", message=".*Any type hint", category=UserWarning)
        pyfunc = importlib.import_module("mlflow.pyfunc")
    model = pyfunc.load_model(str(folder))
    return lambda images: np.asarray(model.predict(images))


def _signature(about: Mapping[str, Any]) -> ModelSignature:
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), _shape(about["input"]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), _shape(about["output"]))]),
    )


def _shape(of: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(-1 if side is None else int(side) for side in of["shape"])
