"""Any Keras model that a user has: loaded, looked at, or refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness.errors import ModelError
from harness.models.checkpoint import (
    Network,
    check_classes,
    detect_output,
    load_network,
    network_of,
    resolve_input_shape,
)
from harness.models.predictor import Output

layers = keras.layers
SHAPE = (6, 5, 2)
PIXELS = np.random.default_rng(0).uniform(0, 255, (4, *SHAPE)).astype(np.float32)


def model(*ending: Any, units: int = 3, shape: tuple[int | None, ...] = SHAPE, activation: Any = None) -> keras.Model:
    """A small functional model with layers after its last dense one."""
    inputs = keras.Input(shape)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
    x = layers.Dense(units, activation=activation)(x)
    for step in ending:
        x = step(x)
    return keras.Model(inputs, x)


@pytest.fixture(scope="module")
def original() -> keras.Model:
    """The model that the files of this module hold."""
    return model(activation="softmax")


def save_h5(net: keras.Model, path: Path) -> None:
    """Saves in the legacy format, about which Keras warns."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.save(path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
def test_a_file_predicts_as_the_original(original: keras.Model, name: str, tmp_path: Path) -> None:
    """The same bits, and the same digest whatever the format."""
    save_h5(original, tmp_path / name)
    network = load_network(tmp_path / name, trust=False)
    np.testing.assert_array_equal(network.call(PIXELS), original(PIXELS, training=False))
    assert (network.input_shape, network.units, network.ending) == (SHAPE, 3, "softmax")
    assert network.digest == network_of(original, name="m").digest
    assert network.model is not None


@pytest.mark.parametrize("export", [lambda net, path: net.export(path, verbose=False), tf.saved_model.save])
def test_a_saved_model_predicts_as_the_original(original: keras.Model, export: Any, tmp_path: Path) -> None:
    """The folder that `model.export` or TensorFlow writes; whether it gives probabilities is seen in its values."""
    export(original, str(tmp_path / "m"))
    network = load_network(tmp_path / "m", trust=False)
    values = np.asarray(network.call(PIXELS))
    np.testing.assert_allclose(values, original(PIXELS, training=False), atol=1e-6)
    assert (network.input_shape, network.units, network.model) == (SHAPE, 3, None)
    assert detect_output(network, "auto", values) == Output("probs", 3)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_lambda_layer_needs_trust(name: str, tmp_path: Path) -> None:
    """Code is not run unless the user says so; the line names the setting."""
    net = model(layers.Lambda(lambda x: x * 2))
    save_h5(net, tmp_path / name)
    with pytest.raises(ModelError, match=r"arbitrary code.*model\.trust=true") as caught:
        load_network(tmp_path / name, trust=False)
    assert "\n" not in str(caught.value)
    network = load_network(tmp_path / name, trust=True)
    np.testing.assert_allclose(network.call(PIXELS), net(PIXELS, training=False), rtol=1e-6)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_layer_of_the_users_own_is_named(name: str, tmp_path: Path) -> None:
    """Its class is in no file: one line says which, and what would do."""

    class Doubling(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    save_h5(model(Doubling()), tmp_path / name)
    for trust in (False, True):
        with pytest.raises(ModelError, match=r"needs Doubling, .*model\.export") as caught:
            load_network(tmp_path / name, trust=trust)
        assert "\n" not in str(caught.value)


def _text(_net: keras.Model, path: Path) -> None:
    path.write_text("hello")


def _half(net: keras.Model, path: Path) -> None:
    save_h5(net, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(_net: keras.Model, path: Path) -> None:
    path.write_bytes(b"")


def _weights(net: keras.Model, path: Path) -> None:
    other = path.with_name("w.weights.h5")
    net.save_weights(other)
    other.rename(path)


def _other_zip(_net: keras.Model, path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("m.keras", _text, "is no .keras file"),
        ("m.keras", _half, "is no .keras file"),
        ("m.keras", _empty, "is no .keras file"),
        ("m.keras", _other_zip, "cannot load m.keras"),
        ("m.h5", _text, "cannot load m.h5"),
        ("m.h5", _half, "cannot load m.h5"),
        ("m.h5", _weights, "weights only"),
        ("m.weights.h5", _weights, "weights only"),
        ("m.png", _text, "is no Keras checkpoint"),
    ],
)
def test_files_that_are_no_model_are_one_line(
    original: keras.Model, name: str, write: Callable[..., None], says: str, tmp_path: Path
) -> None:
    """Text, half a file, weights without a model, another kind of file."""
    write(original, tmp_path / name)
    with pytest.raises(ModelError, match=says) as caught:
        load_network(tmp_path / name, trust=False)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_saved_model_is_one_line(tmp_path: Path) -> None:
    """An empty folder, and one whose `saved_model.pb` is damaged."""
    with pytest.raises(ModelError, match=r"folder with saved_model\.pb"):
        load_network(tmp_path, trust=False)
    (tmp_path / "saved_model.pb").write_bytes(b"hello")
    with pytest.raises(ModelError, match="cannot load the SavedModel") as caught:
        load_network(tmp_path, trust=False)
    assert "\n" not in str(caught.value)


def _nested(activation: str) -> keras.Model:
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, model(activation=activation)(inputs))


