"""From a network to `predict`: bits, padding, logits, and folded batch normalisation."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from harness.models.predictor import TINY, Output, fold_batch_normalization, make_predict, to_logits
from harness.models.preprocessing import PREPROCESSING
from harness.models.registry import build_model

RNG = np.random.default_rng(0)
layers = keras.layers


def images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Noise in [0, 255], float32."""
    return RNG.uniform(0, 255, (count, *shape)).astype(np.float32)


def shaken(model: keras.Model) -> keras.Model:
    """The model with every BatchNormalization far from its first state, so that folding has something to do."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [
                    RNG.uniform(0.2, 3, np.shape(weight))
                    if "mean" not in weight.path
                    else RNG.normal(size=weight.shape)
                    for weight in layer.weights
                ]
            )
    return model


def predictor(model: Any, *, output: str = "logits", batch_size: int = 8, units: int = 3) -> Callable[..., np.ndarray]:
    """`predict` of a model without preprocessing."""
    return make_predict(
        lambda batch: model(batch, training=False),
        input_shape=tuple(model.inputs[0].shape[1:]),
        output=Output(output, units),
        preprocessing=PREPROCESSING["none"],
        batch_size=batch_size,
    )


@pytest.mark.parametrize("kind", ["tutorial_cnn", "small_cnn", "resnet20"])
def test_exact_has_the_bits_of_model_predict(kind: str) -> None:
    """On full batches the network's numbers are those of `model.predict`, to the last bit."""
    keras.utils.set_random_seed(0)
    model = shaken(build_model(kind, input_shape=(12, 12, 3), num_classes=3))
    pixels = images(32, (12, 12, 3))
    wanted = model.predict(pixels, batch_size=16, verbose=0)
    output = "probs" if kind == "tutorial_cnn" else "logits"
    got = predictor(model, output=output, batch_size=16)(pixels)
    np.testing.assert_array_equal(got, np.log(np.maximum(wanted, TINY)) if output == "probs" else wanted)


def test_the_network_is_traced_once_and_sees_full_batches_only() -> None:
    """Whatever number of images is asked for: one trace, one batch shape."""
    traces, shapes = [], []
    dense = layers.Dense(3)
    dense.build((None, 12))

    def network(batch: Any) -> Any:
        traces.append(batch.shape)
        flat = keras.ops.reshape(batch, (-1, 12))
        import tensorflow as tf

        tf.py_function(lambda size: shapes.append(int(size)), [tf.shape(batch)[0]], [])
        return dense(flat)

    predict = make_predict(
        network,
        input_shape=(2, 2, 3),
        output=Output("logits", 3),
        preprocessing=PREPROCESSING["unit"],
        batch_size=8,
    )
    for count in (1, 8, 9, 24, 3):
        assert predict(images(count, (2, 2, 3))).shape == (count, 3)
    assert len(traces) == 1
    assert shapes == [8] * (1 + 1 + 2 + 3 + 1)


@pytest.mark.parametrize("count", [1, 7, 16, 19])
def test_logits_of_an_image_do_not_depend_on_how_many_come_with_it(count: int) -> None:
    """The last batch is padded and cut, so that the first rows of 32 images are the rows of those images alone."""
    model = shaken(build_model("small_cnn", input_shape=(8, 8, 1), num_classes=3, options={"width": 4}))
    pixels = images(32, (8, 8, 1))
    predict = predictor(model, batch_size=16)
    np.testing.assert_array_equal(predict(pixels[:count]), predict(pixels)[:count])


def test_batch_sizes_64_and_256_give_the_same_bits() -> None:
    """The two sizes that are chosen automatically are one to the kernels."""
    model = shaken(build_model("small_cnn", input_shape=(8, 8, 1), num_classes=3, options={"width": 4}))
    pixels = images(300, (8, 8, 1))
    np.testing.assert_array_equal(predictor(model, batch_size=64)(pixels), predictor(model, batch_size=256)(pixels))


def test_preprocessing_comes_before_the_network() -> None:
    """A network of a known sum sees pixels / 255."""
    predict = make_predict(
        lambda batch: keras.ops.sum(batch, axis=(1, 2)),
        input_shape=(2, 2, 3),
        output=Output("logits", 3),
        preprocessing=PREPROCESSING["unit"],
        batch_size=4,
    )
    np.testing.assert_allclose(predict(np.full((2, 2, 2, 3), 255, np.float32)), np.full((2, 3), 4), rtol=1e-6)


