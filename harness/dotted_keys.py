"""Nested mappings as dotted keys, as the configuration and its overrides write them."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each dotted key with its value, in order; a list is one value, and so is an empty mapping.

    Args:
        value: plain data.
        key: of the whole.
    """
    if not isinstance(value, Mapping) or not value:
        yield key, value
        return
    for name, item in value.items():
        yield from leaves(item, f"{key}.{name}" if key else str(name))
