"""The configuration of a finished job, read to be run again: data, never code, and it does not say where is written.

It may come from a stranger's tracking server. It is plain YAML (no tags, no references), parsed by the strict schema
that every command line passes. Where files go and which tracker is asked come from the user alone, and so does trust
in a model that holds code.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.config import Config, parse
from harness.dotted_keys import leaves
from harness.errors import ConfigError

GIVEN = ("dataset.path", "corruption_path", "model.path", "model.trust")
"""What may be said anew, because it is another on another machine; the numbers show whether it is the same data."""

OURS = ("tracking.uri", "store", "output")
"""What is always the user's: never read from the job."""

ABSENT = "absent"


class _PlainLoader(yaml.SafeLoader):
    """YAML without references, which could blow a few lines up to more than the memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("references (*name) are not allowed here")
        return super().compose_node(parent, index)


def read_tree(text: str) -> dict[str, Any]:
    """The tree of a `config.yaml` as it was written.

    Raises:
        ConfigError: for anything that is not one plain mapping, e.g. YAML with tags of Python objects.
    """
    try:
        tree = yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"the job's configuration is no plain YAML and is not read: {reason}") from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigError("the job's configuration is no mapping of keys to values and is not read")
    if any(_is_control(letter) for text in _texts(tree) for letter in text):
        raise ConfigError("the job's configuration holds control characters, which no name has, and is not read")
    return tree


def checked_overrides(overrides: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Overrides by key of `GIVEN`, and those of `OURS` as they are.

    Raises:
        ConfigError: for any other: the configuration is the job's.
    """
    given, ours = {}, []
    for override in overrides:
        key, _, value = override.partition("=")
        if key in OURS:
            ours.append(override)
        elif key in GIVEN and value:
            given[key] = value
        else:
            known = ", ".join(f"{name}=…" for name in (*GIVEN, *OURS))
            raise ConfigError(f"reproduce takes its configuration from the job; only {known} fit, got {override!r}")
    return given, ours


def to_run_again(
    tree: Mapping[str, Any], given: Mapping[str, str], *, output: Path, store: Path, uri: str | None
) -> Config:
    """The job once more, unlogged, with everything that is written below `output` and `store`.

    Args:
        tree: the job's configuration, as `read_tree` gives it.
        given: what the user says anew, by key of `GIVEN`. A model is trusted only if this says so.
        output: the user's.
        store: the user's.
        uri: the user's tracker, because a checkpoint may lie there.

    Raises:
        ConfigError: where the schema refuses the tree, e.g. because the job is of another version.
    """
    changed: dict[str, Any] = {
        **tree,
        "output": str(output),
        "store": str(store),
        "tracking": {"enabled": False, "uri": uri},
    }
    if _is_checkpoint(changed.get("model")):
        changed["model"] = {**changed["model"], "trust": False}
    for key, value in given.items():
        changed = _with(changed, key, _truth(key, value) if key == "model.trust" else value)
    return parse(changed)


def changed_keys(tree: Mapping[str, Any], config: Config) -> list[tuple[str, str, str]]:
    """Dotted keys whose value in `config` is not that of the tree: key, before, after; none of `OURS`.

    A key that came into the schema later shows with the default that it has now.
    """
    before, after = dict(leaves(tree)), dict(leaves(config.model_dump(mode="json")))
    keys = [key for key in sorted(before.keys() | after.keys()) if key not in OURS and not key.startswith("tracking")]
    pairs = [(key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys]
    return [(key, _text(old), _text(new)) for key, old, new in pairs if old != new]


def _texts(value: Any) -> Iterator[str]:
    """Every word of a tree, keys included."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _is_control(letter: str) -> bool:
    return not letter.isprintable() and letter not in "\n\t" and unicodedata.category(letter) == "Cc"


def _is_checkpoint(node: Any) -> bool:
    return isinstance(node, Mapping) and node.get("kind") == "checkpoint"


def _with(tree: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    section, _, name = key.rpartition(".")
    if not section:
        return {**tree, name: value}
    node = tree.get(section)
    return {**tree, section: {**(node if isinstance(node, Mapping) else {}), name: value}}


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ConfigError(f"{key}: expected true or false, got {value!r}")
    return value.lower() == "true"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
