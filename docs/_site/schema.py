"""The keys of the configuration, from the schema and its docstrings."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness import config
from harness.config import Config, Node, conf_folder
from harness.parameters import number

REQUIRED = "required"
NONE = re.compile(r"\bNone\b")  # Python's word for YAML's null
ATTRIBUTE = re.compile(r"^ {4,}([a-z_, ]+): (.*)$")


@dataclass(frozen=True)
class Key:
    """One key of the configuration.

    Attributes:
        name: dotted, as it is given on the command line.
        values: type and range in words.
        default: the schema's, as YAML; `required` where there is none.
        meaning: from the docstring of its node.
    """

    name: str
    values: str
    default: str
    meaning: str


def node_keys(node: type[Node], *, prefix: str, without: tuple[str, ...] = ()) -> list[Key]:
    """The keys of a node in the order of the schema, but for config groups and `without`."""
    schema = node.model_json_schema()
    needed = schema.get("required", [])
    texts = attributes(node)
    return [
        Key(
            f"{prefix}.{name}" if prefix else name,
            values_text(described),
            REQUIRED if name in needed else yaml_text(described.get("default")),
            NONE.sub("`null`", texts.get(name, "")),
        )
        for name, described in schema["properties"].items()
        if name not in without and not (node is Config and name in config_groups())
    ]


def config_groups() -> list[str]:
    """The config groups, which are the folders of `conf/`."""
    return sorted(path.name for path in conf_folder().iterdir() if path.is_dir() and path.name.isidentifier())


def attributes(node: type[Node]) -> dict[str, str]:
    """Field name to what the `Attributes:` of its class, or of a base class, say of it."""
    found: dict[str, str] = {}
    for cls in reversed(node.__mro__):
        if issubclass(cls, Node):
            found |= dict(_entries(inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]))
    return found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """`name: text` entries of a docstring's section; several names may share one text, and texts may be folded."""
    for entry in re.split(r"\n(?=    \S)", "\n" + text):
        if match := ATTRIBUTE.match(" ".join(entry.split("\n    "))):
            folded = " ".join(match[2].split())
            yield from ((name.strip(), folded) for name in match[1].split(","))


def values_text(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words: `integer ≥ 0, or null`."""
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(values_text(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return _array_text(schema)
    if kind in ("integer", "number"):
        return f"{kind}{_range_text(schema)}"
    words = {"string": "text", "boolean": "`true`, `false`", "object": "mapping", "null": "`null`"}
    return words.get(str(kind), "mapping" if "$ref" in schema else "anything")


def _array_text(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}: {values_text(schema['prefixItems'][0])}"
    inner = values_text(schema.get("items", {}))
    return "list" if inner == "anything" else f"list of: {inner}"


def _range_text(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ",".join(f" {sign} {number(schema[name])}" for name, sign in signs.items() if name in schema)


def yaml_text(value: Any) -> str:
    """A default as one writes it in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_text, value))}]"
    return "{}" if value == {} else str(value)


def node_classes() -> dict[str, type[Node]]:
    """Every node of the schema by its class name."""
    found = vars(config).values()
    return {cls.__name__: cls for cls in found if isinstance(cls, type) and issubclass(cls, Node)}
