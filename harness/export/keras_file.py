"""The format `keras`: one `.keras` file of built-in layers and operations, which any Keras loads in safe mode."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.backend import keras
from harness.errors import ModelError
from harness.export.deployable import network_of
from harness.export.job import ExportJob, ShippedPolicy
from harness.graph.policies import policy_function
from harness.graph.skipping import skips
from harness.policies.learned_exit import FittedEarlyExit

ELSEWHERE = "use the format savedmodel, onnx or mlflow"
FOLDER = "assets/tta"
"""Where metadata and page lie inside the archive."""

USAGE = """\
```python
import keras
model = keras.saving.load_model("{name}")
probabilities = model.predict(images)         # images: uint8
```

This page and `metadata.json`, with the class names, are inside the file: `unzip -p {name} assets/tta/metadata.json`.
It needs Keras on TensorFlow; nothing else."""


def build(job: ExportJob, policy: ShippedPolicy) -> Any:
    """The policy as a Functional model of raw images.

    Raises:
        ModelError: where the network, a view or the aggregation has no form in such a file.
    """
    _check(job, policy)
    shape = job.dataset.test.images.shape
    run = policy_function(
        policy.fitted,
        policy.views,
        network_of(job, job.network.model),
        image_shape=shape,
        temperature=policy.temperature,
    )
    images = keras.Input(shape, dtype="uint8", name="images")
    return keras.Model(images, keras.layers.Identity(dtype="float32", name="probabilities")(run(images)), name="tta")


def predict(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A Functional model as a function of raw images."""
    return lambda images: np.asarray(model.predict_on_batch(images))


def write(model: Any, path: Path, *, metadata: str, page: str) -> None:
    """Writes the file, with what it says about itself inside."""
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{FOLDER}/metadata.json", metadata)
        archive.writestr(f"{FOLDER}/README.md", page)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The function of raw images that a written file is."""
    return predict(keras.saving.load_model(path, compile=False, safe_mode=True))


def _check(job: ExportJob, policy: ShippedPolicy) -> None:
    inner = policy.fitted.inner if isinstance(policy.fitted, FittedEarlyExit) else policy.fitted
    if skips(inner):
        raise ModelError(
            f"{policy.name} skips passes that an image does not need, and a .keras file cannot hold that: {ELSEWHERE}"
        )
    if job.network.model is None:
        raise ModelError(f"the network of {job.record.name} is a SavedModel, not Keras layers: {ELSEWHERE}")
    others = sorted(set(foreign(json.loads(job.network.model.to_json()))))
    if others:
        raise ModelError(
            f"the network of {job.record.name} holds code of its own ({', '.join(others)}), which another process "
            f"would not load: {ELSEWHERE}"
        )


def foreign(config: Any) -> Iterator[str]:
    """Names of what a model's config holds beside Keras' own classes: layers of others, functions, Lambda layers."""
    if isinstance(config, list):
        for item in config:
            yield from foreign(item)
    if not isinstance(config, dict):
        return
    name = config.get("class_name")
    # Keras writes no module for a class that was registered by its user.
    module = str(config.get("module") or ("keras" if config.get("registered_name") in (None, name) else ""))
    if name in ("function", "__lambda__"):
        yield config["config"] if isinstance(config.get("config"), str) else str(name)
    elif name and (module.split(".")[0] not in ("keras", "builtins") or name == "Lambda"):
        yield str(name)
    for item in config.values():
        yield from foreign(item)
