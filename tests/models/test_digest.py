"""The digest of a model."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from harness.models.digest import model_digest
from harness.models.registry import build_model


def network(*, kernel: int = 3) -> keras.Model:
    """A model with branches, two layers of a kind, and an operation that is not a layer."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, kernel, padding="same")(keras.ops.flip(inputs, axis=2))
    x = keras.layers.Add()([x, keras.layers.Conv2D(2, 1)(inputs)])
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Dropout(0.5)(x))))


def sequential() -> keras.Model:
    """A sequential model with a nested one."""
    keras.utils.set_random_seed(3)
    nested = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    return keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), nested, keras.layers.Dense(2)])


def resnet() -> keras.Model:
    """One of ours, with shared configs of regularizers."""
    keras.utils.set_random_seed(3)
    return build_model("resnet20", input_shape=(8, 8, 1), num_classes=3)


@pytest.mark.parametrize("build", [network, sequential, resnet])
def test_same_weights_have_one_digest_whatever_the_names(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    """A second model of the process has other layer names, a clone and a loaded file others again."""
    first, second = build(), build()
    assert first.layers[-1].name != second.layers[-1].name
    second.compile("adam", "mse")
    second.optimizer.build(second.trainable_variables)
    second.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert model_digest(second) == model_digest(first)
    assert model_digest(loaded) == model_digest(first)


def test_another_process_finds_the_same_digest(tmp_path: Path) -> None:
    """Saved here and loaded there, under names of its own."""
    model = network()
    model.save(tmp_path / "m.keras")
    code = (
        "import sys; from harness.backend import keras; from harness.models.digest import model_digest\n"
        "keras.layers.Conv2D(1, 1), keras.layers.Dense(1)\n"
        "print(model_digest(keras.models.load_model(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.keras")]
    there = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == model_digest(model)


def test_one_ulp_in_one_weight_is_another_model() -> None:
    """The digest sees the last bit of a weight."""
    model = network()
    before = model_digest(model)
    weights = model.get_weights()
    weights[1].flat[0] = np.nextafter(weights[1].flat[0], np.float32(1))
    model.set_weights(weights)
    assert model_digest(model) != before


def test_another_architecture_with_the_same_weights_is_another_model() -> None:
    """The same arrays under another activation, or joined in another order, compute something else."""

    def dense(activation: str) -> keras.Model:
        keras.utils.set_random_seed(1)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation=activation)])

    def chain(first: int) -> keras.Model:
        inputs = keras.Input((2,))
        steps = [keras.layers.ReLU(), keras.layers.Rescaling(-1.0)]
        x = steps[1 - first](steps[first](inputs))
        return keras.Model(inputs, x)

    assert model_digest(dense("relu")) != model_digest(dense("linear"))
    assert model_digest(chain(0)) != model_digest(chain(1))


def test_digest_ignores_the_state_of_random_generators() -> None:
    """Having drawn dropout masks does not make another model."""
    model = network()
    before = model_digest(model)
    model(np.zeros((2, 8, 8, 1), np.float32), training=True)
    assert model_digest(model) == before
