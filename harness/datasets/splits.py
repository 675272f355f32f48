"""Decides what is validation and what is test, and says so in plain sentences."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from harness.datasets.raw import RawDataset, RawSplit
from harness.datasets.stratified import stratified_indices, stratified_split
from harness.errors import ConfigError, DataError, unknown_name
from harness.types import Dataset, Split

ValidationFrom = Literal["auto", "source", "train", "test"]
CHOICES = ("auto", "source", "train", "test")

# One stream of randomness per decision, so that one of them does not move the other.
VALIDATION_STREAM, LIMIT_STREAM, TRAIN_STREAM = 1, 2, 3


def make_splits(
    raw: RawDataset,
    *,
    validation_from: ValidationFrom,
    validation_fraction: float,
    seed: int,
    limit_test: int | None,
    trained_here: bool,
    train_fraction: float = 1.0,
) -> Dataset:
    """Train, validation and test of a data set: disjoint, in the source's order, with their digests.

    `auto` takes the source's own validation where there is one; else a part of train where the model is trained here;
    else, for a checkpoint that may have seen the training images, a half of test, the report being on the other half.
    All parts are stratified and seeded. `test` is touched by nothing but `validation_from=test` (or `auto` as above)
    and `limit_test`, validation by nothing that `train_fraction` says.

    Args:
        raw: the splits as the source states them.
        validation_from: `auto`, `source`, `train` (a part of `validation_fraction`) or `test` (a half).
        validation_fraction: in (0, 1).
        seed: of the divisions.
        limit_test: size of a stratified subset that stands for test, or None for all of it.
        trained_here: False for a checkpoint.
        train_fraction: share in (0, 1] of the train images beside validation that is trained on, stratified; a smaller
            share is part of a larger one.

    Raises:
        ConfigError: for an unknown `validation_from`, a fraction out of its range, `limit_test` below 1, or a
            `train_fraction` where nothing is trained here.
        DataError: where the source lacks the split that is asked for, or a class has too few examples to divide.
    """
    if validation_from not in CHOICES:
        raise ConfigError(unknown_name("validation_from", validation_from, CHOICES))
    if len(raw.class_names) < 2:
        raise DataError(f"data set {raw.name} has {len(raw.class_names)} class: telling apart needs at least two")
    if trained_here and raw.train is None:
        raise DataError(
            f"data set {raw.name} has no train split, and the model is to be trained; "
            f"give a data set with train images, or model=checkpoint"
        )
    raw = raw.identified()
    chosen = _resolve(raw, validation_from, trained_here)
    train, validation, test, note = _divide(raw, chosen, validation_fraction, seed)
    if not trained_here and chosen == "test" and validation_from == "auto":
        note += "; the checkpoint may have seen the train images, so they are no validation set for it"
    if not trained_here and chosen == "train":
        note += "; a checkpoint that has seen them is over-confident there, and policies chosen on them may be wrong"
    notes = [*raw.notes, note]
    if train_fraction != 1:
        train, fraction_note = _reduce(raw, train if trained_here else None, train_fraction, seed)
        notes.append(fraction_note)
    if limit_test is not None:
        test, limit_note = _limit(test, limit_test, seed)
        notes.append(limit_note)
    notes += _repeated(test, {"train": train, "validation": validation})
    return Dataset(
        name=raw.name,
        train=None if train is None else _finish("train", train, raw),
        validation=_finish("validation", validation, raw),
        test=_finish("test", test, raw),
        notes=tuple(notes),
    )


def _resolve(raw: RawDataset, validation_from: ValidationFrom, trained_here: bool) -> ValidationFrom:
    if validation_from != "auto":
        return validation_from
    if raw.validation is not None:
        return "source"
    return "train" if trained_here else "test"


def _divide(
    raw: RawDataset, chosen: ValidationFrom, fraction: float, seed: int
) -> tuple[RawSplit | None, RawSplit, RawSplit, str]:
    """Train, validation, test, and the sentence that says how they came about."""
    if chosen == "source":
        if raw.validation is None:
            raise DataError(
                f"data set {raw.name} has no validation split of its own; give dataset.validation_from=train or test"
            )
        note = f"validation: the source's own {len(raw.validation):,} images"
        return raw.train, raw.validation, raw.test, note
    unused = f"; the source's own validation images ({len(raw.validation):,}) are not used" if raw.validation else ""
    if chosen == "train":
        if raw.train is None:
            raise DataError(
                f"data set {raw.name} has no train split to take validation from; give dataset.validation_from=test"
            )
        validation, train = _cut(raw, "train", raw.train, fraction, seed)
        note = f"validation: {len(validation):,} of the {len(raw.train):,} train images, stratified, seed {seed}"
        return train, validation, raw.test, f"{note}; {len(train):,} remain{unused}"
    validation, test = _cut(raw, "test", raw.test, 0.5, seed)
    note = f"validation: a half of the test images, {len(validation):,} of {len(raw.test):,}, stratified, seed {seed}"
    return raw.train, validation, test, f"{note}; the report is on the other {len(test):,}{unused}"


def _cut(raw: RawDataset, name: str, split: RawSplit, fraction: float, seed: int) -> tuple[RawSplit, RawSplit]:
    try:
        taken, rest = stratified_split(split.labels, fraction, seed=(seed, VALIDATION_STREAM), names=raw.class_names)
    except DataError as error:
        raise DataError(f"data set {raw.name}, {name} split: {error}") from error
    return split.subset(taken), split.subset(rest)


def _reduce(raw: RawDataset, train: RawSplit | None, fraction: float, seed: int) -> tuple[RawSplit, str]:
    """A stratified part of train, refused where it would lack a class."""
    if train is None:
        raise ConfigError("dataset.train_fraction is for a model that is trained here, and a checkpoint is not")
    if not 0 < fraction < 1:
        raise ConfigError(f"dataset.train_fraction must lie between 0 and 1, got {fraction}")
    counts = np.bincount(train.labels)
    size = max(round(fraction * len(train)), 1)
    chosen = stratified_indices(train.labels, size, seed=(seed, TRAIN_STREAM))
    missing = np.setdiff1d(np.flatnonzero(counts), train.labels[chosen])
    if len(missing):
        raise DataError(
            f"data set {raw.name}: {size:,} of {len(train):,} train images hold none of class "
            f"{raw.class_names[missing[0]]!r}; give a larger dataset.train_fraction"
        )
    return train.subset(chosen), f"train: {size:,} of {len(train):,} images, stratified, seed {seed} (train_fraction)"


def _limit(test: RawSplit, limit: int, seed: int) -> tuple[RawSplit, str]:
    if limit < 1:
        raise ConfigError(f"dataset.limit_test must be at least 1, got {limit}")
    if limit >= len(test):
        return test, f"test: all {len(test):,} images (limit_test={limit:,} is no fewer)"
    chosen = stratified_indices(test.labels, limit, seed=(seed, LIMIT_STREAM))
    return test.subset(chosen), f"test: {limit:,} of {len(test):,} images, stratified, seed {seed} (limit_test)"


def _repeated(test: RawSplit, others: Mapping[str, RawSplit | None]) -> list[str]:
    """A sentence for each split that holds images of test again: their labels are known before the test."""
    known = set(test.content_digests())
    counts = {name: sum(one in known for one in split.content_digests()) for name, split in others.items() if split}
    return [
        f"warning: {count:,} {name} images occur in test as well, byte for byte; scores on test may be too good"
        for name, count in counts.items()
        if count
    ]


def _finish(name: str, raw: RawSplit, dataset: RawDataset) -> Split:
    return Split(
        name=name,
        images=raw.images,
        labels=raw.labels,
        class_names=dataset.class_names,
        digest=raw.digest(),
        files=raw.files,
        ids=raw.ids,
    )
