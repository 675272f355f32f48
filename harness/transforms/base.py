"""What a transform is. Letters: n examples of a batch, h and w the images' height and width."""

from typing import ClassVar, Protocol

import numpy as np

from harness.parameters import Parametrised


class Transform(Parametrised, Protocol):
    """One image operation: a frozen dataclass whose fields are its parameters.

    A subclass declares `kind` and its fields, and is found by its kind. The pixels of an example depend on the example
    alone, never on the batch it came in, its place there, or the process.

    Attributes:
        resizes: True where the result may be smaller and is to be resized, rather than cropped, to the input size.
        needs_rgb: True where the operation means something for three colour channels only.
    """

    resizes: ClassVar[bool] = False
    needs_rgb: ClassVar[bool] = False

    def __call__(self, images: np.ndarray, indices: np.ndarray, /) -> np.ndarray:
        """Images `[n, h, w, channels]` float32 in [0, 255] to `[n, h2, w2, channels]` of the same kind.

        `indices [n]` int64 are the examples' places in their split: what random transforms are keyed by.
        The input is never changed; the result may be a view of it.
        """
        ...

    def is_identity(self) -> bool:
        """True when the parameters make this a no-op, so that views leave it out."""
        return False
