"""The digest of a model: what came out of training, whatever file it lies in."""

import hashlib
import json
from typing import Any

import numpy as np

from harness.backend import keras
from harness.fingerprint import canonical_json

# They differ between two loads of one file, or say nothing about what the model computes.
_DROPPED = {"shared_object_id", "build_config", "compile_config", "date_saved", "keras_version"}


def model_digest(model: keras.Model) -> str:
    """SHA-256 (64 hex digits) over each weight's position, shape, dtype and bytes, and over the architecture.

    Names of layers and of the model do not count (Keras numbers them anew in each process), nor does the state
    of random generators, nor how the model was compiled.
    """
    sha = hashlib.sha256(canonical_json(architecture(model)).encode())
    for position, weight in enumerate(model.get_weights()):
        array = np.asarray(weight)
        sha.update(f"|{position}:{array.shape}:{array.dtype.name}|".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def architecture(model: keras.Model) -> Any:
    """The model's config as plain data in which layers are called by their position."""
    try:
        config = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):  # a subclassed model that cannot describe itself
        return {"class": f"{type(model).__module__}.{type(model).__qualname__}"}
    names: dict[str, str] = {}
    _collect_names(config, names)
    return _renamed(config, names)


def _collect_names(node: Any, names: dict[str, str]) -> None:
    """Number the names of all serialised objects in the order in which the config lists them."""
    if isinstance(node, dict):
        inner = node.get("config")
        if "class_name" in node and isinstance(inner, dict) and isinstance(inner.get("name"), str):
            names.setdefault(inner["name"], f"#{len(names)}")
        for value in node.values():
            _collect_names(value, names)
    elif isinstance(node, list):
        for value in node:
            _collect_names(value, names)


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: names.get(value, value) if key == "name" and isinstance(value, str) else _renamed(value, names)
            for key, value in node.items()
            if key not in _DROPPED
        }
    if isinstance(node, list):
        # [layer name, node, tensor]: how a config refers to a layer's output.
        if len(node) == 3 and isinstance(node[0], str) and all(isinstance(part, int) for part in node[1:]):
            return [names.get(node[0], node[0]), *node[1:]]
        return [_renamed(value, names) for value in node]
    if isinstance(node, float) and not np.isfinite(node):
        return repr(node)
    return node
