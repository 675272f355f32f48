"""From the configuration to the values of the domain: the one place that knows both."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.checkpoint_source import CheckpointSource
from harness.config import Checkpoint, Config, ImageFolder, PolicyNode
from harness.corruptions.registry import CORRUPTIONS, make_corruption
from harness.datasets.corrupted import corrupt
from harness.datasets.corruption_arrays import official_split
from harness.datasets.registry import load_raw
from harness.datasets.splits import make_splits
from harness.errors import ConfigError, unknown_name
from harness.files import path_digest
from harness.model_source import ModelSource
from harness.models.registry import model_kinds
from harness.models.specs import TRAINING_DEFAULTS, TrainingRequest, TrainingSpec
from harness.policies.base import Aggregation
from harness.policies.best_subset import BestSubset
from harness.policies.linear_temperatures import Criterion
from harness.policies.policy import Policy, with_identity
from harness.policies.registry import make_aggregation
from harness.policies.subsets import subsets
from harness.trained_source import TrainedSource
from harness.transforms.random import RandomTransform, is_random
from harness.transforms.registry import make_transform, transform_class
from harness.types import Dataset, Split
from harness.views import IDENTITY, View, product, unique

MOST_COPIES = 1000
"""Random copies of one view: each is a forward pass over every split."""


def policies(config: Config) -> tuple[tuple[Policy, ...], tuple[str, ...]]:
    """The policies of a job, identity first, and a sentence for each that the data set's deny list leaves out.

    Raises:
        ConfigError: for a policy without views, an unknown transform or aggregation, or two policies of one name.
    """
    kept, notes = [], []
    for kind in config.dataset.deny:
        transform_class(kind)
    for policy in (policy for name, node in config.tta.items() for policy in _policies(name, node, config)):
        used = {transform.kind for view in policy.views for transform in view.transforms}
        denied = sorted(used & set(config.dataset.deny))
        if denied:
            notes.append(
                f"policy {policy.name} left out: dataset.deny names {', '.join(denied)} (dataset.deny=[] allows it)"
            )
        else:
            kept.append(policy)
    return with_identity(kept), tuple(notes)


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
    found = make_splits(
        load_raw(node.kind, options),
        validation_from=node.validation_from,
        validation_fraction=node.validation_fraction,
        train_fraction=node.train_fraction,
        seed=node.seed,
        limit_test=node.limit_test,
        trained_here=not isinstance(config.model, Checkpoint),
    )
    return replace(found, slices=tuple(_slice(config, found, *cell) for cell in corruptions(config)))


def corruptions(config: Config) -> list[tuple[str, int]]:
    """The corruptions and severities that test is judged under as well, in the published order.

    Raises:
        ConfigError: for an unknown corruption.
    """
    asked = config.corruption
    names = () if asked is None else CORRUPTIONS if asked == "all" else (asked,) if isinstance(asked, str) else asked
    cells = dict.fromkeys((name, severity) for name in names for severity in config.severity)
    for name, severity in cells:
        make_corruption(name, severity)
    return list(cells)


def _slice(config: Config, found: Dataset, corruption: str, severity: int) -> Split:
    if config.corruption_path is None:
        return corrupt(found.test, corruption, severity, seed=config.dataset.seed)
    return official_split(found.test, config.corruption_path, corruption, severity)


def center_crop(config: Config) -> bool:
    """True where images larger than the model's input are meant to be: a load size was given, or it was said."""
    node = config.dataset
    return node.center_crop or (isinstance(node, ImageFolder) and node.target_size is not None)


def _policies(name: str, node: PolicyNode, config: Config) -> list[Policy]:
    if bool(node.views) == bool(node.product):
        got = "both" if node.views else "neither"
        # A key of a misspelt policy makes a new one without views.
        near = difflib.get_close_matches(name, set(config.tta) - {name}, n=1) if got == "neither" else []
        hint = f"; did you mean tta.{near[0]}?" if near else ""
        raise ConfigError(f"tta.{name}: expected either `views` or `product`, got {got}{hint}")
    try:
        if node.product:
            found = product([[view for item in factor for view in _views(item)] for factor in node.product])
        else:
            found = unique([view for item in node.views for view in _views(item)])
    except ConfigError as error:
        raise ConfigError(f"tta.{name}: {error}") from error
    aggregations = _aggregations(name, node, views=len(found), criterion=config.evaluation.criterion)
    if not found:
        raise ConfigError(f"tta.{name}: expected at least one view")
    return [
        Policy(f"{title}{seed_suffix}", views, one)
        for seed_suffix, views in _seeded(name, found, node.view_seeds)
        for title, one in zip(_titles(name, node, aggregations), aggregations, strict=True)
    ]


