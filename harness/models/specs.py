"""What is asked of a training, as plain data, and the hash of it; no TensorFlow is loaded here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.errors import ConfigError, unknown_name
from harness.fingerprint import fingerprint

# Raise by hand when a change of the code changes what a training gives for the same request.
TRAINING_VERSION = 1


@dataclass(frozen=True)
class TrainingSpec:
    """How to train, with Adam.

    Attributes:
        epochs: passes over the train split; 0 leaves the model as it was built.
        batch_size: images per step; the last step of an epoch takes what is left.
        learning_rate: of the first step.
        schedule: `constant`, or `cosine`: down to zero over all steps.
        early_stopping: stop after so many epochs without a lower validation loss and go back to the best epoch's
            weights; None trains all epochs and keeps the last.
        deterministic: same request, same machine, same bits.

    Raises:
        ConfigError: for a number out of its range.
    """

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    early_stopping: int | None = None
    deterministic: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", float(self.learning_rate))
        _at_least("epochs", self.epochs, 0)
        _at_least("batch_size", self.batch_size, 1)
        if self.early_stopping is not None:
            _at_least("early_stopping", self.early_stopping, 1)
        if not self.learning_rate > 0:
            raise ConfigError(f"training.learning_rate must be above 0, got {self.learning_rate}")
        if self.schedule not in ("constant", "cosine"):
            raise ConfigError(f"training.schedule must be constant or cosine, got {self.schedule!r}")


def _at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ConfigError(f"training.{name} must be {lowest} or more, got {value}")


TRAINING_DEFAULTS: Mapping[str, TrainingSpec] = {
    "tutorial_cnn": TrainingSpec(epochs=3, batch_size=128, learning_rate=1e-3, schedule="constant"),
    "small_cnn": TrainingSpec(epochs=10, batch_size=32, learning_rate=3e-3, schedule="cosine"),
    "resnet20": TrainingSpec(epochs=60, batch_size=128, learning_rate=2e-3, schedule="cosine"),
    "keras_application": TrainingSpec(epochs=5, batch_size=32, learning_rate=1e-4, schedule="cosine"),
}


# Kinds of augmentation and the parameters they take, with their defaults.
AUGMENTATIONS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "flip": {"horizontal": True, "vertical": False},
    "shift_flip": {"shift": 0.125, "horizontal": True, "fill_mode": "constant", "fill_value": 0.0},
    # Named as in Keras' former ImageDataGenerator; angles in degrees, shifts and zoom as fractions.
    "tutorial": {
        "rotation_range": 15.0,
        "width_shift_range": 0.1,
        "height_shift_range": 0.1,
        "shear_range": 10.0,
        "zoom_range": 0.1,
        "horizontal_flip": True,
        "vertical_flip": False,
        "fill_mode": "nearest",
        "fill_value": 0.0,
    },
    "randaugment": {"num_ops": 2, "factor": 0.1},
}


@dataclass(frozen=True)
class TrainingRequest:
    """Everything that decides what a training gives, the images apart.

    Attributes:
        model: kind, a name of `harness.models.registry.MODELS` or of an entry point.
        model_options: keyword arguments of the builder, plain data.
        training: how to train.
        augmentation: kind, a name of `AUGMENTATIONS`.
        augmentation_options: its parameters, plain data; complete once the request is made: those not given are
            filled in with the defaults.
        seed: 0 or more; decides initial weights, order of the images, augmentation and dropout.
        input_shape: `(H, W, channels)`.
        num_classes: C.

    Raises:
        ConfigError: for a negative seed, or an unknown augmentation or parameter of one.
    """

    model: str
    input_shape: tuple[int, int, int]
    num_classes: int
    training: TrainingSpec
    model_options: Mapping[str, Any] = field(default_factory=dict)
    augmentation: str = "none"
    augmentation_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or more, got {self.seed}")
        complete = augmentation_options(self.augmentation, self.augmentation_options)
        object.__setattr__(self, "augmentation_options", complete)


def augmentation_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The complete parameters of an augmentation: `options` over the defaults, numbers cast like the default.

    Raises:
        ConfigError: for an unknown kind or parameter.
    """
    if kind not in AUGMENTATIONS:
        raise ConfigError(unknown_name("augmentation", kind, AUGMENTATIONS))
    defaults = AUGMENTATIONS[kind]
    for name in options:
        if name not in defaults:
            raise ConfigError(unknown_name(f"parameter of augmentation {kind}", name, defaults))
    complete = {**defaults, **options}
    # 10 and 10.0 are one request.
    return {name: float(value) if isinstance(defaults[name], float) else value for name, value in complete.items()}


class TrainingProgress(Protocol):
    """What a training tells while it runs; exceptions raised here end it, and the last epoch is kept."""

    def on_wait(self, folder: Path) -> None:
        """Another process trains this model; told once, before waiting for it."""

    def on_batch(self, done: int, total: int) -> None:
        """`done` of the epoch's `total` batches are trained."""

    def on_epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        """Epoch `epoch` (from 1) of `epochs` is finished and kept; `metrics` as Keras names them."""


def training_asked(
    request: TrainingRequest, *, train_digest: str, validation_digest: str | None = None
) -> dict[str, Any]:
    """All that decides the weights of a trained model, as plain data; kept beside the model.

    The validation split counts only where early stopping looks at it.
    """
    stops_early = request.training.early_stopping is not None
    return {
        "version": TRAINING_VERSION,
        "request": asdict(request),
        "train": train_digest,
        "validation": validation_digest if stops_early else None,
    }


def training_fingerprint(request: TrainingRequest, *, train_digest: str, validation_digest: str | None = None) -> str:
    """SHA-256 (64 hex digits) of `training_asked`."""
    return fingerprint(training_asked(request, train_digest=train_digest, validation_digest=validation_digest))
