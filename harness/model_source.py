"""Where a job's model comes from: trained here, or a checkpoint. Both are known from files before TensorFlow loads.

`cached()` answers from the store alone; `obtain()` trains or looks into the checkpoint; `load()` gives `predict`.
"""

import importlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.errors import ModelError
from harness.files import make_folder, write_atomically
from harness.fingerprint import canonical, fingerprint
from harness.inference import batch_size_for
from harness.models.cache import TrainResult, find_cached
from harness.models.preprocessing import PREPROCESSING, Preprocessing, candidates, make_preprocessing
from harness.models.specs import TrainingRequest, training_fingerprint
from harness.types import Dataset, Split, TrainedModel
from harness.views import IDENTITY

DETECTION_VERSION = 1  # raise by hand when what is found out about a checkpoint changes
PROBE_LIMIT = 512  # validation images that preprocessings are tried on


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


class TrainingProgress(Protocol):
    """Told how far a training is."""

    def on_wait(self, folder: Path) -> None:
        """Another process trains the same model: this one waits."""

    def on_batch(self, done: int, total: int) -> None:
        """After a batch, within the epoch."""

    def on_epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """After an epoch (1 is the first) with its metrics."""


class ModelSource(Protocol):
    """A model that a job asks for."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def asked(self) -> str:
        """Fingerprint of what was asked for: known before the model is."""

    def cached(self) -> ModelInfo | None:
        """What the store knows, without TensorFlow; None where the model must be trained or looked into."""

    def obtain(self, progress: TrainingProgress) -> ModelInfo:
        """Trains the model or looks into the checkpoint, once for all processes that share the store."""


@dataclass(frozen=True)
class TrainedSource:
    """A model that is trained here, once for its fingerprint."""

    request: TrainingRequest
    dataset: Dataset
    root: Path

    @property
    def name(self) -> str:
        """`small_cnn-fashion_mini-seed0`."""
        return f"{self.request.model}-{self.dataset.name}-seed{self.request.seed}"

    @property
    def asked(self) -> str:
        """The training fingerprint."""
        train, validation = self.dataset.split("train"), self.dataset.validation
        return training_fingerprint(self.request, train_digest=train.digest, validation_digest=validation.digest)

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
        preprocessing = PREPROCESSING["none"]
        return ModelInfo(
            name=self.name,
            kind=self.request.model,
            digest=_digest(found.digest, preprocessing, found.output),
            fingerprint=self.asked,
            source="trained here",
            input_shape=found.input_shape,
            num_classes=found.num_classes,
            output=found.output,
            units=found.num_classes,
            preprocessing=preprocessing,
            path=found.path,
            from_cache=found.from_cache,
            seconds=found.seconds,
            history=found.history,
        )


@dataclass(frozen=True)
class CheckpointSource:
    """A model that somebody has trained.

    Attributes:
        path: the local file or folder.
        label: how the user named it.
        digest: of the file's bytes.
    """

    path: Path
    label: str
    digest: str
    trust: bool
    preprocessing: str | Mapping[str, Any]
    output: str
    dataset: Dataset
    center_crop: bool
    root: Path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def asked(self) -> str:
        """The file's digest, the settings, and the validation images that detection looks at."""
        return fingerprint(
            {
                "version": DETECTION_VERSION,
                "file": self.digest,
                "preprocessing": self.preprocessing,
                "output": self.output,
                "validation": self.dataset.validation.digest,
                "image_shape": self.dataset.test.images.shape,
                "center_crop": self.center_crop,
            }
        )

    @property
    def _side(self) -> Path:
        return self.root / "checkpoints" / f"{self.name}-{self.digest[:8]}" / f"{self.asked[:16]}.json"

    def cached(self) -> ModelInfo | None:
        """What was found out about this file with these settings and images."""
        try:
            data = json.loads(self._side.read_bytes())
        except (OSError, ValueError):
            return None
        if data.pop("asked", None) != self.asked:
            return None
        fields = {key: tuple(data[key]) for key in ("input_shape", "notes", "warnings")}
        pixels = data["preprocessing"]
        pixels = Preprocessing(**{**pixels, "mean": tuple(pixels["mean"]), "std": tuple(pixels["std"])})
        return ModelInfo(**{**data, **fields, "preprocessing": pixels, "path": self.path})

    def obtain(self, progress: TrainingProgress) -> ModelInfo:  # noqa: ARG002
        """Loads the checkpoint, finds out what it takes and gives, and writes that down.

        Raises:
            ModelError: where it cannot be loaded, does not fit the data set, or its output is not recognised.
        """
        info = self._look()
        data = {**asdict(info), "asked": self.asked}
        del data["path"]
        make_folder(self._side.parent)
        text = json.dumps(canonical(data), indent=1)
        write_atomically(self._side, lambda stream: stream.write(text.encode()))
        return info

    def _look(self) -> ModelInfo:
        checkpoint = importlib.import_module("harness.models.checkpoint")
        network = checkpoint.load_network(self.path, trust=self.trust)
        shape = checkpoint.resolve_input_shape(
            network, self.dataset.test.images.shape, name=self.path.name, center_crop=self.center_crop
        )
        checkpoint.check_classes(network.units, self.dataset.num_classes, name=self.path.name)
        tried, labels = try_preprocessings(network, self.dataset.validation, shape)
        chosen, notes, warnings = choose_preprocessing(self.preprocessing, network.rescales, tried, labels)
        raw = tried.get(chosen.name)
        output = checkpoint.detect_output(network, self.output, next(iter(tried.values())) if raw is None else raw)
        how = "set by model.output" if self.output != "auto" else f"its last layer is {network.ending}"
        return ModelInfo(
            name=self.name,
            kind="checkpoint",
            digest=_digest(network.digest, chosen, output.kind),
            fingerprint=None,
            source=self.label,
            input_shape=shape,
            num_classes=self.dataset.num_classes,
            output=output.kind,
            units=output.units,
            preprocessing=chosen,
            path=self.path,
            notes=(*notes, f"model.output is {output.kind}: {how}"),
            warnings=warnings,
        )


