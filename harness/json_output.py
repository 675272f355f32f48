"""What `--json` prints: one JSON value on standard output, for scripts."""

import json
import math
from collections.abc import Mapping
from typing import Any


def print_json(value: Any) -> None:
    """Prints plain data as strict JSON; a number that is not finite is `null`, for JSON has none."""
    print(json.dumps(_strict(value), indent=1, ensure_ascii=False, allow_nan=False))


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