def _sequential(activation: str) -> keras.Model:
    net = keras.Sequential()
    for layer in (keras.Input(SHAPE), layers.Flatten(), layers.Dense(3), layers.Activation(activation)):
        net.add(layer)
    return net


def _convolutional(activation: str | None) -> keras.Model:
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, activation=activation)(inputs)))


ENDINGS: list[tuple[Callable[[], keras.Model], str, str | None]] = [
    (lambda: model(activation="softmax"), "softmax", "probs"),
    (lambda: model(layers.Softmax()), "softmax", "probs"),
    (lambda: model(layers.Activation("softmax")), "softmax", "probs"),
    (lambda: model(keras.ops.softmax), "softmax", "probs"),
    (lambda: model(layers.Activation("linear", dtype="float32"), activation="softmax"), "softmax", "probs"),
    (lambda: model(layers.Dropout(0.1), layers.Identity(), activation="softmax"), "softmax", "probs"),
    (lambda: _nested("softmax"), "softmax", "probs"),
    (lambda: _sequential("softmax"), "softmax", "probs"),
    (lambda: model(), "linear", "logits"),
    (lambda: model(layers.Activation("linear")), "linear", "logits"),
    (lambda: _nested("linear"), "linear", "logits"),
    (lambda: _convolutional(None), "linear", "logits"),
    (lambda: model(keras.ops.log_softmax), "log_softmax", "logits"),
    (lambda: model(activation="log_softmax"), "log_softmax", "logits"),
    (lambda: model(activation="sigmoid", units=1), "sigmoid", "probs"),
    (lambda: model(units=1), "linear", "logits"),
    (lambda: model(activation="relu"), "relu", None),
    (lambda: model(layers.ReLU()), "relu", None),
    (lambda: model(keras.ops.relu), "relu", None),
    (lambda: _convolutional("relu"), "relu", None),
    (lambda: model(activation="sigmoid"), "sigmoid", None),
    (lambda: model(layers.BatchNormalization()), "unknown", "logits"),
    (lambda: model(layers.Rescaling(0.5)), "unknown", "logits"),
]


@pytest.mark.parametrize(("build", "ending", "kind"), ENDINGS)
def test_the_end_of_a_model_tells_logits_from_probs(
    build: Callable[[], keras.Model], ending: str, kind: str | None
) -> None:
    """By its last layers, also nested, or as an operation, or behind layers that change nothing; else one line."""
    keras.utils.set_random_seed(1)
    network = network_of(build(), name="m")
    values = np.concatenate([network.call(PIXELS), network.call(-PIXELS)])
    assert network.ending == ending
    if kind is not None:
        assert detect_output(network, "auto", values) == Output(kind, network.units)
        return
    with pytest.raises(ModelError, match=r"model\.output=logits") as caught:
        detect_output(network, "auto", values)
    assert "\n" not in str(caught.value)
    assert detect_output(network, "logits", values) == Output("logits", 3)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[0.2, 0.8], [1, 0]], "probs"),
        ([[0.2, 0.8], [np.nan, 0]], "probs"),
        ([[-1, 4], [2, 3]], "logits"),
        ([[1, 4], [2, 3]], None),
        ([[np.nan, np.nan]], None),
    ],
)
def test_an_unknown_end_is_judged_by_its_values(values: list[list[float]], kind: str | None) -> None:
    """Rows that sum to one are probabilities, a negative number is a logit, anything else is asked for."""
    network = Network(lambda x: x, SHAPE, 2, "unknown", False, "0" * 64)
    if kind is None:
        with pytest.raises(ModelError, match="recognised neither"):
            detect_output(network, "auto", np.array(values, np.float32))
    else:
        assert detect_output(network, "auto", np.array(values, np.float32)).kind == kind


def _starts(*steps: Any) -> keras.Model:
    inputs = keras.Input(SHAPE)
    x = inputs
    for step in steps:
        x = step(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3)(x))))


