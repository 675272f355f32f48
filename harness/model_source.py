"""What a job knows of its model before TensorFlow loads, wherever it comes from; and how it is loaded to predict."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.errors import ModelError
from harness.fingerprint import fingerprint
from harness.inference import batch_size_for
from harness.models.preprocessing import PREPROCESSING, Preprocessing
from harness.models.specs import TrainingProgress
from harness.types import Split, TrainedModel
from harness.views import IDENTITY

PROBE_LIMIT = 512  # validation images that preprocessings are tried on
AS_TRAINED = PREPROCESSING["none"]
"""What is done to pixels before a network that is trained here: it rescales them itself."""


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model without loading it.

    Attributes:
        name: for people. kind: as in the configuration.
        digest: SHA-256 over weights, architecture, preprocessing and output kind: what logits are keyed by.
        fingerprint: of the training that was asked for, None for a checkpoint.
        source: where it came from, in words.
        input_shape: `(H, W, channels)`. num_classes: C.
        output: `logits` or `probs`. units: what its last layer gives.
        preprocessing: what is done to pixels before the network.
        path: the model's file.
        from_cache: False where this process trained it.
        seconds: of the training. history: one number per epoch and metric.
        notes, warnings: sentences for people.
    """

    name: str
    kind: str
    digest: str
    fingerprint: str | None
    source: str
    input_shape: tuple[int, int, int]
    num_classes: int
    output: str
    units: int
    preprocessing: Preprocessing
    path: Path
    from_cache: bool = True
    seconds: float = 0.0
    history: Mapping[str, tuple[float, ...]] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ModelSource(Protocol):
    """A model that a job asks for."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def specification(self) -> Mapping[str, Any]:
        """What was asked for, as plain data."""

    @property
    def asked(self) -> str:
        """Fingerprint of the specification: known before the model is."""

    def cached(self) -> ModelInfo | None:
        """What the store knows, without TensorFlow; None where the model must be trained or looked into."""

    def obtain(self, progress: TrainingProgress) -> ModelInfo:
        """Trains the model or looks into the checkpoint, once for all processes that share the store."""


def load_model(info: ModelInfo, validation: Split, *, trust: bool, engine: str, batch_size: int | None) -> TrainedModel:
    """The model, ready to predict; with `engine=fast` the size of its rounding is measured on validation images.

    Raises:
        ModelError: where the file cannot be loaded, has changed since it was looked into, or cannot be folded.
    """
    checkpoint = importlib.import_module("harness.models.checkpoint")
    predictor = importlib.import_module("harness.models.predictor")
    importlib.import_module("harness.backend").prepare()
    network = checkpoint.load_network(info.path, trust=trust)
    if logit_digest(network.digest, info.preprocessing, info.output) != info.digest:
        raise ModelError(f"{info.path.name} has changed since it was looked into: run the command again")
    size = batch_size or batch_size_for(info.input_shape)

    def build(call: Callable[[Any], Any]) -> TrainedModel:
        predict = predictor.make_predict(
            call,
            input_shape=info.input_shape,
            output=predictor.Output(info.output, info.units),
            preprocessing=info.preprocessing,
            batch_size=size,
        )
        notes = predictor.device_notes()
        return TrainedModel(info.name, info.digest, info.input_shape, info.num_classes, predict, notes)

    exact = build(network.call)
    if engine == "exact":
        return exact
    if network.model is None:
        raise ModelError(f"engine=fast folds Keras layers, and {info.path.name} is a SavedModel: use engine=exact")
    folded, pairs = predictor.fold_batch_normalization(network.model)
    fast = build(lambda images: folded(images, training=False))
    images, _ = sample(validation, info.input_shape)
    difference = float(np.abs(exact.predict(images) - fast.predict(images)).max())
    return replace(fast, notes={**fast.notes, "fast_max_abs_difference": difference, "fast_folded": pairs})


def sample(validation: Split, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Up to `PROBE_LIMIT` validation images, evenly spread, `[n, H, W, channels]` float32, and their labels."""
    indices = validation.spread(PROBE_LIMIT)
    images = IDENTITY(validation.images.read(indices), indices, size=shape[:2])
    return images, validation.labels[indices]


def logit_digest(network: str, preprocessing: Preprocessing, output: str) -> str:
    """Digest of everything about a model that decides its logits: weights and architecture, pixels in, output kind."""
    return fingerprint({"network": network, "preprocessing": preprocessing.spec, "output": output})
