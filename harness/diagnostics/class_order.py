"""Whether a model has its classes in another order than the data set: a network numbers its outputs, and names none."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

GAIN, LEAST = 0.2, 0.5
"""A renumbering counts where it makes the model right on `LEAST` of the examples, and on `GAIN` more than now …"""
SURE = 3.0
"""… and gains so many standard errors of the paired difference, as a view has to lose for a warning."""
FEWEST = 5
"""Examples that a class needs to say anything."""
MOST_CLASSES = 2000
"""Beyond, the assignment takes seconds and gigabytes."""
MOST_NAMES = 20  # in the sentence
_PLAIN = re.compile(r"(?!(null|true|false|nan|inf)$)[a-z_][\w/-]*( [\w/-]+)*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class ClassOrder:
    """A numbering of the outputs under which the model is far better.

    Attributes:
        now, renumbered: accuracy as it is and in that order, each class counting alike, fractions.
        order: for each of the C outputs the class that it stands for; None where too few examples tell.
    """

    now: float
    renumbered: float
    order: tuple[int | None, ...]


def class_order(logits: np.ndarray, labels: np.ndarray) -> ClassOrder | None:
    """The order of a model's outputs where it is clearly another one than that of the labels; None where it is not.

    The best renumbering is a linear assignment on the shares of each class that are predicted as each output (Kuhn
    1955). Classes count alike, because else a model that always gives one answer gains by a swap with the commonest
    class. The best of C! flatters any model on the images that it was found on: of guesses on five images a class, 3 in
    100 pass the limits above with three classes, none with ten.

    Args:
        logits: `[N, C]` of the images as they are.
        labels: `[N]` in [0, C).
    """
    classes = logits.shape[1]
    sizes = np.bincount(labels, minlength=classes)
    known = sizes >= FEWEST
    if known.sum() < 2 or classes > MOST_CLASSES:
        return None
    predicted = logits.argmax(axis=1)
    now = _balanced(predicted == labels, labels, known)
    if now > 1 - GAIN:
        return None
    order, share = _best_order(predicted, labels, classes)
    right = order[predicted] == labels
    renumbered = _balanced(right, labels, known)
    gains = right.astype(np.float64) - (predicted == labels)
    if renumbered < max(LEAST, now + GAIN) or gains.mean() < SURE * gains.std(ddof=1) / np.sqrt(len(gains)):
        return None
    told = known[order] & (share > 0)
    return ClassOrder(now, renumbered, tuple(int(one) if sure else None for one, sure in zip(order, told, strict=True)))


def order_sentence(found: ClassOrder, class_names: Sequence[str]) -> str:
    """What a person should know; the order stands there as `dataset.classes` takes it, unless it is long."""
    if len(found.order) > MOST_NAMES:
        named = "as in tables/class_order.csv"
    else:
        named = f"[{', '.join('?' if place is None else _word(class_names[place]) for place in found.order)}]"
    unknown = "" if None not in found.order else " (?: too few images to tell)"
    return (
        f"averaged over classes the model is right on {100 * found.now:.1f} % of the validation images, and on "
        f"{100 * found.renumbered:.1f} % with its outputs named {named}{unknown}: was it trained with its classes in "
        "another order? An image_folder takes it as dataset.classes; for other data sets number the labels alike"
    )


def _word(name: str) -> str:
    """A name in a list of Hydra's grammar: in quotes where it would be a number, a null or a syntax error without."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _balanced(right: np.ndarray, labels: np.ndarray, known: np.ndarray) -> float:
    """Accuracy in which every class that has examples enough counts alike."""
    sizes = np.bincount(labels, minlength=len(known))
    hits = np.bincount(labels, weights=right, minlength=len(known))
    return float(np.mean(hits[known] / sizes[known]))


def _best_order(predicted: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """For each output `[C]` the class that it stands for in the best renumbering, and the share of it that it gets."""
    counts = np.bincount(predicted * classes + labels, minlength=classes**2).reshape(classes, classes)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    outputs, order = linear_sum_assignment(shares, maximize=True)
    return order, shares[outputs, order]
