"""Strict JSON: what `--json` prints, one value on standard output for scripts, and what other programs read."""

import json
import math
from collections.abc import Mapping
from typing import Any


def print_json(value: Any) -> None:
    """Prints plain data as strict JSON."""
    print(json.dumps(strict(value), indent=1, ensure_ascii=False, allow_nan=False))


def strict(value: Any) -> Any:
    """The value with `null` for every number that is not finite: JSON has none."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
