"""Sizes and ages."""

import argparse

import pytest

from harness.quantities import age_seconds, age_text, bytes_text, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [("10GB", 10**10), ("1.5 GiB", 3 * 2**29), ("500mb", 5 * 10**8), ("512", 512), ("0B", 0), ("2kB", 2000)],
)
def test_sizes(text: str, value: int) -> None:
    """Powers of ten, those with an i powers of two, a bare number bytes."""
    assert size_bytes(text) == value


@pytest.mark.parametrize(("text", "value"), [("30d", 2_592_000), ("12h", 43_200), ("1.5w", 907_200), ("90s", 90)])
def test_ages(text: str, value: float) -> None:
    """A number with its unit."""
    assert age_seconds(text) == value


@pytest.mark.parametrize("text", ["", "GB", "1..2GB", "10XB", "-1GB", "ten"])
def test_what_is_no_size(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(argparse.ArgumentTypeError, match="such as 10GB"):
        size_bytes(text)


@pytest.mark.parametrize("text", ["", "30", "d", "1.2.3d", "-1d", "3y"])
def test_what_is_no_age(text: str) -> None:
    """Anything else is refused with an example; a bare number too, which could be days or seconds."""
    with pytest.raises(argparse.ArgumentTypeError, match="such as 30d"):
        age_seconds(text)


def test_texts() -> None:
    """The largest unit that leaves a whole number before the point; never 1000 of one."""
    sizes = [bytes_text(count) for count in (0, 999, 1000, 9949, 12_345, 999_499, 999_500, 1_400_000_000, 3 * 10**12)]
    assert sizes == ["0 B", "999 B", "1.0 kB", "9.9 kB", "12 kB", "999 kB", "1.0 MB", "1.4 GB", "3.0 TB"]
    assert [age_text(seconds) for seconds in (-1, 0, 59, 60, 3599, 3600, 86_400 * 8.9)] == [
        "0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "8 d",
    ]  # fmt: skip
