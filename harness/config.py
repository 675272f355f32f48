"""The typed configuration: Hydra composes YAML, this turns it into one frozen tree, which is data and never code.

Nothing below this module sees Hydra or OmegaConf, and nothing here imports TensorFlow.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from harness.errors import ConfigError


class Node(BaseModel):
    """A frozen node of the tree that refuses unknown keys and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class DatasetNode(Node):
    """What all data sets share.

    Attributes:
        validation_from: where validation images come from; `auto` is the source's own validation split, else `train`
            for a model trained here, else (a checkpoint may have seen the training images) half of `test`.
        validation_fraction: share of train that becomes validation.
        train_fraction: share of the train images that is trained on, for learning curves; a smaller one is part of a
            larger one.
        seed: of the splitting, apart from the job's seed, so that all seeds share their splits.
        limit_test: a stratified subset of so many test images, for quick looks.
        center_crop: evaluate the centre of images that are larger than the model's input.
        deny: transforms that change what an image shows (a mirrored 2 is no 2); policies that use one are left out.
    """

    validation_from: Literal["auto", "source", "train", "test"] = "auto"
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 0
    limit_test: Annotated[int, Field(gt=0)] | None = None
    center_crop: bool = False
    deny: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """What the loader of this kind takes."""
        return self.model_dump(exclude={*DatasetNode.model_fields, "kind"})


class EmbeddedDataset(DatasetNode):
    """A data set that comes along with the package or a library."""

    kind: Literal["fashion_mini", "digits"]


class DownloadedDataset(DatasetNode):
    """A data set in its official format.

    Attributes:
        path: folder of the official files; None looks in the Keras cache, then has Keras download them.
    """

    kind: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"]
    path: str | None = None


class ImageFolder(DatasetNode):
    """One folder per class, or train/validation/test trees of those.

    Attributes:
        path: the folder.
        target_size: `[height, width]` that images are resized to; None is the checkpoint's input size.
        color_mode: how files are read.
        class_mode: `binary` wants exactly two classes; the numbers are the same under all three.
        classes: class folders in label order; None is all of them, sorted.
        validation_split: share of each class that becomes validation.
        split_rule: `stratified` draws with `seed`; `keras` takes the head of each class's sorted files.
        test_split: share of each class that becomes test where there is no `test/` folder; None is 0.2.
        interpolation: of resizing; `nearest` is what older Keras generators did by default.
        on_bad_image: whether a damaged file ends the job or is left out and listed.
    """

    kind: Literal["image_folder"]
    path: str
    target_size: tuple[int, int] | None = None
    color_mode: Literal["rgb", "grayscale"] = "rgb"
    class_mode: Literal["categorical", "binary", "sparse"] = "categorical"
    classes: tuple[str, ...] | None = None
    validation_split: Annotated[float, Field(ge=0, lt=1)] = 0.0
    split_rule: Literal["stratified", "keras"] = "stratified"
    test_split: Annotated[float, Field(gt=0, lt=1)] | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = "bilinear"
    on_bad_image: Literal["error", "skip"] = "error"

    def options(self) -> dict[str, Any]:
        """What the loader takes; it divides by the seed itself."""
        return {**super().options(), "seed": self.seed}


class NpzDataset(DatasetNode):
    """Arrays from one file.

    Attributes:
        path: the `.npz` file.
        keys: what the arrays are called in it, where they are called otherwise: `{x_test: images, y_test: labels}`.
        class_names: names in label order; None is the numbers.
    """

    kind: Literal["npz"]
    path: str
    keys: Mapping[Literal["x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test"], str] = {}
    class_names: tuple[str, ...] | None = None

    def options(self) -> dict[str, Any]:
        """What the loader takes: each key as an option."""
        return {
            "path": self.path,
            "class_names": self.class_names,
            **{str(key): name for key, name in self.keys.items()},
        }


class PluginDataset(DatasetNode):
    """A data set from another package, found by its entry point.

    Attributes:
        arguments: keyword arguments of its loader.
    """

    kind: str
    arguments: Mapping[str, Any] = {}

    def options(self) -> dict[str, Any]:
        """What the loader of this kind takes."""
        return dict(self.arguments)


class TrainedModelNode(Node):
    """A model that is trained here.

    Attributes:
        arguments: keyword arguments of its builder.
    """

    kind: str
    arguments: Mapping[str, Any] = {}


class Checkpoint(Node):
    """A model that somebody has trained.

    Attributes:
        path: `.keras`, `.h5`, a SavedModel folder, `models:/name/version` or `runs:/id/path`.
        trust: load it although it holds code.
        preprocessing: `auto`, a mode (`none`, `unit`, `tf`, `torch`, `caffe`), a family of keras.applications, or
            `{scale, mean, std, channel_order}`.
        output: what its last layer gives.
    """

    kind: Literal["checkpoint"]
    path: str
    trust: bool = False
    preprocessing: str | Mapping[str, Any] = "auto"
    output: Literal["auto", "logits", "probs"] = "auto"