def _titles(name: str, node: PolicyNode, aggregations: Sequence[Aggregation]) -> list[str]:
    """The policies' names: the entry's, and where it has several aggregations, what tells them apart.

    An entry called as its aggregation is not named twice: `gps(5)` rather than `gps.gps(5)`.
    """
    if node.up_to is not None:
        return [f"{name}.{size}" for size in range(1, len(aggregations) + 1)]
    if len(aggregations) == 1:
        return [name]
    return [one.label() if one.kind == name else f"{name}.{one.label()}" for one in aggregations]


def _aggregations(name: str, node: PolicyNode, *, views: int, criterion: Criterion) -> list[Aggregation]:
    """The aggregations that a policy's entry asks for; with `up_to`, the best subset of each size.

    Raises:
        ConfigError: for none, an unknown one, or wrong parameters.
    """
    if node.up_to is not None:
        if node.aggregation != PolicyNode.model_fields["aggregation"].default:
            raise ConfigError(f"tta.{name}: up_to tries the mean of probabilities and of logits; leave aggregation out")
        up_to = min(node.up_to, views)
        subsets(views, up_to=up_to)  # refuses too many before anything is trained
        return [BestSubset(size, criterion) for size in range(1, up_to + 1)]
    given = node.aggregation if isinstance(node.aggregation, tuple) else (node.aggregation,)
    if not given:
        raise ConfigError(f"tta.{name}: expected at least one aggregation")
    try:
        return [_aggregation(item) for item in given]
    except ConfigError as error:
        raise ConfigError(f"tta.{name}: {error}") from error


def _aggregation(item: str | Mapping[str, Any]) -> Aggregation:
    if isinstance(item, str):
        return make_aggregation(item, {})
    if "kind" not in item:
        raise ConfigError(f"an aggregation is its kind or a mapping with `kind`, got {dict(item)!r}")
    return make_aggregation(str(item["kind"]), {key: value for key, value in item.items() if key != "kind"})


def _seeded(name: str, views: tuple[View, ...], seeds: tuple[int, ...]) -> list[tuple[str, tuple[View, ...]]]:
    """The views as they are, or once for each seed with that seed in every random transform."""
    if not seeds:
        return [("", views)]
    if not any(is_random(transform) for view in views for transform in view.transforms):
        raise ConfigError(f"tta.{name}: view_seeds needs a random transform, and none of its views has one")
    return [(f".seed{seed}", tuple(_with_seed(view, seed) for view in views)) for seed in seeds]


def _with_seed(view: View, seed: int) -> View:
    # Each link of a chain keeps its distance from the first, so that no two draw the same numbers.
    return View(
        tuple(
            replace(transform, seed=((seed << 8) + transform.seed) % 2**32) if is_random(transform) else transform
            for transform in view.transforms
        )
    )


def _views(item: Any) -> list[View]:
    """The views of one entry: a chain, or the copies of one that is random."""
    links = item if isinstance(item, Sequence) and not isinstance(item, str) else [item]
    if not links:
        raise ConfigError("a view is a chain of at least one transform, got an empty list; identity is spelt identity")
    copies = [link["copies"] for link in links if isinstance(link, Mapping) and "copies" in link]
    if not copies:
        return [_view(links, copy=None)]
    if set(copies) == {"all"}:
        return _outcomes(_view(links, copy=0))
    if any(type(number) is not int or number < 1 or number != copies[0] for number in copies):
        given = ", ".join(map(repr, copies))
        raise ConfigError(f"copies must be one whole number of 1 or more for a chain, or `all`, got {given}")
    if copies[0] > MOST_COPIES:
        raise ConfigError(f"copies must be at most {MOST_COPIES:,}, got {copies[0]:,}: each copy is a forward pass")
    return [_view(links, copy=copy) for copy in range(copies[0])]


def _outcomes(view: View) -> list[View]:
    sizes = [len(link.support() or ()) for link in view.transforms if is_random(link)]
    if math.prod(sizes) > MOST_COPIES:
        raise ConfigError(f"copies: all of {view.name} are {math.prod(sizes):,} views, at most {MOST_COPIES:,} may be")
    found = view.outcomes()
    if found is None:
        raise ConfigError(f"copies: all needs finitely many outcomes, and {view.name} has infinitely many")
    return list(found)


def _view(links: Sequence[Any], *, copy: int | None) -> View:
    transforms = []
    for link in links:
        if isinstance(link, str):
            kind, parameters = link, {}
        elif isinstance(link, Mapping) and "kind" in link:
            parameters = {key: value for key, value in link.items() if key not in ("kind", "copies")}
            kind = str(link["kind"])
            if "copies" in link:
                if RandomTransform not in transform_class(kind).__mro__:
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
