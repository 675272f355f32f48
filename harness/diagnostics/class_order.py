"""Whether a model has its classes in another order than the data set: a network numbers its outputs, and names none."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

GAIN, LEAST = 0.2, 0.5
"""A renumbering counts where it makes the model right on `LEAST` of the examples, and on `GAIN` more than now."""
FEWEST = 5  # examples a class, below which nothing is said
MOST_NAMES = 20


def class_order(logits: np.ndarray, labels: np.ndarray, *, class_names: Sequence[str]) -> tuple[str, ...]:
    """A sentence where the model is far better with its outputs renumbered; none where it is not, or examples are few.

    The best renumbering is a linear assignment on the counts of predicted and true classes (Kuhn 1955). It is found on
    one half of the examples and judged on the other, and the reverse: the best of C! flatters any model.

    Args:
        logits: `[N, C]` of the images as they are.
        labels: `[N]` in [0, C).
        class_names: C names, in label order.
    """
    predicted, classes = logits.argmax(axis=1), len(class_names)
    if len(labels) < FEWEST * classes:
        return ()
    half = np.random.default_rng(0).permutation(len(labels)) % 2 == 0
    right = np.zeros(len(labels), bool)
    for found, judged in ((half, ~half), (~half, half)):
        order = _best_order(predicted[found], labels[found], classes)
        right[judged] = order[predicted[judged]] == labels[judged]
    now, renumbered = float(np.mean(predicted == labels)), float(right.mean())
    if renumbered < max(LEAST, now + GAIN):
        return ()
    order = _best_order(predicted, labels, classes)
    names = f"[{', '.join(class_names[place] for place in order)}]" if classes <= MOST_NAMES else "in another order"
    return (
        f"the model is right on {100 * now:.1f} % of the validation images, and on {100 * renumbered:.1f} % with its "
        f"outputs read as {names}: was it trained with its classes in that order? An image_folder takes "
        "dataset.classes; for other data sets number the labels alike",
    )


def _best_order(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """For each output `[C]` the class that it stands for in the renumbering that is right most often."""
    counts = np.bincount(predicted * classes + labels, minlength=classes**2).reshape(classes, classes)
    order: np.ndarray = linear_sum_assignment(counts, maximize=True)[1]
    return order
