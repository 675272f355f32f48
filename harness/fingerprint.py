"""Hashes of what was asked (fingerprints) and of what came out (digests).

A fingerprint is the SHA-256 of the canonical JSON of a specification; a digest is the SHA-256 of bytes.
The two never stand in for each other.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def canonical(value: Any) -> Any:
    """Plain data with one spelling for one meaning: sorted keys, tuples as lists, no NumPy scalars.

    Raises:
        ValueError: for a NaN or infinite number, which no specification may hold.
        TypeError: for anything that is not plain data.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a specification holds finite numbers only, got {value}")
        return value
    if isinstance(value, Mapping):
        return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, Sequence):
        return [canonical(item) for item in value]
    raise TypeError(f"a specification is plain data, got {type(value).__name__}")


def canonical_json(value: Any) -> str:
    """The canonical JSON text of plain data: sorted keys, no white space."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(spec: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of a specification."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()


def array_digest(*arrays: np.ndarray) -> str:
    """SHA-256 (64 hex digits) over the shape, dtype and bytes of arrays, in the order given."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.shape}{array.dtype.str}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
