"""`harness list`: what there is, a line each."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from harness.config import choices, conf_folder, user_folders
from harness.json_output import print_json
from harness.terminal import folded, is_narrow

WIDTH = 22  # of the column of names, at least


def main(options: argparse.Namespace, overrides: Sequence[str]) -> int:  # noqa: ARG001
    """Prints names with a few words each; 0."""
    listings = [options.what] if options.what else list(LISTINGS)
    if options.json:
        found = {what: [{"name": name, "text": text} for name, text in LISTINGS[what]()] for what in listings}
        print_json(found[options.what] if options.what else found)
        return 0
    for what in listings:
        if not options.what:
            print(f"{what}:")
        print("\n".join(_lines(LISTINGS[what](), indent="" if options.what else "  ")))
    return 0


def _lines(found: Sequence[tuple[str, str]], *, indent: str) -> list[str]:
    """A line each; on a narrow terminal what is said of a name stands below it."""
    names = max([WIDTH, *(len(name) for name, _ in found)])
    if is_narrow(2 * names):
        return [
            line for name, text in found for line in folded([indent + name, f"{indent}  {text}".rstrip()], indent=4)
        ]
    lines = [f"{indent}{name:<{names}} {text}".rstrip() for name, text in found]
    return folded(lines, indent=len(indent) + names + 1)


def _group(group: str) -> list[tuple[str, str]]:
    return [(name, _summary(group, name)) for name in choices(group)]


def _policies() -> list[tuple[str, str]]:
    return [(name, text) for name, text in _group("tta") if not name.startswith("suite/")]


def _suites() -> list[tuple[str, str]]:
    return [(name, text) for name, text in _group("tta") if name.startswith("suite/")]


def _transforms() -> list[tuple[str, str]]:
    from harness.transforms.registry import describe

    return [(kind, f"{parameters}{'  (RGB only)' if rgb else ''}") for kind, parameters, rgb in describe()]


def _aggregations() -> list[tuple[str, str]]:
    from harness.policies.registry import describe

    return [
        (one.kind, f"{one.nature:<8} {one.summary}{f'  ({one.parameters})' if one.parameters else ''}")
        for one in describe()
    ]


def _corruptions() -> list[tuple[str, str]]:
    from harness.corruptions.registry import DISTORTIONS

    # What they take and give is for who reads the code.
    texts = {name: (distort.__doc__ or "").strip().split("\n")[0] for name, distort in DISTORTIONS.items()}
    return [
        (name, text.removeprefix("Images `[n, h, w, channels]` uint8").lstrip(": ")) for name, text in texts.items()
    ]


LISTINGS: dict[str, Callable[[], list[tuple[str, str]]]] = {
    "datasets": lambda: _group("dataset"),
    "models": lambda: _group("model"),
    "augmentations": lambda: _group("augmentation"),
    "transforms": _transforms,
    "aggregations": _aggregations,
    "corruptions": _corruptions,
    "views": lambda: _group("views"),
    "policies": _policies,
    "suites": _suites,
}


def _summary(group: str, name: str) -> str:
    """A choice's first comment, else its top-level values."""
    file = next(path for folder in [*user_folders(), conf_folder()] if (path := _file(folder, group, name)).is_file())
    text = file.read_text(encoding="utf-8")
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#") and "@package" not in line]
    if comments:
        return comments[0]
    if group == "tta":
        return ""
    try:
        return str(yaml.safe_load(text).get("kind", ""))
    except (yaml.YAMLError, AttributeError):
        return "(not a YAML mapping)"


def _file(folder: Path, group: str, name: str) -> Path:
    return folder / group / f"{name}.yaml"