def load_model(
    info: ModelInfo, validation: Split, *, trust: bool, engine: str, batch_size: int | None
) -> TrainedModel:
    """The model, ready to predict; with `engine=fast` the size of its rounding is measured on validation images.

    Raises:
        ModelError: where the file cannot be loaded or has changed since it was looked into.
    """
    checkpoint = importlib.import_module("harness.models.checkpoint")
    predictor = importlib.import_module("harness.models.predictor")
    network = checkpoint.load_network(info.path, trust=trust)
    if _digest(network.digest, info.preprocessing, info.output) != info.digest:
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
        return TrainedModel(info.name, info.digest, info.input_shape, info.num_classes, predict)

    exact = build(network.call)
    if engine == "exact" or network.model is None:
        return exact
    folded, pairs = predictor.fold_batch_normalization(network.model)
    fast = build(lambda images: folded(images, training=False))
    images, _ = _sample(validation, info.input_shape)
    difference = float(np.abs(exact.predict(images) - fast.predict(images)).max())
    return replace(fast, notes={"fast_max_abs_difference": difference, "fast_folded": pairs})


def peek_input_size(path: Path, *, trust: bool) -> tuple[int, int] | None:
    """Height and width that a checkpoint takes, None where it is open to any."""
    checkpoint = importlib.import_module("harness.models.checkpoint")
    height, width, _ = checkpoint.load_network(path, trust=trust).input_shape
    return (height, width) if height and width else None


def try_preprocessings(
    network: Any, validation: Split, shape: tuple[int, int, int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the network gives `[n, units]` under each plausible preprocessing, and the labels `[n]`."""
    images, labels = _sample(validation, shape)
    size = batch_size_for(shape)
    tried = {}
    for name, preprocessing in candidates(shape[2]).items():
        pixels = preprocessing(images)
        batches = [np.asarray(network.call(pixels[i : i + size])) for i in range(0, len(pixels), size)]
        tried[name] = np.concatenate(batches)
    return tried, labels


def choose_preprocessing(
    setting: str | Mapping[str, Any], rescales: bool, tried: Mapping[str, np.ndarray], labels: np.ndarray
) -> tuple[Preprocessing, tuple[str, ...], tuple[str, ...]]:
    """The preprocessing as set, or for `auto` as detected; with sentences on what was found, and warnings.

    A model with its own rescaling takes pixels as they are. Otherwise the one is taken under which the model is most
    accurate on validation images. A choice that is far worse than another is warned of: a wrong input range is silent
    everywhere else.
    """
    accuracy = {name: _accuracy(values, labels) for name, values in tried.items()}
    best = max(accuracy, key=lambda name: accuracy[name])
    listing = ", ".join(f"{name} {100 * value:.1f} %" for name, value in accuracy.items())
    if setting != "auto":
        chosen, how = make_preprocessing(setting), "as set"
    elif rescales:
        chosen, how = PREPROCESSING["none"], "the model rescales pixels itself"
    else:
        chosen, how = PREPROCESSING[best], f"best on {len(labels)} validation images: {listing}"
    notes = (f"model.preprocessing is {chosen.describe()}: {how}",)
    got = accuracy.get(chosen.name)
    # Four standard errors of a difference of two proportions: far beyond what so few images can do by chance.
    if got is None or accuracy[best] - got <= 4 * math.sqrt(0.5 / len(labels)):
        return chosen, notes, ()
    warning = (
        f"with model.preprocessing={chosen.name} the model is right on {100 * got:.1f} % of {len(labels)} validation "
        f"images, with {best} on {100 * accuracy[best]:.1f} %: the input range looks wrong; "
        f"set model.preprocessing={best} ({listing})"
    )
    return chosen, notes, (warning,)


def _accuracy(values: np.ndarray, labels: np.ndarray) -> float:
    # One unit is a sigmoid's probability or its logit; on trial both are split at the middle of their range.
    predicted = values.argmax(axis=1) if values.shape[1] > 1 else (values[:, 0] > _middle(values)).astype(int)
    return float((predicted == labels).mean())


def _middle(values: np.ndarray) -> float:
    return 0.5 if values.min() >= 0 and values.max() <= 1 else 0.0


def _sample(validation: Split, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Up to `PROBE_LIMIT` validation images, evenly spread, `[n, H, W, channels]` float32, and their labels."""
    indices = np.unique(np.linspace(0, len(validation) - 1, min(PROBE_LIMIT, len(validation))).astype(np.int64))
    images = IDENTITY(validation.images.read(indices), indices, size=shape[:2])
    return images, validation.labels[indices]


def _digest(network: str, preprocessing: Preprocessing, output: str) -> str:
    return fingerprint({"network": network, "preprocessing": preprocessing.spec, "output": output})
