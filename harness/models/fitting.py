"""One epoch of training and one evaluation: plain loops over traced steps, each a function of its arguments.

Not `keras.Model.fit`: it keeps the order of the images, the state of its random layers and its early stopping in
places that a restart cannot restore.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.augmentation import Augment, reseed
from harness.backend import keras, tf
from harness.errors import TrainingError
from harness.models.specs import TrainingSpec
from harness.types import Split

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Learner:
    """A model with its optimizer and its two traced steps.

    Attributes:
        train_step: images `[n, H, W, channels]` float32 and labels `[n]` int64 to (mean loss, correct count), after
            one step of the optimizer.
        test_step: the same without the step.
    """

    model: keras.Model
    optimizer: Any
    train_step: Callable[[Any, Any], tuple[Any, Any]]
    test_step: Callable[[Any, Any], tuple[Any, Any]]


def make_learner(
    model: keras.Model, *, spec: TrainingSpec, output: Literal["probs", "logits"], steps_per_epoch: int
) -> Learner:
    """A learner for `model` with Adam and cross-entropy, all its variables made."""
    optimizer = keras.optimizers.Adam(_learning_rate(spec, steps_per_epoch=steps_per_epoch))
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=output == "logits")
    # One signature with an open batch dimension: the last, smaller batch must not be traced anew.
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32), tf.TensorSpec((None,), tf.int64)]

    def measure(images: Any, labels: Any, *, training: bool) -> tuple[Any, Any]:
        outputs = model(images, training=training)
        loss = tf.add_n([cross_entropy(labels, outputs), *model.losses])
        return loss, tf.math.count_nonzero(tf.argmax(outputs, axis=-1) == labels)

    def train_step(images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, correct = measure(images, labels, training=True)
        variables = [variable.value for variable in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
        return loss, correct

    def test_step(images: Any, labels: Any) -> tuple[Any, Any]:
        return measure(images, labels, training=False)

    return Learner(
        model=model,
        optimizer=optimizer,
        train_step=tf.function(train_step, input_signature=signature),
        test_step=tf.function(test_step, input_signature=signature),
    )


def train_epoch(
    learner: Learner,
    split: Split,
    *,
    epoch: int,
    seed: int,
    batch_size: int,
    augment: Augment,
    on_batch: Callable[[int, int], None],
) -> dict[str, float]:
    """Train one epoch (from 0) and give its mean `loss` and `accuracy`, measured while the weights move.

    Raises:
        TrainingError: for a loss that is not finite.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(split))
    reseed(learner.model.variables, key=(seed, epoch))
    total = -(-len(split) // batch_size)
    loss_sum, correct_sum = 0.0, 0
    for batch, (images, labels) in enumerate(_batches(split, order, batch_size=batch_size)):
        loss, correct = learner.train_step(augment(images, (seed, epoch, batch)), labels)
        if not np.isfinite(float(loss)):
            raise TrainingError(
                f"the loss became {float(loss)} in epoch {epoch + 1}, batch {batch + 1} of {total}: "
                f"try a lower training.learning_rate"
            )
        loss_sum += float(loss) * len(labels)
        correct_sum += int(correct)
        on_batch(batch + 1, total)
    return {"loss": loss_sum / len(split), "accuracy": correct_sum / len(split)}


def evaluate(learner: Learner, split: Split) -> dict[str, float]:
    """Mean `val_loss` and `val_accuracy` over a split."""
    loss_sum, correct_sum = 0.0, 0
    for images, labels in _batches(split, np.arange(len(split)), batch_size=_EVALUATION_BATCH):
        loss, correct = learner.test_step(images, labels)
        loss_sum += float(loss) * len(labels)
        correct_sum += int(correct)
    return {"val_loss": loss_sum / len(split), "val_accuracy": correct_sum / len(split)}


def _batches(split: Split, order: np.ndarray, *, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images float32 and labels in the order given; the next batch is read while the caller works on this one."""
    chunks = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def read(chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return split.images.read(chunk).astype(np.float32), split.labels[chunk].astype(np.int64)

    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(read, chunks[0])
        for chunk in chunks[1:]:
            ready, coming = coming, reader.submit(read, chunk)
            yield ready.result()
        yield coming.result()


def _learning_rate(spec: TrainingSpec, *, steps_per_epoch: int) -> Any:
    if spec.schedule == "constant" or spec.epochs == 0:
        return spec.learning_rate
    return keras.optimizers.schedules.CosineDecay(spec.learning_rate, spec.epochs * steps_per_epoch)
