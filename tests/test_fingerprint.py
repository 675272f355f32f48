"""Fingerprints of specifications and digests of arrays."""

import hashlib

import numpy as np
import pytest

from harness.fingerprint import array_digest, canonical, canonical_json, fingerprint


def test_canonical_json_has_one_spelling() -> None:
    """The order of keys, tuples for lists, and NumPy scalars do not matter."""
    one = {"b": (1, 2.5), "a": {"y": np.int64(3), "x": np.float32(0.5)}}
    other = {"a": {"x": 0.5, "y": 3}, "b": [1, 2.5]}
    assert canonical_json(one) == canonical_json(other) == '{"a":{"x":0.5,"y":3},"b":[1,2.5]}'


def test_fingerprint_is_sha256_of_the_text() -> None:
    """A value worked out by hand with hashlib."""
    assert fingerprint({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


@pytest.mark.parametrize("other", [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": None}, {"a": True}, [1]])
def test_different_specifications_differ(other: object) -> None:
    """A change of a value, a key or a type is another fingerprint."""
    assert fingerprint(other) != fingerprint({"a": 1})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("nan")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    """NaN has no one spelling."""
    with pytest.raises(ValueError, match="finite"):
        canonical({"a": number})


@pytest.mark.parametrize("value", [object(), {1, 2}, b"".join, np.zeros(2)])
def test_what_is_not_plain_data_is_refused(value: object) -> None:
    """No object slips in by its repr."""
    with pytest.raises(TypeError, match="plain data"):
        canonical({"a": value})


def test_array_digest_sees_shape_dtype_bytes_and_order() -> None:
    """Every way in which two lists of arrays can differ is another digest; a memory layout is not."""
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    different = [
        array.reshape(3, 2),
        array.view(np.uint32),
        array + np.array([[1, 0, 0], [0, 0, 0]], np.int32),
        array.astype(np.int64),
    ]
    digests = {array_digest(item) for item in [array, *different]}
    assert len(digests) == 5
    assert array_digest(np.asfortranarray(array)) == array_digest(array)
    assert array_digest(array, different[0]) != array_digest(different[0], array)
