"""A model that is trained here, found by what was asked."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.fingerprint import fingerprint
from harness.model_source import AS_TRAINED, ModelInfo, logit_digest
from harness.models.cache import TrainResult, find_cached
from harness.models.specs import TrainingProgress, TrainingRequest, training_asked
from harness.types import Dataset


@dataclass(frozen=True)
class TrainedSource:
    """A model that is trained here, once for its fingerprint."""

    request: TrainingRequest
    dataset: Dataset
    root: Path

    @property
    def name(self) -> str:
        """`small_cnn-fashion_mini-seed0`; a network of a family goes by its own name."""
        network = self.request.model_options.get("name", self.request.model)
        return f"{network}-{self.dataset.name}-seed{self.request.seed}"

    @property
    def specification(self) -> dict[str, Any]:
        """All that decides the weights, as plain data."""
        train, validation = self.dataset.split("train"), self.dataset.validation
        return training_asked(self.request, train_digest=train.digest, validation_digest=validation.digest)

    @property
    def asked(self) -> str:
        """The training fingerprint."""
        return fingerprint(self.specification)

    def cached(self) -> ModelInfo | None:
        """The finished training, where the store holds it."""
        found = find_cached(self.root, name=self.name, fingerprint=self.asked)
        return None if found is None else self._info(found)

    def obtain(self, progress: TrainingProgress) -> ModelInfo:
        """Trains, resumes or finds the model.

        Raises:
            TrainingError: where the loss is no longer finite.
        """
        training = importlib.import_module("harness.training")
        found = training.train_or_load(
            self.root,
            self.request,
            name=self.name,
            train=self.dataset.split("train"),
            validation=self.dataset.validation,
            progress=progress,
        )
        return self._info(found)

    def _info(self, found: TrainResult) -> ModelInfo:
        return ModelInfo(
            name=self.name,
            kind=self.request.model,
            digest=logit_digest(found.digest, AS_TRAINED, found.output),
            fingerprint=self.asked,
            source="trained here",
            input_shape=found.input_shape,
            num_classes=found.num_classes,
            output=found.output,
            units=found.num_classes,
            preprocessing=AS_TRAINED,
            path=found.path,
            from_cache=found.from_cache,
            seconds=found.seconds,
            history=found.history,
        )