class Training(Node):
    """How a model is trained; None is the model's own default.

    Attributes:
        epochs: passes over the training images; 0 leaves the model as it was built.
        batch_size: images of a step.
        learning_rate: of the first step, with Adam.
        schedule: `cosine` goes down to zero over all steps.
        early_stopping: stop after so many epochs without a lower validation loss, and keep the best epoch's weights.
        deterministic: the same request gives the same bits on the same machine.
    """

    epochs: Annotated[int, Field(ge=0)] | None = None
    batch_size: Annotated[int, Field(gt=0)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    schedule: Literal["constant", "cosine"] | None = None
    early_stopping: Annotated[int, Field(gt=0)] | None = None
    deterministic: bool = True


class Augmentation(Node):
    """Random copies at training time.

    Attributes:
        arguments: its parameters.
    """

    kind: str = "none"
    arguments: Mapping[str, Any] = {}


class PolicyNode(Node):
    """One policy, or one for each aggregation where several are given.

    Attributes:
        views: chains of transforms; a chain is one transform or a list of them, a transform its kind or a mapping with
            `kind`, its parameters, and `copies` for a random one.
        product: factors of such chains; every combination is a view, the identity included in each factor.
        aggregation: one or several, each a kind or a mapping with `kind` and its parameters.
        view_seeds: a policy for each of these seeds of its random transforms; how far they lie apart is reported.
        up_to: with a number k, every subset of up to k of the views is a policy that is looked at: a table of all of
            them, and the best of each size as a policy chosen on validation.
    """

    views: tuple[Any, ...] = ()
    product: tuple[tuple[Any, ...], ...] = ()
    aggregation: str | Mapping[str, Any] | tuple[str | Mapping[str, Any], ...] = "mean_probs"
    view_seeds: tuple[Annotated[int, Field(ge=0, lt=2**24)], ...] = ()
    up_to: Annotated[int, Field(ge=1)] | None = None


class Evaluation(Node):
    """How policies are compared.

    Attributes:
        criterion: what is best on validation is recommended.
        folds: of validation; policies are chosen by predictions for folds that their fit had not seen.
        repeats: how often validation is divided; None is 5 times below 2,000 examples, else once.
        miscoverage: conformal sets miss the label with at most this probability.
        randomised: whether conformal sets are.
        resamples, level, seed: of the paired bootstrap.
    """

    criterion: Literal["nll_calibrated", "nll", "accuracy"] = "nll_calibrated"
    folds: Annotated[int, Field(ge=2)] = 5
    repeats: Annotated[int, Field(ge=1)] | None = None
    miscoverage: Annotated[float, Field(gt=0, lt=1)] = 0.1
    randomised: bool = False
    resamples: Annotated[int, Field(ge=100)] = 2000
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seed: Annotated[int, Field(ge=0)] = 0


class Tracking(Node):
    """What MLflow is told, and where it listens.

    Attributes:
        enabled: whether a job is logged.
        uri: None is MLFLOW_TRACKING_URI, else `mlflow.db` in the working directory.
        experiment: its name; made where it is missing.
        arrange: give the experiment saved views, a description and a primary metric for MLflow's UI.
        child_runs: so many of a job's policies get a run of their own, the best of the leaderboard, and always identity
            and the chosen one; the leaderboard holds all.
    """

    enabled: bool = True
    uri: str | None = None
    experiment: str = "tta"
    arrange: bool = True
    child_runs: Annotated[int, Field(ge=0)] = 200


def _kind_of(known: Sequence[str]) -> Any:
    def kind(value: Any) -> str:
        name = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
        return str(name) if name in known else "other"

    return Discriminator(kind)


AnyDataset = Annotated[
    Annotated[EmbeddedDataset, Tag("fashion_mini")]
    | Annotated[EmbeddedDataset, Tag("digits")]
    | Annotated[DownloadedDataset, Tag("mnist")]
    | Annotated[DownloadedDataset, Tag("fashion_mnist")]
    | Annotated[DownloadedDataset, Tag("cifar10")]
    | Annotated[DownloadedDataset, Tag("cifar100")]
    | Annotated[ImageFolder, Tag("image_folder")]
    | Annotated[NpzDataset, Tag("npz")]
    | Annotated[PluginDataset, Tag("other")],
    _kind_of(("fashion_mini", "digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "image_folder", "npz")),
]
AnyModel = Annotated[
    Annotated[Checkpoint, Tag("checkpoint")] | Annotated[TrainedModelNode, Tag("other")],
    _kind_of(("checkpoint",)),
]


def _several(value: Any) -> Any:
    """`all` or a single severity as the list that it means."""
    return (1, 2, 3, 4, 5) if value == "all" else value if isinstance(value, list | tuple) else (value,)


Severities = Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1), BeforeValidator(_several)]


class Config(Node):
    """One job: one data set, one model, one seed, a list of policies.

    Attributes:
        views: named lists, which policies refer to as `${views.NAME}`.
        engine: `exact` gives the bits of `model.predict`; `fast` folds BatchNormalization, which rounds differently.
        batch_size: of forward passes; None chooses by the input size.
        seed: of training: initial weights, order of the images, augmentation, dropout.
        corruption: a name, several, or `all`: corrupted copies of test that the same policies are judged on.
        severity: of the corruptions: 1 to 5, several, or `all`.
        corruption_path: the official CIFAR-10-C arrays or ImageNet-C folders, read instead of making them.
        question: what the job is to answer; stands in its record, its MLflow note and its report.
        study: NAME also reads `experiments/NAME/config.yaml`, and tags the job.
        store: models and logits, a cache that several projects can share; HARNESS_STORE names another one.
        output: one folder a job: the record that MLflow is written from.
    """

    dataset: AnyDataset
    model: AnyModel
    training: Training = Training()
    augmentation: Augmentation = Augmentation()
    views: Mapping[str, tuple[Any, ...]] = {}
    tta: Mapping[str, PolicyNode]
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()
    engine: Literal["exact", "fast"] = "exact"
    batch_size: Annotated[int, Field(gt=0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    corruption: str | tuple[str, ...] | None = None
    severity: Severities = (1, 2, 3, 4, 5)
    corruption_path: str | None = None
    question: str = "Which TTA policy should I ship, is the gain real, what does it cost?"
    study: str | None = None
    store: str = ".harness/store"
    output: str = "results"


NODES: Mapping[str, tuple[type[Node], ...]] = {
    "dataset": (EmbeddedDataset, DownloadedDataset, ImageFolder, NpzDataset, PluginDataset),
    "model": (TrainedModelNode, Checkpoint),
    "training": (Training,),
    "augmentation": (Augmentation,),
    "evaluation": (Evaluation,),
    "tracking": (Tracking,),
}
"""The groups whose keys an override can name below them, and the nodes that they can be."""


def parse(tree: Mapping[str, Any]) -> Config:
    """The frozen tree of plain data.

    Raises:
        ConfigError: for a missing, unknown or wrong value: one line with the key, what came and what is expected.
    """
    try:
        return Config.model_validate(tree)
    except pydantic.ValidationError as error:
        raise ConfigError("; ".join(_explain(item) for item in error.errors()[:3])) from error


def _explain(item: Any) -> str:
    # Tags of the unions stand in the location and are no keys of the user's.
    parts = [str(part) for part in item["loc"]]
    if len(parts) > 1 and parts[0] in ("dataset", "model"):
        del parts[1]
    key = ".".join(parts)
    if item["type"] == "extra_forbidden":
        return unknown_key(key)
    if item["type"] == "missing":
        return f"missing value: {key} (give it as {key}=…)"
    return f"{key}={item['input']!r}: {item['msg'][0].lower()}{item['msg'][1:]}"


def unknown_key(key: str) -> str:
    """One line for a key that nothing reads, with the nearest known ones."""
    near = difflib.get_close_matches(key, _known_keys(key), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown key {key!r}: {hint}`harness run --cfg` shows the keys"


def _known_keys(key: str) -> list[str]:
    """All dotted keys; below `tta` those of the policy that `key` names, and of ours."""
    policies = [*choices("tta"), *key.split(".")[1:2]]
    keys = {f"tta.{policy}.{name}" for policy in policies for name in PolicyNode.model_fields}
    keys |= {f"{group}.{name}" for group, kinds in NODES.items() for kind in kinds for name in kind.model_fields}
    return sorted(keys | set(Config.model_fields))


def conf_folder() -> Path:
    """The folder of the YAML files: inside the installed package, or at the top of a checkout."""
    inside = Path(__file__).parent / "conf"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "conf"


def user_folders() -> list[Path]:
    """The user's own `conf/` and `experiments/` in the working directory, where they exist and are not ours."""
    found = [Path.cwd() / name for name in ("conf", "experiments")]
    return [path for path in found if path.is_dir() and path.resolve() != conf_folder().resolve()]


def choices(group: str) -> list[str]:
    """The names that a config group offers, the user's own included."""
    folders = [*user_folders(), conf_folder()]
    files = {file.relative_to(folder / group) for folder in folders for file in (folder / group).rglob("*.yaml")}
    return sorted(file.with_suffix("").as_posix() for file in files)