def test_probabilities_become_finite_logarithms() -> None:
    """Zero becomes the smallest normal number, and the softmax of the logits gives the probabilities back."""
    probs = np.array([[0.5, 0.25, 0.25], [1, 0, 0]], np.float32)
    logits = to_logits(probs, Output("probs", 3))
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(np.exp(logits), probs, atol=1e-6)


def test_one_unit_becomes_two_classes() -> None:
    """A sigmoid's p is [1 - p, p]; its logit z is [0, z]; both say the same."""
    z = np.array([[-2.0], [0.0], [3.0]], np.float32)
    p = 1 / (1 + np.exp(-z))
    from_probs, from_logit = to_logits(p, Output("probs", 1)), to_logits(z, Output("logits", 1))
    np.testing.assert_allclose(np.exp(from_probs), np.concatenate([1 - p, p], axis=1), rtol=1e-6)
    np.testing.assert_allclose(from_probs[:, 1] - from_probs[:, 0], from_logit[:, 1] - from_logit[:, 0], atol=1e-5)
    np.testing.assert_array_equal(from_logit[:, 0], 0)


def test_low_precision_comes_out_as_float32() -> None:
    """Whatever precision a network computes in, logits are float32."""
    for name in ("float16", "bfloat16"):
        values = keras.ops.convert_to_numpy(keras.ops.cast([[1.0, -2.0]], name))
        logits = to_logits(values, Output("logits", 2))
        assert logits.dtype == np.float32
        np.testing.assert_array_equal(logits, [[1, -2]])


def functional(*steps: Any, shape: tuple[int, int, int] = (6, 6, 2)) -> keras.Model:
    """A functional model of steps one after the other, flattened to three classes."""
    inputs = keras.Input(shape)
    x = inputs
    for step in steps:
        x = step(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


BN = layers.BatchNormalization


def _two_consumers() -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3)(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Add()([BN()(x), x]))))


def _shared() -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    conv, norm = layers.Conv2D(2, 3, padding="same"), BN()
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(norm(conv(norm(conv(inputs)))))))


def _nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(3, 3), BN()])
    return functional(inner, layers.Conv2D(4, 3), BN())


def _sequential() -> keras.Model:
    model = keras.Sequential()
    for layer in (keras.Input((6, 6, 2)), layers.Conv2D(4, 3), BN(), layers.ReLU(), layers.Flatten()):
        model.add(layer)
    for layer in (layers.Dense(5), BN(), layers.Dense(3)):
        model.add(layer)
    return model


def _used_elsewhere() -> keras.Model:
    model = functional(layers.Conv2D(4, 3), BN())
    keras.Model(model.inputs, layers.Dense(2)(model.layers[1].output))
    return model


def _two_calls_of_one_model() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(2, 3, padding="same"), BN()])
    return functional(inner, inner)


def _operations() -> keras.Model:
    inputs = keras.Input((6, 6, 2))
    x = BN()(layers.Conv2D(4, 3)(keras.ops.flip(inputs, axis=2) / 255))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(keras.ops.relu(x))))


FOLDED: list[tuple[str, Callable[[], keras.Model], int]] = [
    ("convolution", lambda: functional(layers.Conv2D(4, 3), BN()), 1),
    ("convolution without bias", lambda: functional(layers.Conv2D(4, 3, use_bias=False), BN()), 1),
    ("same padding and strides", lambda: functional(layers.Conv2D(4, 3, padding="same", strides=2), BN()), 1),
    ("groups", lambda: functional(layers.Conv2D(4, 3, groups=2), BN()), 1),
    ("depthwise", lambda: functional(layers.DepthwiseConv2D(3), BN()), 1),
    ("depthwise without bias", lambda: functional(layers.DepthwiseConv2D(3, use_bias=False), BN()), 1),
    ("depth multiplier 2", lambda: functional(layers.DepthwiseConv2D(3, depth_multiplier=2), BN()), 1),
    ("dense", lambda: functional(layers.Flatten(), layers.Dense(5), BN()), 1),
    ("dense without bias", lambda: functional(layers.Flatten(), layers.Dense(5, use_bias=False), BN()), 1),
    ("no scale, no centre", lambda: functional(layers.Conv2D(4, 3), BN(scale=False, center=False)), 1),
    ("sequential, layers added", _sequential, 2),
    ("nested: one inside, one outside", _nested, 2),
    ("used by another model too", _used_elsewhere, 1),
    ("operations that are no layers", _operations, 1),
    ("one model called twice", _two_calls_of_one_model, 1),
    ("nonlinear", lambda: functional(layers.Conv2D(4, 3, activation="relu"), BN()), 0),
    ("activation between", lambda: functional(layers.Conv2D(4, 3), layers.ReLU(), BN()), 0),
    ("two consumers", _two_consumers, 0),
    ("shared layers", _shared, 0),
    ("another axis", lambda: functional(layers.Conv2D(4, 3), BN(axis=1)), 0),
    ("separable", lambda: functional(layers.SeparableConv2D(4, 3), BN()), 0),
    ("first of all", lambda: functional(BN(), layers.Conv2D(4, 3)), 0),
    ("two in a row: the first", lambda: functional(layers.Conv2D(4, 3), BN(), BN()), 1),
]


