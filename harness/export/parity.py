"""A deployed policy against the job's own numbers, on the test images that these numbers come from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.backend import without_noise
from harness.errors import DataError, ModelError
from harness.export.job import ExportJob
from harness.record_files import PREDICTIONS, read_predictions

TOLERANCE = 1e-4
"""How far the probability of the true class may be off. Float rounding of other kernels, batch sizes and machines moves
it by 1e-6 or so; a wrong view, weight, temperature or input range moves it by a hundred times the tolerance on some
image."""

IMAGES = 256
BATCH = 64


@dataclass(frozen=True)
class Parity:
    """What was found.

    Attributes:
        images: test images that were compared, evenly spread over the split.
        difference: the largest absolute difference of the calibrated probability of the true class.
        classes: images whose predicted class is another one, although the two are not within rounding of a tie.
    """

    images: int
    difference: float
    classes: int

    @property
    def holds(self) -> bool:
        """True where the model gives the job's numbers."""
        return self.difference <= TOLERANCE and self.classes == 0

    def require(self, policy: str, what: str) -> None:
        """Refuses a model that gives other numbers.

        Raises:
            ModelError: one line with what was found.
        """
        if not self.holds:
            raise ModelError(
                f"{policy} as {what} does not give the numbers that it was judged by: on {self.images} test images the "
                f"probability of the true class is off by up to {self.difference:.2g} (allowed {TOLERANCE:g}), and "
                f"{self.classes} predicted classes differ; nothing was written. Run the job again, or report this"
            )


@dataclass(frozen=True, eq=False)
class Reference:
    """Test images and what the job recorded about them: `images [n, h, w, channels]` uint8, the rest `[n]`."""

    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray

    def compare(self, model: Callable[[np.ndarray], np.ndarray]) -> Parity:
        """What a model of raw images gives for them, beside the record."""
        parts = [self.images[start : start + BATCH] for start in range(0, len(self.images), BATCH)]
        with without_noise():
            probs = np.concatenate([model(part) for part in parts]).astype(np.float64)
        rows = np.arange(len(probs))
        off = np.abs(probs[rows, self.labels] - self.probability)
        # NaN is no agreement.
        difference = float("inf") if not np.isfinite(probs).all() else float(off.max())
        behind = probs.max(axis=1) - probs[rows, self.predicted]
        return Parity(len(probs), difference, int((behind > 2 * TOLERANCE).sum()))


def reference(job: ExportJob, policy_name: str) -> Reference:
    """The record's numbers of a policy on up to `IMAGES` test images.

    Raises:
        DataError: where the job's predictions are gone or damaged.
    """
    test = job.dataset.test
    found = read_predictions(job.folder, ("predicted", "nll_calibrated"), policies=(policy_name,))
    rows = found.get(policy_name, {"predicted": np.empty(0)})
    if len(rows["predicted"]) != len(test):
        raise DataError(
            f"{job.folder / PREDICTIONS} has {len(rows['predicted'])} rows of {policy_name}, test has {len(test)}: "
            "run the job again"
        )
    chosen = test.spread(IMAGES)
    predicted, nll = (rows[name][chosen] for name in ("predicted", "nll_calibrated"))
    probability = np.exp(-nll.astype(np.float64))
    return Reference(test.images.read(chosen), test.labels[chosen], predicted.astype(np.int64), probability)
