"""What becomes train, validation and test, and what is said about it."""

from dataclasses import replace

import numpy as np
import pytest

from harness.datasets.arrays import array_split
from harness.datasets.raw import RawDataset, RawSplit
from harness.datasets.splits import make_splits
from harness.errors import ConfigError, DataError
from harness.types import ArrayImages, Dataset, Split

CLASSES = ("a", "b")


def numbered(first: int, count: int) -> RawSplit:
    """`count` images whose single pixel is their number, so that an example can be told by its pixel."""
    numbers = np.arange(first, first + count, dtype=np.uint8)
    return array_split(numbers.reshape(-1, 1, 1), np.arange(count) % 2)


TRAIN, VALIDATION, TEST = numbered(0, 100), numbered(100, 20), numbered(120, 40)
FULL = RawDataset(name="toy", class_names=CLASSES, train=TRAIN, validation=VALIDATION, test=TEST)
TRAIN_TEST = replace(FULL, validation=None)
TEST_ONLY = replace(FULL, train=None, validation=None)


def split(raw: RawDataset, **changes: object) -> Dataset:
    """The splits under plain options, some changed."""
    options: dict[str, object] = {
        "validation_from": "auto",
        "validation_fraction": 0.1,
        "seed": 0,
        "limit_test": None,
        "trained_here": True,
    }
    return make_splits(raw, **(options | changes))  # type: ignore[arg-type]


def ids(part: Split | None) -> list[int]:
    """The numbers of the images in a split."""
    return [] if part is None else part.images.read(np.arange(len(part))).reshape(-1).tolist()


def test_auto_takes_the_sources_validation() -> None:
    """Where the source has validation, all three splits are the source's, whoever trained."""
    for trained_here in (True, False):
        made = split(FULL, trained_here=trained_here)
        assert (ids(made.train), ids(made.validation), ids(made.test)) == (
            list(range(100)),
            list(range(100, 120)),
            list(range(120, 160)),
        )
        assert made.notes == ("validation: the source's own 20 images",)


def test_auto_carves_train_for_a_model_trained_here() -> None:
    """Validation is a stratified tenth of train, training gets the rest, test is untouched."""
    made = split(TRAIN_TEST)
    assert sorted(ids(made.train) + ids(made.validation)) == list(range(100))
    assert np.bincount(made.validation.labels).tolist() == [5, 5]
    assert ids(made.test) == list(range(120, 160))
    assert made.notes == ("validation: 10 of the 100 train images, stratified, seed 0; 90 remain",)


def test_auto_halves_test_for_a_checkpoint() -> None:
    """A checkpoint may have seen train: validation is half of test, the report on the other half, and it is said."""
    made = split(TRAIN_TEST, trained_here=False)
    assert sorted(ids(made.validation) + ids(made.test)) == list(range(120, 160))
    assert np.bincount(made.validation.labels).tolist() == np.bincount(made.test.labels).tolist() == [10, 10]
    assert "a half of the test images, 20 of 40" in made.notes[0]
    assert "may have seen the train images" in made.notes[0]


def test_checkpoint_with_validation_from_train_reports_on_all_of_test() -> None:
    """The user's word that train was not seen leaves test whole."""
    made = split(TRAIN_TEST, trained_here=False, validation_from="train")
    assert ids(made.test) == list(range(120, 160))
    assert set(ids(made.validation)) < set(range(100))


def test_train_stays_whole_when_validation_comes_from_test() -> None:
    """`validation_from=test` with a model trained here trains on every train image."""
    made = split(TRAIN_TEST, validation_from="test")
    assert ids(made.train) == list(range(100))
    assert len(made.validation) == len(made.test) == 20


def test_unused_source_validation_is_said() -> None:
    """Validation taken elsewhere than the source's own leaves that unused, and the note counts it."""
    made = split(FULL, validation_from="train")
    assert set(ids(made.validation)) < set(range(100))
    assert "the source's own validation images (20) are not used" in made.notes[0]


@pytest.mark.parametrize("validation_from", ["auto", "source", "train", "test"])
@pytest.mark.parametrize("trained_here", [True, False])
def test_splits_never_share_an_example(validation_from: str, trained_here: bool) -> None:
    """Whatever is chosen, the three splits are disjoint and each keeps the source's order."""
    made = split(FULL, validation_from=validation_from, trained_here=trained_here, limit_test=7)
    parts = [ids(made.train), ids(made.validation), ids(made.test)]
    assert len({example for part in parts for example in part}) == sum(len(part) for part in parts)
    assert all(part == sorted(part) for part in parts)
    assert len(made.test) == 7


