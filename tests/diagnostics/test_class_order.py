"""A model whose outputs are numbered otherwise than the data set's labels."""

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from harness.diagnostics.class_order import ClassOrder, class_order, order_sentence

Case = tuple[np.ndarray, np.ndarray]


def made(order: tuple[int, ...], *, right: float = 0.9, labels: np.ndarray | None = None) -> Case:
    """Logits of a model that has class `order[i]` at output i and is right on that share of the images; labels."""
    stream, classes = np.random.default_rng(0), len(order)
    labels = np.arange(50 * classes) % classes if labels is None else labels
    answers = np.where(stream.random(len(labels)) < right, labels, (labels + 1) % classes)
    return one_hot(np.argsort(order)[answers], classes), labels


def one_hot(answers: np.ndarray, classes: int) -> np.ndarray:
    """Logits `[N, C]` of these answers."""
    logits: np.ndarray = np.eye(classes, dtype=np.float32)[answers]
    return logits


@pytest.mark.parametrize("order", [(2, 0, 3, 1), (1, 0), tuple(np.random.default_rng(3).permutation(40).tolist())])
def test_another_order_is_found(order: tuple[int, ...]) -> None:
    """The order in which the outputs make sense, and how often the model is right with either; two classes or forty."""
    logits, labels = made(order)
    found = class_order(logits, labels)
    assert found is not None and found.order == order
    assert found.now == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert found.renumbered == pytest.approx(np.mean(np.array(order)[logits.argmax(axis=1)] == labels))


@pytest.mark.parametrize("right", [0.1, 0.4, 0.9])
def test_a_model_that_is_merely_bad_is_left_alone(right: float) -> None:
    """The order is right; how often the model is, does not matter."""
    stream = np.random.default_rng(1)
    logits, labels = made((0, 1, 2, 3), right=right)
    wrong = logits.argmax(axis=1) != labels
    logits[wrong] = stream.normal(size=(wrong.sum(), 4))
    assert class_order(logits, labels) is None


@pytest.mark.parametrize("share", [0.6, 0.72, 0.9])
def test_one_answer_for_all_images_is_no_order(share: float) -> None:
    """A model that learned nothing always gives one class; a swap with the commonest would make it right more often."""
    labels = np.where(np.arange(400) < 400 * share, 0, 1)
    assert class_order(one_hot(np.ones(400, np.int64), 2), labels) is None


def test_a_common_class_taken_for_another_is_no_order() -> None:
    """600 of class a are taken for b: with the two exchanged 90 % of the images would be right, and all of b wrong."""
    labels = np.repeat([0, 1, 2], [600, 100, 300])
    assert class_order(one_hot(np.where(labels == 0, 1, labels), 3), labels) is None


def test_two_of_ten_classes_exchanged_are_too_little() -> None:
    """A gain of 18 points may be a confusion of the model's own: 20 are asked for."""
    logits, labels = made((1, 0, 2, 3, 4, 5, 6, 7, 8, 9))
    assert class_order(logits, labels) is None


def test_the_best_order_of_the_same_images_is_not_believed() -> None:
    """Guesses on few images: the best of 3! orders looks far better than the true one, but not surely so."""
    stream, labels = np.random.default_rng(2), np.arange(15) % 3
    guesses = stream.integers(0, 3, size=(400, 15))
    orders = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
    right = (orders[:, guesses] == labels).mean(axis=2)
    flattering = np.mean(right.max(axis=0) >= np.maximum(0.5, right[0] + 0.2))
    believed = np.mean([class_order(one_hot(one, 3), labels) is not None for one in guesses])
    assert flattering > 0.2
    assert believed < 0.05


def test_few_images_tell_nothing() -> None:
    """Four of each class, however clear they are; and a class with too few of them has no name in the order."""
    order = (3, 2, 1, 0)
    assert class_order(*made(order, right=1, labels=np.arange(16) % 4)) is None
    found = class_order(*made(order, right=1, labels=np.array([0] * 20 + [1] * 20 + [2] * 20 + [3] * 2)))
    assert found is not None and found.order == (None, 2, 1, 0)


def test_the_sentence_can_be_pasted() -> None:
    """Hydra reads the names as they are, those too that look like numbers or are no words."""
    names = ("10", "1", "café", "it's", "null", "1e5", "a, b", "Ankle boot", "T-shirt/top", "-5", 'say "x"')
    order = tuple(range(len(names) - 1, -1, -1))
    text = order_sentence(ClassOrder(0.3, 0.9, order), names)
    assert "right on 30.0 % of the validation images, and on 90.0 % with its outputs named [" in text
    start, end = text.index("["), text.index("]") + 1
    (read,) = (one.value() for one in OverridesParser.create().parse_overrides([f"dataset.classes={text[start:end]}"]))
    assert [str(getattr(name, "text", name)) for name in read] == [names[place] for place in order]
    assert all(not isinstance(name, int | float) and name is not None for name in read)


def test_a_long_or_incomplete_order_says_so() -> None:
    """More than twenty names are in a table alone; what cannot be told is a question mark."""
    names = [f"class{place}" for place in range(21)]
    text = order_sentence(ClassOrder(0.1, 0.8, tuple(range(21))), names)
    assert "named as in tables/class_order.csv:" in text and "class7" not in text
    assert "named [b, ?] (?: too few images to tell):" in order_sentence(ClassOrder(0.1, 0.8, (1, None)), ("a", "b"))
