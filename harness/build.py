"""From the configuration to the values of the domain: the one place that knows both."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.checkpoint_source import CheckpointSource
from harness.config import Checkpoint, Config, ImageFolder, PolicyNode
from harness.datasets.registry import load_raw
from harness.datasets.splits import make_splits
from harness.errors import ConfigError, unknown_name
from harness.files import path_digest
from harness.model_source import ModelSource
from harness.models.registry import model_kinds
from harness.models.specs import TRAINING_DEFAULTS, TrainingRequest, TrainingSpec
from harness.policies.aggregation import aggregation
from harness.policies.policy import Policy, with_identity
from harness.trained_source import TrainedSource
from harness.transforms.registry import make_transform, transform_class
from harness.types import Dataset
from harness.views import IDENTITY, View, product, unique


def policies(config: Config) -> tuple[Policy, ...]:
    """The policies of a job, identity first.

    Raises:
        ConfigError: for a policy without views, an unknown transform or aggregation, or two policies of one name.
    """
    return with_identity(policy for name, node in config.tta.items() for policy in _policies(name, node))


def dataset(config: Config, *, input_size: tuple[int, int] | None) -> Dataset:
    """The data set with its splits; `input_size` (H, W) is the load size of a folder that names none.

    Without either, the folder's images must have one size.

    Raises:
        DataError: where the data are missing, damaged or cannot be split as asked.
    """
    node = config.dataset
    options = node.options()
    if isinstance(node, ImageFolder) and node.target_size is None:
        options["target_size"] = input_size
    return make_splits(
        load_raw(node.kind, options),
        validation_from=node.validation_from,
        validation_fraction=node.validation_fraction,
        seed=node.seed,
        limit_test=node.limit_test,
        trained_here=not isinstance(config.model, Checkpoint),
    )


def center_crop(config: Config) -> bool:
    """True where images larger than the model's input are meant to be: a load size was given, or it was said."""
    node = config.dataset
    return node.center_crop or (isinstance(node, ImageFolder) and node.target_size is not None)


def _policies(name: str, node: PolicyNode) -> list[Policy]:
    if bool(node.views) == bool(node.product):
        got = "both" if node.views else "neither"
        raise ConfigError(f"tta.{name}: expected either `views` or `product`, got {got}")
    try:
        if node.product:
            found = product([[view for item in factor for view in _views(item)] for factor in node.product])
        else:
            found = unique([view for item in node.views for view in _views(item)])
    except ConfigError as error:
        raise ConfigError(f"tta.{name}: {error}") from error
    names = [node.aggregation] if isinstance(node.aggregation, str) else list(node.aggregation)
    if not names or not found:
        raise ConfigError(f"tta.{name}: expected at least one view and one aggregation")
    for item in names:
        aggregation(item)
    if len(names) == 1:
        return [Policy(name, found, names[0])]
    return [Policy(f"{name}.{item}", found, item) for item in names]


def _views(item: Any) -> list[View]:
    """The views of one entry: a chain, or the copies of one that is random."""
    links = item if isinstance(item, Sequence) and not isinstance(item, str) else [item]
    if not links:
        raise ConfigError("a view is a chain of at least one transform, got an empty list; identity is spelt identity")
    copies = [link["copies"] for link in links if isinstance(link, Mapping) and "copies" in link]
    if not copies:
        return [_view(links, copy=None)]
    if any(type(number) is not int or number < 1 or number != copies[0] for number in copies):
        given = ", ".join(map(repr, copies))
        raise ConfigError(f"copies must be one whole number of 1 or more for a chain, got {given}")
    return [_view(links, copy=copy) for copy in range(copies[0])]


def _view(links: Sequence[Any], *, copy: int | None) -> View:
    transforms = []
    for link in links:
        if isinstance(link, str):
            kind, parameters = link, {}
        elif isinstance(link, Mapping) and "kind" in link:
            parameters = {key: value for key, value in link.items() if key not in ("kind", "copies")}
            kind = str(link["kind"])
            if "copies" in link:
                if "copy" not in {field.name for field in dataclasses.fields(transform_class(kind))}:
                    raise ConfigError(f"transform {kind} is not random and has no copies")
                parameters["copy"] = copy
        else:
            raise ConfigError(f"a transform is its kind or a mapping with `kind`, got {link!r}")
        if kind != "identity":
            transforms.append(make_transform(kind, parameters))
        elif parameters:
            raise ConfigError(f"identity takes no parameters, got {sorted(parameters)}")
    return View(tuple(transforms)) if transforms else IDENTITY


def model_source(config: Config, data: Dataset, *, path: Path | None) -> ModelSource:
    """Where the job's model comes from; `path` is the local file of a checkpoint (see `checkpoint_path`)."""
    root, node = Path(config.store), config.model
    if isinstance(node, Checkpoint):
        assert path is not None  # noqa: S101 - the caller has resolved it
        return CheckpointSource(
            path=path,
            label=node.path,
            digest=path_digest(path),
            trust=node.trust,
            preprocessing=node.preprocessing,
            output=node.output,
            dataset=data,
            center_crop=center_crop(config),
            root=root,
        )
    if node.kind not in model_kinds():
        raise ConfigError(unknown_name("model", node.kind, [*model_kinds(), "checkpoint"]))
    request = TrainingRequest(
        model=node.kind,
        model_options=node.arguments,
        input_shape=data.test.images.shape,
        num_classes=data.num_classes,
        training=training_spec(config),
        augmentation=config.augmentation.kind,
        augmentation_options=config.augmentation.arguments,
        seed=config.seed,
    )
    return TrainedSource(request, data, root)


def training_spec(config: Config) -> TrainingSpec:
    """How to train: what the configuration says, and the model's own default where it says nothing."""
    default = TRAINING_DEFAULTS.get(config.model.kind, TrainingSpec())
    given = {key: value for key, value in config.training.model_dump().items() if value is not None}
    return replace(default, **given)