@pytest.mark.parametrize(("build", "pairs"), [item[1:] for item in FOLDED], ids=[item[0] for item in FOLDED])
def test_folding_changes_no_more_than_rounding(build: Callable[[], keras.Model], pairs: int) -> None:
    """As many pairs as there are by hand; the same outputs within 1e-4; and the model itself stays as it was."""
    model = shaken(build())
    pixels = RNG.normal(size=(4, 6, 6, 2)).astype(np.float32)
    before, weights = model(pixels, training=False).numpy(), model.get_weights()
    folded, count = fold_batch_normalization(model)
    assert count == pairs
    np.testing.assert_allclose(folded(pixels, training=False).numpy(), before, atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(model(pixels, training=False).numpy(), before)
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    left, there = (sum(isinstance(layer, BN) for layer in one._flatten_layers()) for one in (folded, model))
    assert left == there - pairs


@pytest.mark.parametrize(("kind", "pairs"), [("small_cnn", 4), ("resnet20", 21), ("tutorial_cnn", 0)])
def test_how_many_pairs_our_own_models_have(kind: str, pairs: int) -> None:
    """4 convolutions; 1 + 18 convolutions and 2 projections; none, for its activations stand before."""
    keras.utils.set_random_seed(0)
    model = shaken(build_model(kind, input_shape=(8, 8, 3), num_classes=3))
    folded, count = fold_batch_normalization(model)
    assert count == pairs
    pixels = images(4, (8, 8, 3))
    wanted = model(pixels, training=False).numpy()
    np.testing.assert_allclose(
        folded(pixels, training=False).numpy(), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max()
    )


def test_folding_a_saved_model_with_foreign_code(tmp_path: Any) -> None:
    """A Lambda layer that was loaded by permission is kept as it is."""
    model = functional(layers.Lambda(lambda x: x * 2), layers.Conv2D(4, 3), BN())
    shaken(model).save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", safe_mode=False)
    folded, count = fold_batch_normalization(loaded)
    assert count == 1
    pixels = RNG.normal(size=(4, 6, 6, 2)).astype(np.float32)
    wanted = model(pixels, training=False).numpy()
    np.testing.assert_allclose(folded(pixels, training=False).numpy(), wanted, atol=1e-4, rtol=1e-4)


def test_folding_keeps_the_precision_of_a_mixed_model() -> None:
    """What was float16 between the layers stays so, or its rounding would differ by more than folding's."""
    mixed = {"dtype": "mixed_float16"}
    model = functional(layers.Conv2D(4, 3, **mixed), BN(**mixed), layers.ReLU(**mixed))
    folded, count = fold_batch_normalization(model)
    assert count == 1
    assert [layer.compute_dtype for layer in folded.layers] == [layer.compute_dtype for layer in model.layers]


@pytest.mark.slow
def test_mobilenet_v2_folds_and_stays_close() -> None:
    """Every one of its 52 normalisations follows a linear convolution."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=10)
    folded, count = fold_batch_normalization(model)
    assert count == sum(isinstance(layer, BN) for layer in model.layers) == 52
    pixels = images(4, (32, 32, 3)) / 127.5 - 1
    np.testing.assert_allclose(folded(pixels, training=False), model(pixels, training=False), atol=1e-5)


def test_statistics_of_the_batch_are_not_folded() -> None:
    """A normalisation that was built with training=True uses no moving statistics that could be folded."""
    model = functional(layers.Conv2D(4, 3), lambda x: BN()(x, training=True))
    assert fold_batch_normalization(model)[1] == 0
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3), BN()])
    assert fold_batch_normalization(functional(lambda x: inner(x, training=True)))[1] == 0
