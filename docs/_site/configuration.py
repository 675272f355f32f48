"""The page of every key of the configuration."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from _site.markdown import code, table
from _site.schema import REQUIRED, Key, attributes, node_keys, yaml_text
from harness import config
from harness.models.registry import MODELS as BUILDERS
from harness.models.specs import AUGMENTATIONS, TRAINING_DEFAULTS

DATASETS: Mapping[str, type[config.Node]] = {
    "dataset=fashion_mini, digits": config.EmbeddedDataset,
    "dataset=mnist, fashion_mnist, cifar10, cifar100": config.DownloadedDataset,
    "dataset=image_folder": config.ImageFolder,
    "dataset=npz": config.NpzDataset,
    "data sets of other packages": config.PluginDataset,
}
MODELS: Mapping[str, type[config.Node]] = {
    "model=checkpoint": config.Checkpoint,
    "model=small_cnn, tutorial_cnn, resnet20, keras_application, and those of other packages": config.TrainedModelNode,
}


def configuration() -> str:
    """Markdown: a section for the top level and each group, a table of keys in each."""
    parts = ["## Top level", _table(node_keys(config.Config, prefix="")), "## dataset", "All data sets have these."]
    shared = tuple(config.DatasetNode.model_fields)
    parts += [_table(node_keys(config.DatasetNode, prefix="dataset"))]
    parts += _kinds("dataset", DATASETS, without=(*shared, "kind"))
    parts += ["## model", *_kinds("model", MODELS, without=("kind",))]
    parts += ["The arguments of each builder:", _builders()]
    parts += ["## training", _table(node_keys(config.Training, prefix="training"))]
    parts += ["What `null` means for each model:", _defaults(TRAINING_DEFAULTS, fields=config.Training.model_fields)]
    parts += ["## augmentation", _table(node_keys(config.Augmentation, prefix="augmentation", without=("kind",)))]
    parts += ["The parameters of each kind:", _augmentations()]
    parts += ["## views", f"Mapping from name to list of views: {attributes(config.Config)['views']}"]
    parts += ["## tta", "`tta=NAME` chooses policies by name, and `tta.NAME` holds the keys of the policy NAME."]
    parts += [_table(node_keys(config.PolicyNode, prefix="tta.NAME"))]
    parts += ["## evaluation", _table(node_keys(config.Evaluation, prefix="evaluation"))]
    parts += ["## tracking", _table(node_keys(config.Tracking, prefix="tracking"))]
    return "\n\n".join(parts)


def _table(keys: Iterable[Key]) -> str:
    rows = [
        (code(key.name), key.values, key.default if key.default == REQUIRED else code(key.default), key.meaning)
        for key in keys
    ]
    return table(("key", "values", "default", "meaning"), rows)


def _kinds(group: str, kinds: Mapping[str, type[config.Node]], *, without: tuple[str, ...]) -> list[str]:
    parts = []
    for heading, node in kinds.items():
        keys = node_keys(node, prefix=group, without=without)
        summary = (node.__doc__ or "").split("\n")[0]
        parts += [f"### {heading}", summary, _table(keys) if keys else "No further keys."]
    return parts


def _defaults(defaults: Mapping[str, Any], *, fields: Iterable[str]) -> str:
    names = [name for name in fields if name != "deterministic"]
    rows = [
        (code(kind), *(code(yaml_text(getattr(given, name))) for name in names)) for kind, given in defaults.items()
    ]
    return table(("model", *names), rows)


def _builders() -> str:
    rows = [(code(kind), ", ".join(map(code, arguments(place))) or "none") for kind, place in BUILDERS.items()]
    return table(("model", "`model.arguments`, with defaults"), rows)


def arguments(place: str) -> list[str]:
    """The keyword-only arguments of a builder, `module:function`, from its source: to import it loads TensorFlow."""
    module, _, function = place.partition(":")
    file = Path(config.__file__).parent.parent.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (found,) = (one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == function)
    pairs = zip(found.args.kwonlyargs, found.args.kw_defaults, strict=True)
    return [f"{one.arg}: {_literal(default)}" if default else one.arg for one, default in pairs]


def _literal(default: ast.expr) -> str:
    return yaml_text(ast.literal_eval(default))


def _augmentations() -> str:
    rows = [
        (code(kind), ", ".join(code(f"{name}: {yaml_text(value)}") for name, value in given.items()) or "none")
        for kind, given in AUGMENTATIONS.items()
    ]
    return table(("augmentation", "`augmentation.arguments`, with defaults"), rows)
