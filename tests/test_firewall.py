"""Examples carry their ids, and splits that share one are refused."""

import numpy as np
import pytest

from harness.errors import DataError
from harness.firewall import Examples, require_disjoint


def some(*ids: str) -> Examples:
    """Examples of one class."""
    return Examples(np.array(ids), np.zeros(len(ids), np.int64))


def test_disjoint_splits_pass() -> None:
    """No shared id: nothing is said."""
    require_disjoint({"validation": some("a", "b"), "test": some("c"), "other": some("d")})


def test_a_shared_example_is_named() -> None:
    """Any two splits that meet are refused with their names, the number and the first example."""
    with pytest.raises(DataError, match="splits fit and test share 2 examples, the first is b"):
        require_disjoint({"fit": some("a", "b", "c"), "select": some("x"), "test": some("c", "b")})


def test_an_id_names_one_example() -> None:
    """A split that holds an id twice is refused."""
    with pytest.raises(DataError, match="1 ids of examples occur twice"):
        some("a", "b", "a")


def test_the_digest_is_of_the_ids_in_order() -> None:
    """The same ids have the same digest whatever the labels; another order has another."""
    assert some("a", "b").digest == Examples(np.array(["a", "b"]), np.array([0, 1])).digest
    assert some("a", "b").digest != some("b", "a").digest
