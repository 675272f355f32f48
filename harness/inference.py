"""The one expensive loop: forward passes that are missing in the store are run and stored, each once.

Several processes may ask for one store at once: a pass is locked while it runs, so that the others take another pass
first, then wait, then read what was stored.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import filelock
import numpy as np

from harness.errors import ModelError
from harness.store import LogitKey, LogitStore
from harness.types import Split, TrainedModel
from harness.views import IDENTITY, ForwardPass, View

ALONE = 2  # images that a model is given one at a time, to see that it treats each by itself

# Reading an image from disk costs more than a view of it, so the passes over a streamed split share each reading.
STREAMED_GROUP = 8


def batch_size_for(input_shape: tuple[int, int, int]) -> int:
    """Batch size that keeps activations small: 256, or 64 from 96 pixels on. Both give the same bits."""
    return 64 if max(input_shape[:2]) >= 96 else 256


def run_missing(
    passes: Mapping[ForwardPass, LogitKey],
    splits: Mapping[str, Split],
    *,
    store: LogitStore,
    load_model: Callable[[], TrainedModel],
    batch_size: int | None,
    advance: Callable[[int, str], None],
) -> int:
    """Runs and stores every pass that the store does not hold; returns how many this process ran.

    Args:
        passes: what is needed, with the key it is stored under.
        splits: the splits by name.
        store: where logits are kept.
        load_model: called once, only when a pass must be run.
        batch_size: examples a batch; None chooses by the input size.
        advance: told (examples, view name) after each batch, and for passes that another process ran.

    Raises:
        ModelError: where the model gives logits that are not finite.
        StoreError: where the store cannot be written.
    """
    pending = [item for item in passes if passes[item] not in store]
    model: TrainedModel | None = None
    computed = 0
    while pending:
        with ExitStack() as locks:
            group = _claim(pending, passes, splits, store, locks)
            todo = [item for item in group if passes[item] not in store]
            if todo:
                model = model or load_model()
                size = batch_size or batch_size_for(model.input_shape)
                _run_group(todo, passes, splits[todo[0].split], store=store, model=model, size=size, advance=advance)
                computed += len(todo)
            for item in group:
                if item not in todo:
                    advance(len(splits[item.split]), item.view.name)
        pending = [item for item in pending if item not in group]
    return computed


def _claim(
    pending: Sequence[ForwardPass],
    passes: Mapping[ForwardPass, LogitKey],
    splits: Mapping[str, Split],
    store: LogitStore,
    locks: ExitStack,
) -> list[ForwardPass]:
    """The next passes over one split that no other process is running; waits where all are being run."""
    group: list[ForwardPass] = []
    for item in pending:
        if group and item.split != group[0].split:
            continue
        try:
            locks.enter_context(store.lock(passes[item]).acquire(timeout=0))
        except filelock.Timeout:
            continue
        group.append(item)
        if len(group) == (1 if splits[item.split].images.in_memory else STREAMED_GROUP):
            break
    if not group:
        locks.enter_context(store.lock(passes[pending[0]]))
        group.append(pending[0])
    return group


def _run_group(
    group: Sequence[ForwardPass],
    passes: Mapping[ForwardPass, LogitKey],
    split: Split,
    *,
    store: LogitStore,
    model: TrainedModel,
    size: int,
    advance: Callable[[int, str], None],
) -> None:
    started = time.perf_counter()
    results = forward([item.view for item in group], split, model=model, batch_size=size, advance=advance)
    seconds = (time.perf_counter() - started) / len(group)
    for item, logits in zip(group, results, strict=True):
        if not np.isfinite(logits).all():
            raise ModelError(
                f"model {model.name} gives logits that are not finite on {split.name} under view {item.view.name}: "
                f"check model.preprocessing and model.output"
            )
        note = {
            "model_name": model.name,
            "split_name": split.name,
            "seconds": round(seconds, 4),
            "batch_size": size,
            **model.notes,
        }
        if item.view == IDENTITY:
            note["alone_difference"] = alone_difference(split, logits, model=model)
        store.put(passes[item], logits, note=note)


def alone_difference(split: Split, logits: np.ndarray, *, model: TrainedModel) -> float:
    """How far a logit of an image given alone lies from the same in its batch, relative to the largest of the two.

    Float rounding makes it 1e-6 or so; a model that looks at its batch (normalisation by batch statistics, a layer that
    mixes examples) makes it large.

    Args:
        split: its first and its last image are tried.
        logits: `[N, C]` of identity over the split, as the passes found them.
        model: what to try.
    """
    places = np.unique(np.linspace(0, len(split) - 1, ALONE).round().astype(np.int64))
    views = [
        IDENTITY(split.images.read(places[i : i + 1]), places[i : i + 1], size=model.input_shape[:2])
        for i in range(len(places))
    ]
    alone = np.concatenate([model.predict(view) for view in views])
    scale = max(1.0, float(np.abs(logits[places]).max()))
    return float(np.abs(alone - logits[places]).max()) / scale


def forward(
    views: Sequence[View],
    split: Split,
    *,
    model: TrainedModel,
    batch_size: int,
    advance: Callable[[int, str], None],
) -> list[np.ndarray]:
    """Logits `[N, C]` float32 of one model over one split, one array a view; the images are read once.

    Each batch has `batch_size` examples; the last is padded by the model's `predict` and cut, so that the logits of an
    example do not depend on N.
    """
    count, (height, width, _) = len(split), model.input_shape
    results = [np.empty((count, model.num_classes), np.float32) for _ in views]
    for start in range(0, count, batch_size):
        indices = np.arange(start, min(start + batch_size, count))
        images = split.images.read(indices)
        for view, logits in zip(views, results, strict=True):
            logits[indices] = model.predict(view(images, indices, size=(height, width)))
            advance(len(indices), view.name)
    return results