def test_limit_test_is_stratified_and_leaves_validation_alone() -> None:
    """A limit changes test only; it is drawn in equal shares of the classes and said."""
    whole, limited = split(TRAIN_TEST), split(TRAIN_TEST, limit_test=10)
    assert np.bincount(limited.test.labels).tolist() == [5, 5]
    assert limited.validation.digest == whole.validation.digest
    assert limited.notes[-1] == "test: 10 of 40 images, stratified, seed 0 (limit_test)"


def test_limit_test_beyond_test_takes_all() -> None:
    """A limit larger than test gives all of test, with its digest, and says so."""
    assert split(TRAIN_TEST, limit_test=1000).test.digest == split(TRAIN_TEST).test.digest


def test_train_fraction_is_stratified_and_leaves_the_rest_alone() -> None:
    """A fraction of train, as much of each class; validation and test are those of the whole; it is said."""
    whole, part = split(TRAIN_TEST), split(TRAIN_TEST, train_fraction=0.2)
    assert np.bincount(part.split("train").labels).tolist() == [9, 9]
    assert set(ids(part.train)) < set(ids(whole.train))
    assert (part.validation.digest, part.test.digest) == (whole.validation.digest, whole.test.digest)
    assert part.notes[-1] == "train: 18 of 90 images, stratified, seed 0 (train_fraction)"


def test_a_smaller_train_fraction_is_part_of_a_larger_one() -> None:
    """A learning curve adds examples and exchanges none, within one seed; another seed draws others."""
    parts = [set(ids(split(TRAIN_TEST, train_fraction=fraction).train)) for fraction in (0.05, 0.2, 0.5, 1.0)]
    assert parts[0] < parts[1] < parts[2] < parts[3]
    source = RawDataset("toy", CLASSES, TRAIN, VALIDATION, TEST)
    drawn = [ids(split(source, train_fraction=0.2, seed=seed).train) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_whole_of_train_is_as_without() -> None:
    """`train_fraction=1` changes neither digests nor notes."""
    whole, same = split(TRAIN_TEST), split(TRAIN_TEST, train_fraction=1.0)
    assert (whole.split("train").digest, whole.notes) == (same.split("train").digest, same.notes)


def test_same_seed_same_splits_other_seed_others() -> None:
    """Divisions are a function of the seed."""
    first, again, other = split(TRAIN_TEST), split(TRAIN_TEST), split(TRAIN_TEST, seed=1)
    assert first.validation.digest == again.validation.digest != other.validation.digest
    assert first.test.digest == other.test.digest


def test_loaders_notes_come_first() -> None:
    """What the loader had to say is kept."""
    assert split(replace(FULL, notes=("said before",))).notes[0] == "said before"


@pytest.mark.parametrize(
    ("raw", "changes", "error", "said"),
    [
        (TEST_ONLY, {}, DataError, "no train split, and the model is to be trained"),
        (TEST_ONLY, {"trained_here": False, "validation_from": "train"}, DataError, "validation_from=test"),
        (TRAIN_TEST, {"validation_from": "source"}, DataError, "validation_from=train or test"),
        (TRAIN_TEST, {"validation_from": "tset"}, ConfigError, "did you mean test"),
        (TRAIN_TEST, {"limit_test": 0}, ConfigError, "limit_test must be at least 1"),
        (TRAIN_TEST, {"validation_fraction": 1.0}, ConfigError, "between 0 and 1"),
        (TRAIN_TEST, {"train_fraction": 0.0}, ConfigError, "train_fraction must lie between 0 and 1, got 0.0"),
        (TRAIN_TEST, {"train_fraction": 0.01}, DataError, "1 of 90 train images hold none of class 'b'; give a larger"),
        (TRAIN_TEST, {"train_fraction": 0.5, "trained_here": False}, ConfigError, "a checkpoint is not"),
        (replace(TRAIN_TEST, train=TRAIN.subset(np.array([0, 1, 2]))), {}, DataError, "train split: class 'b' has a"),
    ],
)
def test_impossible_wishes_say_what_would_do(
    raw: RawDataset, changes: dict[str, object], error: type[Exception], said: str
) -> None:
    """Each impossible combination is one line with the way out."""
    with pytest.raises(error, match=said) as info:
        split(raw, **changes)
    assert "\n" not in str(info.value)


def test_test_only_source_serves_a_checkpoint() -> None:
    """A data set with nothing but test is enough for a checkpoint."""
    made = split(TEST_ONLY, trained_here=False)
    assert made.train is None
    assert len(made.validation) == len(made.test) == 20


def test_one_class_is_no_classification() -> None:
    """One line, before anything is trained."""
    images = ArrayImages(np.zeros((4, 2, 2, 1), np.uint8))
    alone = RawSplit(images, np.zeros(4, np.int64))
    raw = RawDataset("one", ("a",), alone, None, alone)
    with pytest.raises(DataError, match="at least two"):
        make_splits(raw, validation_from="auto", validation_fraction=0.5, seed=0, limit_test=None, trained_here=True)
