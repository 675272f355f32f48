"""A model whose outputs are numbered otherwise than the data set's labels."""

import numpy as np
import pytest

from harness.diagnostics.class_order import class_order

NAMES = ("cat", "dog", "bird", "fish")


def made(order: tuple[int, ...], *, right: float = 0.9, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that has class `order[i]` at output i and is right on that share of the images; labels."""
    stream = np.random.default_rng(0)
    labels = np.arange(count) % len(order)
    answers = np.where(stream.random(count) < right, labels, (labels + 1) % len(order))
    logits: np.ndarray = np.eye(len(order), dtype=np.float32)[np.argsort(order)[answers]]
    return logits, labels


def test_another_order_is_named() -> None:
    """The order in which the outputs make sense, and how often the model is right with either."""
    logits, labels = made((2, 0, 3, 1))
    (sentence,) = class_order(logits, labels, class_names=NAMES)
    right = 100 * np.mean(logits.argmax(axis=1) == labels)
    assert "[bird, cat, fish, dog]" in sentence
    assert f"right on {right:.1f} % of the validation images, and on" in sentence


def test_two_classes_the_wrong_way_round() -> None:
    """As for an inverted label of a binary task."""
    (sentence,) = class_order(*made((1, 0)), class_names=NAMES[:2])
    assert "[dog, cat]" in sentence


@pytest.mark.parametrize("right", [0.1, 0.4, 0.9])
def test_a_model_that_is_merely_bad_is_left_alone(right: float) -> None:
    """The order is right; how often the model is, does not matter, unless it is wrong in the same way nearly always."""
    stream = np.random.default_rng(1)
    logits, labels = made((0, 1, 2, 3), right=right)
    wrong = logits.argmax(axis=1) != labels
    logits[wrong] = stream.normal(size=(wrong.sum(), 4))
    assert class_order(logits, labels, class_names=NAMES) == ()


def test_chance_on_few_images_is_no_order() -> None:
    """The best of 10! renumberings of fifty guesses looks good, and still says nothing; of twenty nothing is asked."""
    stream = np.random.default_rng(2)
    names = [str(name) for name in range(10)]
    for _ in range(200):
        assert class_order(stream.normal(size=(50, 10)), np.arange(50) % 10, class_names=names) == ()
    logits, labels = made((9, 8, 7, 6, 5, 4, 3, 2, 1, 0), count=20)
    assert class_order(logits, labels, class_names=names) == ()


def test_many_classes_are_not_listed() -> None:
    """A line for people stays a line."""
    order = tuple(np.random.default_rng(3).permutation(40))
    (sentence,) = class_order(*made(order, count=400), class_names=[f"class{place}" for place in range(40)])
    assert "in another order" in sentence
    assert "class7" not in sentence
