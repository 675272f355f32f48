"""What can stand where an override is being typed: keys of the configuration, choices of a group, values, paths."""

import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from harness.config import NODES, Config, PolicyNode, choices, user_folders

GROUPS = ("dataset", "model", "training", "augmentation", "views", "tta", "evaluation", "tracking")
PATHS = ("path", "store", "output")
SEVERITIES = ("1", "2", "3", "4", "5", "all")


def candidates(prefix: str, others: Sequence[str]) -> list[str]:
    """Whole words that begin with what has been typed of one, `prefix`; `others` are the line's other words."""
    key, equals, value = prefix.partition("=")
    plus = key[: len(key) - len(key.lstrip("+"))]
    if not equals:
        return [plus + word for word in _keys(key.lstrip("+"), others) if word.startswith(key.lstrip("+"))]
    if key.rpartition(".")[2] in PATHS:
        return [f"{key}={path}" for path in _paths(value)]
    return [f"{key}={word}" for word in _values(key.lstrip("+"), value)]


def _keys(prefix: str, others: Sequence[str]) -> list[str]:
    """With nothing typed the keys at the top; after that all that are nested, and those of policies below `tta.`."""
    top = [f"{name}=" for name in Config.model_fields]
    if not prefix:
        return top
    nested = [f"{group}.{name}=" for group, nodes in NODES.items() for node in nodes for name in node.model_fields]
    found = [*top, *dict.fromkeys(nested)]
    if prefix.startswith("tta."):
        found += [f"tta.{policy}.{name}=" for policy in _policies(others) for name in PolicyNode.model_fields]
    return found


def _policies(others: Sequence[str]) -> list[str]:
    """The policies that the line names, else all there are."""
    named = [name for word in others if word.startswith("tta=") for name in word[4:].strip("[]").split(",")]
    known = [name for name in choices("tta") if not name.startswith("suite/")]
    return [name for name in named if name in known] or known


def _values(key: str, value: str) -> list[str]:
    """Completions of a value: of the last entry where it is a list, `[a,b`, or one for a sweep, `a,b`."""
    before, comma, last = value.rpartition(",")
    opened = value.startswith("[")
    head = f"{before}," if comma else "[" if opened else ""
    last = last if comma else value.removeprefix("[")
    names = [name for name in _names(key) if name.startswith(last)]
    # Two ways to go on, so that no shell adds a blank within the list.
    return [f"{head}{name}{end}" for name in names for end in ((",", "]") if opened else ("",))]


def _names(key: str) -> Iterable[str]:
    if key in GROUPS:
        return choices(key)
    if key == "corruption":
        from harness.corruptions.registry import CORRUPTIONS

        return [*CORRUPTIONS, "all"]
    if key == "severity":
        return SEVERITIES
    if key == "study":
        folders = [folder for folder in user_folders() if folder.name == "experiments"]
        return sorted(path.name for folder in folders for path in folder.iterdir() if path.is_dir())
    return _literals(key)


def _literals(key: str) -> list[str]:
    """The values of a key that takes one of a few."""
    group, _, name = key.rpartition(".")
    nodes = NODES.get(group, ()) if group else (Config,)
    fields = [node.model_fields[name].annotation for node in nodes if name in node.model_fields and name != "kind"]
    return list(dict.fromkeys(value for annotation in fields for value in _of(annotation)))


def _of(annotation: Any) -> list[str]:
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return [value for one in get_args(annotation) for value in _of(one)]
    return []


def _paths(value: str) -> list[str]:
    """Files and folders that begin so; a folder ends in `/`, so that one can go on."""
    folder, _, name = value.rpartition("/")
    base = Path(f"{folder}/" if "/" in value else ".").expanduser()
    head = f"{folder}/" if "/" in value else ""
    try:
        found = sorted(path for path in base.iterdir() if path.name.startswith(name))
    except OSError:
        return []
    hidden = name.startswith(".")
    return [
        f"{head}{path.name}{'/' if path.is_dir() else ''}" for path in found if hidden or not path.name.startswith(".")
    ]
