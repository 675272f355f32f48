"""Sizes and ages as people write and read them."""

import argparse
import re

BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
         "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}  # fmt: skip
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def size_bytes(text: str) -> int:
    """Bytes of `10GB`, `1.5 GiB` or `500000`.

    Raises:
        ArgumentTypeError: for anything else.
    """
    try:
        number, unit = _parts(text)
        return round(number * BYTES[unit.lower()])
    except (KeyError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"expected a size such as 10GB or 500MB, got {text!r}") from error


def age_seconds(text: str) -> float:
    """Seconds of `30d`, `12h` or `2w`.

    Raises:
        ArgumentTypeError: for anything else.
    """
    try:
        number, unit = _parts(text)
        return number * SECONDS[unit]
    except (KeyError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"expected an age such as 30d, 12h or 2w, got {text!r}") from error


def _parts(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text)
    if found is None:
        raise ValueError
    return float(found[1]), found[2]


def bytes_text(count: float) -> str:
    """`0 B`, `12 kB`, `1.4 GB`: powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.1f} {unit}" if count < 9.95 and unit != "B" else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def age_text(seconds: float) -> str:
    """`12 s`, `5 min`, `3 h`, `8 d`: the largest whole unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
