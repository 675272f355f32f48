"""The page of what a notebook or another package imports, from docstrings."""

import importlib
from collections.abc import Mapping

MODULES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Results": {
        "harness.frames": ("load_records", "to_frame"),
        "harness.records": ("JobRecord", "PolicyRecord", "DatasetRecord", "SplitRecord", "ModelRecord", "Reliability"),
        "harness.selection": ("Recommendation",),
    },
    "A transform of your own": {
        "harness.transforms.base": ("Transform",),
        "harness.parameters": ("Range", "Parametrised"),
    },
    "An aggregation of your own": {
        "harness.policies.base": ("Aggregation", "Fitted", "Fixed"),
        "harness.policies.logits": ("ViewLogits",),
        "harness.policies.weighted": ("WeightedMean",),
        "harness.logspace": ("log_softmax",),
    },
    "A data set of your own": {
        "harness.datasets.raw": ("RawDataset", "RawSplit"),
        "harness.datasets.arrays": ("array_split",),
        "harness.datasets.registry": ("load_raw",),
        "harness.types": ("ImageSource", "ArrayImages"),
    },
    "A model of your own": {"harness.models.registry": ("build_model",)},
    "Errors": {
        "harness.errors": (
            "HarnessError",
            "ConfigError",
            "DataError",
            "ModelError",
            "StoreError",
            "TrainingError",
            "TrackingError",
        ),
    },
}
"""Heading, module, names: what a user or an author of another package meets. Everything else may change."""


def python() -> str:
    """Markdown: a section for each purpose, the documented names of each module."""
    parts = []
    for heading, modules in MODULES.items():
        parts.append(f"## {heading}")
        for module, names in modules.items():
            text = (importlib.import_module(module).__doc__ or "").split("\n")[0]
            parts += [f"### {module}", text, _documented(module, names)]
    return "\n\n".join(parts)


def _documented(module: str, names: tuple[str, ...]) -> str:
    found = vars(importlib.import_module(module))
    directives = [
        f".. auto{'class' if isinstance(found[name], type) else 'function'}:: {module}.{name}" for name in names
    ]
    return "\n".join(["```{eval-rst}", *directives, "```"])
