"""The logits of several views over the same examples, `[V, N, C]`, without stacking them in memory."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.errors import DataError

BLOCK = 1 << 15  # logits that are worked on at once: float64 blocks of this size stay in the processor's cache


@dataclass(frozen=True, eq=False)
class ViewLogits:
    """Logits of V views, each `[N', C]` float32 and possibly memory-mapped, restricted to the examples `rows`.

    Attributes:
        views: one array a view, all of one shape; read block by block, never copied as a whole.
        rows: `[N]` int64, which examples and in which order; None for all of them.
        memo: what several fits on these same logits share, e.g. the path of a search; lives as long as this value.

    Raises:
        DataError: for no views, or views that differ in shape.
    """

    views: tuple[np.ndarray, ...]
    rows: np.ndarray | None = None
    memo: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Plain arrays over the same memory: slicing a memmap object is many times slower.
        object.__setattr__(self, "views", tuple(np.asarray(view) for view in self.views))
        shapes = {view.shape for view in self.views}
        if len(shapes) != 1 or any(len(shape) != 2 for shape in shapes):
            raise DataError(f"the logits of views need one shape [N, C], got {sorted(shapes)}")

    @classmethod
    def of(cls, logits: Sequence[np.ndarray] | np.ndarray) -> "ViewLogits":
        """The same from an array `[V, N, C]`, or a sequence of `[N, C]`."""
        return cls(tuple(logits))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(V, N, C)."""
        total, classes = self.views[0].shape
        return len(self.views), total if self.rows is None else len(self.rows), classes

    def __len__(self) -> int:
        return len(self.views)

    def block(self, start: int, stop: int) -> np.ndarray:
        """The logits `[V, n, C]` of examples start..stop-1, copied."""
        part = slice(start, stop) if self.rows is None else self.rows[start:stop]
        return np.stack([view[part] for view in self.views])

    def blocks(self, *, values: int = BLOCK) -> Iterator[tuple[slice, np.ndarray]]:
        """All examples in order as (which, logits `[V, n, C]`), about `values` logits at a time, at least one example.

        However the examples are cut, each one's logits are the same.
        """
        views, examples, classes = self.shape
        step = max(1, values // (views * classes))
        for start in range(0, examples, step):
            stop = min(start + step, examples)
            yield slice(start, stop), self.block(start, stop)

    def take(self, rows: np.ndarray) -> "ViewLogits":
        """The examples `rows [n]` (places among these examples), without copying logits."""
        rows = np.asarray(rows, np.int64)
        return ViewLogits(self.views, rows if self.rows is None else self.rows[rows])

    def select(self, views: Sequence[int]) -> "ViewLogits":
        """The views at these places, in this order, without copying logits."""
        return ViewLogits(tuple(self.views[place] for place in views), self.rows)

    def stacked(self) -> np.ndarray:
        """All logits `[V, N, C]`, in memory."""
        return self.block(0, self.shape[1])