def _augmentation() -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), layers.RandomFlip(), layers.RandomRotation(0.1)])


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda: _starts(), False),
        (lambda: _starts(layers.Rescaling(1 / 255)), True),
        (lambda: _starts(layers.Normalization(mean=3.0, variance=4.0)), True),
        (lambda: _starts(_augmentation(), layers.Rescaling(1 / 255)), True),
        (lambda: _starts(_augmentation()), False),
        (lambda: _starts(lambda x: x / 127.5 - 1), True),
        (lambda: _starts(layers.Conv2D(2, 1), layers.Rescaling(2.0)), False),
        (lambda: _starts(_starts(layers.Rescaling(1 / 255)).layers[1]), True),
        (lambda: _starts(keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255)])), True),
        (
            lambda: keras.Sequential([keras.Input(SHAPE), layers.Rescaling(0.1), layers.Flatten(), layers.Dense(3)]),
            True,
        ),
    ],
)
def test_a_model_that_rescales_pixels_is_recognised(build: Callable[[], keras.Model], wanted: bool) -> None:
    """A layer or arithmetic before the first kernel, also behind random layers or in a nested model."""
    assert network_of(build(), name="m").rescales is wanted


def test_several_inputs_or_outputs_are_refused() -> None:
    """One line with both numbers."""
    one, two = keras.Input(SHAPE), keras.Input(SHAPE)
    x = layers.Flatten()(layers.Add()([one, two]))
    with pytest.raises(ModelError, match="2 inputs and 1 outputs"):
        network_of(keras.Model([one, two], layers.Dense(2)(x)), name="m")
    y = layers.Flatten()(one)
    with pytest.raises(ModelError, match="1 inputs and 2 outputs"):
        network_of(keras.Model(one, [layers.Dense(2)(y), layers.Dense(3)(y)]), name="m")


def test_vectors_in_or_images_out_are_refused() -> None:
    """A classifier of images takes four axes and gives two."""
    vector, image = keras.Input((4,)), keras.Input(SHAPE)
    for net in (keras.Model(vector, layers.Dense(2)(vector)), keras.Model(image, layers.Conv2D(2, 1)(image))):
        with pytest.raises(ModelError, match=r"expected \[n, H, W, channels\]"):
            network_of(net, name="m")


def test_a_model_without_an_input_is_refused(tmp_path: Path) -> None:
    """Saved before it was ever called, it has no shapes."""
    net = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    with pytest.warns(UserWarning, match="not yet been built"):
        net.save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match="no fixed input") as caught:
        load_network(tmp_path / "m.keras", trust=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("takes", "gives", "crop", "wanted"),
    [
        ((6, 5, 2), (6, 5, 2), False, (6, 5, 2)),
        ((None, None, 2), (9, 8, 2), False, (9, 8, 2)),
        ((None, None, None), (9, 8, 2), False, (9, 8, 2)),
        ((6, 5, 2), (9, 8, 2), True, (6, 5, 2)),
        ((6, 5, 2), (9, 8, 2), False, "6x5.*9x8.*center_crop"),
        ((6, 5, 2), (4, 8, 2), True, "6x5.*4x8"),
        ((6, 5, 3), (6, 5, 1), False, "3 channels.*gives 1"),
    ],
)
def test_input_size_against_the_images(takes: Any, gives: Any, crop: bool, wanted: Any) -> None:
    """Open sides take the images'; what does not fit is one line with both numbers."""
    network = Network(lambda x: x, takes, 3, "linear", False, "0" * 64)
    if isinstance(wanted, tuple):
        assert resolve_input_shape(network, gives, name="m", center_crop=crop) == wanted
        return
    with pytest.raises(ModelError, match=wanted) as caught:
        resolve_input_shape(network, gives, name="m", center_crop=crop)
    assert "\n" not in str(caught.value)


def test_classes_against_the_data_set() -> None:
    """One unit is two classes; any other difference is one line with both numbers."""
    check_classes(1, 2, name="m")
    check_classes(7, 7, name="m")
    with pytest.raises(ModelError, match="7 class scores, the data set has 10"):
        check_classes(7, 10, name="m")
    with pytest.raises(ModelError, match="1 class scores, the data set has 3"):
        check_classes(1, 3, name="m")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_other_precisions_load_and_predict(policy: str, tmp_path: Path) -> None:
    """A model of mixed or low precision gives what it gave where it was made."""
    inputs = keras.Input(SHAPE)
    x = layers.Flatten(dtype=policy)(layers.Conv2D(2, 3, dtype=policy)(inputs))
    net = keras.Model(inputs, layers.Dense(3, activation="softmax", dtype=policy)(x))
    net.save(tmp_path / "m.keras")
    network = load_network(tmp_path / "m.keras", trust=False)
    values = np.asarray(network.call(PIXELS))
    np.testing.assert_array_equal(values, net(PIXELS, training=False))
    assert detect_output(network, "auto", values) == Output("probs", 3)
