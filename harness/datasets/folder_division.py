"""Which image files of a folder are train, validation and test, where its tree does not say."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.datasets.image_files import ScannedFile
from harness.datasets.image_tree import Listing
from harness.datasets.stratified import stratified_split
from harness.errors import ConfigError

TEST_FRACTION = 0.2
TEST_STREAM, VALIDATION_STREAM = 3, 4  # one stream of randomness per division


@dataclass(frozen=True)
class Division:
    """How a folder without the split in question is divided; the options of `load_image_folder`."""

    rule: str
    validation_split: float
    test_split: float | None
    seed: int


@dataclass(frozen=True, eq=False)
class Part:
    """Files of one split folder and which of them to use (`indices`, sorted)."""

    listing: Listing
    scanned: tuple[ScannedFile, ...]
    indices: np.ndarray


def assign(
    root: Path, parts: dict[str, Part], division: Division, class_names: tuple[str, ...]
) -> tuple[dict[str, Part], list[str]]:
    """The parts with a test split among them, and the sentences that say how they came about."""
    notes: list[str] = []
    parts = dict(parts)
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append("test: the validation folder, as there is no test folder")
    if "test" in parts and division.test_split is not None:
        raise ConfigError(f"dataset.test_split: {root} has a folder for test already; leave test_split out")
    if "validation" in parts and division.validation_split:
        raise ConfigError(f"dataset.validation_split: {root} has a folder for validation already; set it to 0")
    if "test" in parts:
        if division.validation_split:
            if "train" not in parts:
                raise ConfigError(f"dataset.validation_split divides train images, and {root} has no train folder")
            parts["validation"], parts["train"] = _divide(parts["train"], division, class_names)
            notes.append(_told("validation", parts["validation"], "the train folder", division))
        return parts, notes
    return _assign_plain_tree(root, parts["train"], division, class_names)


def _assign_plain_tree(
    root: Path, whole: Part, division: Division, class_names: tuple[str, ...]
) -> tuple[dict[str, Part], list[str]]:
    """Test (and validation, where asked) taken out of a tree that states no splits."""
    if division.rule == "keras":
        if division.test_split is not None or not division.validation_split:
            raise ConfigError(
                f"split_rule=keras divides {root} by dataset.validation_split (in (0, 1), without test_split), "
                f"got validation_split={division.validation_split} and test_split={division.test_split}"
            )
        test, train = _divide(whole, division, class_names)
        return {"train": train, "test": test}, [_told("test", test, "the folder", division)]
    fraction = TEST_FRACTION if division.test_split is None else division.test_split
    if fraction + division.validation_split >= 1:
        raise ConfigError(
            f"test_split and validation_split leave no train images: {fraction} + {division.validation_split}"
        )
    test, train = _take(whole, fraction, (division.seed, TEST_STREAM), class_names)
    parts = {"train": train, "test": test}
    notes = [_told("test", test, "the folder", division)]
    if division.validation_split:
        share = division.validation_split / (1 - fraction)
        parts["validation"], parts["train"] = _take(train, share, (division.seed, VALIDATION_STREAM), class_names)
        notes.append(_told("validation", parts["validation"], "the folder", division))
    return parts, notes


def _divide(part: Part, division: Division, class_names: tuple[str, ...]) -> tuple[Part, Part]:
    """`validation_split` of a part, and the rest."""
    if division.rule == "stratified":
        return _take(part, division.validation_split, (division.seed, VALIDATION_STREAM), class_names)
    if not 0 < division.validation_split < 1:
        raise ConfigError(f"validation_split must lie in [0, 1), got {division.validation_split}")
    held = keras_head(part.listing.labels, division.validation_split)
    rest = np.setdiff1d(part.indices, held, assume_unique=True)
    return replace(part, indices=held), replace(part, indices=rest)


def keras_head(labels: np.ndarray, fraction: float) -> np.ndarray:
    """Indices of the first `int(fraction * n)` of each class's n examples: Keras' `subset="validation"`."""
    heads = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.sort(np.concatenate([head[: int(fraction * len(head))] for head in heads]))


def _take(part: Part, fraction: float, seed: tuple[int, int], class_names: tuple[str, ...]) -> tuple[Part, Part]:
    good = usable(part)
    taken, rest = stratified_split(good.listing.labels[good.indices], fraction, seed=seed, names=class_names)
    return replace(good, indices=good.indices[taken]), replace(good, indices=good.indices[rest])


def usable(part: Part) -> Part:
    """The part without its bad images."""
    bad = np.array([bool(part.scanned[i].problem) for i in part.indices], bool)
    return replace(part, indices=part.indices[~bad])


def _told(name: str, part: Part, source: str, division: Division) -> str:
    how = (
        f"the first {division.validation_split:g} of each class's sorted files (split_rule=keras)"
        if division.rule == "keras"
        else f"stratified, seed {division.seed}"
    )
    return f"{name}: {len(usable(part).indices):,} of the {len(part.listing.files):,} images of {source}, {how}"
