"""Predictions of a fitted aggregation over a split, block by block."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigError, DataError
from harness.policies.base import Fitted
from harness.policies.logits import ViewLogits
from harness.policies.registry import FIXED, make_aggregation
from harness.prediction import predict

LOGITS = np.random.default_rng(0).normal(0, 3, (4, 100, 7)).astype(np.float32)
NEEDED = {"trimmed_mean_probs": {"fraction": 0.3}, "power_mean_probs": {"power": 2.0}, "anchor_probs": {"beta": 0.5},
          "anchor_logits": {"beta": 0.5}, "entropy_softmax_probs": {"t": 0.5}}  # fmt: skip


@pytest.mark.parametrize("kind", [cls.kind for cls in FIXED])
def test_blocks_change_nothing(kind: str) -> None:
    """One example at a time, some, or all at once: the same predictions."""
    fitted = make_aggregation(kind, NEEDED.get(kind, {}))
    whole = fitted.fit(ViewLogits.of(LOGITS), np.zeros(100, np.int64))(LOGITS)
    for block in (1, 1000, 10**9):
        found = predict(fitted, ViewLogits.of(LOGITS), name=kind, block=block)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.log_probs, whole, atol=1e-12)
        assert (found.passes == 4).all()


def test_memory_mapped_logits_give_the_same(tmp_path: Path) -> None:
    """Logits on disk, opened read-only as memory maps, are as good as arrays."""
    for place, view in enumerate(LOGITS):
        np.save(tmp_path / f"{place}.npy", view)
    mapped = ViewLogits(tuple(np.load(tmp_path / f"{place}.npy", mmap_mode="r") for place in range(4)))
    fitted = make_aggregation("mean_probs", {}).fit(mapped, np.zeros(100, np.int64))
    expected = predict(fitted, ViewLogits.of(LOGITS), name="mean_probs").log_probs
    np.testing.assert_array_equal(predict(fitted, mapped, name="mean_probs").log_probs, expected)


def test_rows_and_views_can_be_taken_without_a_copy() -> None:
    """Some examples in another order, of some views: what NumPy's indexing gives, and taken twice too."""
    rows, again = np.array([9, 3, 50, 51]), np.array([2, 0])
    part = ViewLogits.of(LOGITS).take(rows).select([2, 0])
    assert part.shape == (2, 4, 7)
    np.testing.assert_array_equal(part.stacked(), LOGITS[[2, 0]][:, rows])
    np.testing.assert_array_equal(part.take(again).stacked(), LOGITS[[2, 0]][:, rows[again]])
    assert all(view.base is not None for view in part.views)


def test_views_of_several_shapes_are_refused() -> None:
    """Another number of classes or of examples: one line with the shapes."""
    for wrong in (LOGITS[0][:, :-1], LOGITS[0][:-1], LOGITS[0][0]):
        with pytest.raises(DataError, match="one shape"):
            ViewLogits((LOGITS[0], wrong))


class Theirs(Fitted):
    """An aggregation of another package that returns what it was told."""

    def __init__(self, result: np.ndarray) -> None:
        self.result = result

    def __call__(self, _logits: np.ndarray, /) -> np.ndarray:
        """The same whatever the logits."""
        return self.result


@pytest.mark.parametrize(
    "result", [np.zeros((2, 2)), np.full((100, 7), -np.inf), np.full((100, 7), -3.0), np.ones((100, 7))]
)
def test_a_foreign_aggregation_is_checked(result: np.ndarray) -> None:
    """Another package's aggregation that returns a wrong shape, infinities or no distribution is named."""
    with pytest.raises(ConfigError, match="'theirs' must return"):
        predict(Theirs(result), ViewLogits.of(LOGITS), name="theirs")
