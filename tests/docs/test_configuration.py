"""The reference of the configuration says what the schema accepts, and leaves no key out."""

import pytest
from _site.configuration import arguments, configuration
from _site.schema import attributes, config_groups, node_classes, node_keys, values_text

from harness.config import Checkpoint, Config, DatasetNode, Evaluation, ImageFolder, Node, PolicyNode
from harness.datasets.registry import LOADERS
from harness.models.registry import MODELS
from harness.models.specs import AUGMENTATIONS

PAGE = configuration()
ROWS = {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in (
    line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")
)}  # fmt: skip
PREFIXES = {
    "Config": "", "DatasetNode": "dataset.", "EmbeddedDataset": "dataset.", "DownloadedDataset": "dataset.",
    "ImageFolder": "dataset.", "NpzDataset": "dataset.", "PluginDataset": "dataset.", "TrainedModelNode": "model.",
    "Checkpoint": "model.", "Training": "training.", "Augmentation": "augmentation.", "PolicyNode": "tta.NAME.",
    "Evaluation": "evaluation.", "Tracking": "tracking.",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(node_classes()) - {"Node"}))
def test_every_key_of_the_schema_is_on_the_page(name: str) -> None:
    """Each field of each node has a row with its dotted name, or its group has a section."""
    fields = set(node_classes()[name].model_fields) - {"kind"}
    groups = {field for field in fields if name == "Config" and field in config_groups()}
    assert {f"{PREFIXES[name]}{field}" for field in fields - groups} - set(ROWS) == set()
    assert {group for group in groups if f"## {group}\n" not in PAGE} == set()


@pytest.mark.parametrize("name", sorted(set(node_classes()) - {"Node"}))
def test_every_key_has_a_meaning(name: str) -> None:
    """The docstring of a node, or of one that it derives, explains each of its fields under `Attributes:`."""
    node = node_classes()[name]
    fields = set(node.model_fields) - {"kind"} - (set(config_groups()) - {"views"} if node is Config else set())
    assert fields - set(attributes(node)) == set()


@pytest.mark.parametrize(
    ("node", "field", "values", "default"),
    [
        (Evaluation, "level", "number > 0.5, < 1", "0.95"),
        (Evaluation, "criterion", "`nll_calibrated`, `nll`, `accuracy`", "nll_calibrated"),
        (Evaluation, "repeats", "integer ≥ 1, or `null`", "null"),
        (DatasetNode, "deny", "list of: text", "[]"),
        (DatasetNode, "center_crop", "`true`, `false`", "false"),
        (ImageFolder, "target_size", "list of 2: integer, or `null`", "null"),
        (ImageFolder, "path", "text", "required"),
        (Checkpoint, "preprocessing", "text, or mapping", "auto"),
        (PolicyNode, "views", "list", "[]"),
        (Config, "severity", "list of: integer ≥ 1, ≤ 5", "[1, 2, 3, 4, 5]"),
    ],
)
def test_values_and_defaults_in_words(node: type[Node], field: str, values: str, default: str) -> None:
    """Types, ranges, choices and defaults read as a person writes them in YAML."""
    (key,) = (key for key in node_keys(node, prefix="") if key.name == field)
    assert (key.values, key.default) == (values, default)


def test_the_meaning_is_that_of_the_docstring() -> None:
    """Folded lines are joined, names that share a text all get it, and None is called null."""
    assert ROWS["dataset.target_size"][2] == (
        "`[height, width]` that images are resized to; `null` is the checkpoint's input size."
    )
    assert {ROWS[f"evaluation.{name}"][2] for name in ("resamples", "level", "seed")} == {"of the paired bootstrap."}


def test_a_type_without_words_is_anything() -> None:
    """What the schema does not restrict is said to be anything."""
    assert values_text({}) == "anything"


def test_arguments_of_builders_are_read_from_their_source() -> None:
    """Keyword-only arguments with their defaults, those without one by name alone."""
    assert arguments("harness.models.small_cnn:build") == ["width: 32"]
    assert arguments("harness.models.keras_application:build")[:2] == ["name", "weights: null"]
    assert "| `keras_application` | `name`, `weights: null`, `fine_tune: all` |" in PAGE


@pytest.mark.parametrize("kind", [*LOADERS, *MODELS, *AUGMENTATIONS])
def test_every_kind_is_named(kind: str) -> None:
    """In the heading of its keys, or at the head of a row of its arguments."""
    headings = " ".join(line for line in PAGE.splitlines() if line.startswith("### "))
    assert kind in headings.replace(",", " ").replace("=", " ").split() or kind in ROWS
