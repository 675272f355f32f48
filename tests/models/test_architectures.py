"""The networks that we train."""

import keras
import numpy as np
import pytest

from harness.errors import ConfigError, ModelError
from harness.models import keras_application, registry
from harness.models.registry import build_model
from harness.training import output_kind


def test_tutorial_cnn_has_the_layers_of_the_article() -> None:
    """Layer by layer, and 545,098 weights and statistics on CIFAR-10 (counted by hand from the article's shapes)."""
    model = build_model("tutorial_cnn", input_shape=(32, 32, 3), num_classes=10)
    kinds = [type(layer).__name__ for layer in model.layers[2:]]
    block = ["Conv2D", "BatchNormalization", "MaxPooling2D"]
    assert kinds == [*block, *block, "Flatten", "Dense", "BatchNormalization", "Dense"]
    convolutions = (3 * 9 * 32 + 32) + 4 * 32 + (32 * 9 * 64 + 64) + 4 * 64
    assert model.count_params() == convolutions + (8 * 8 * 64 * 128 + 128) + 4 * 128 + (128 * 10 + 10)
    assert output_kind(model) == "probs"
    assert all(
        layer.get_config()["padding"] == "same" for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
    )


def test_resnet20_has_twenty_weighted_layers_and_the_papers_size() -> None:
    """19 3x3 convolutions and a dense layer; 0.27 M parameters, as in the paper's table 6."""
    model = build_model("resnet20", input_shape=(32, 32, 3), num_classes=10)
    plain = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3)]
    assert len(plain) == 19
    assert 0.265e6 < sum(np.prod(weight.shape) for weight in model.trainable_weights) < 0.275e6
    assert output_kind(model) == "logits"


@pytest.mark.parametrize("input_shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3)])
def test_small_cnn_takes_small_images_and_normalises_right_after_each_convolution(
    input_shape: tuple[int, int, int],
) -> None:
    """Logits of the right shape, and every batch normalisation can be folded into a linear convolution."""
    model = build_model("small_cnn", input_shape=input_shape, num_classes=7)
    assert model(np.zeros((2, *input_shape), np.float32)).shape == (2, 7)
    pairs = list(zip(model.layers, model.layers[1:], strict=False))
    after = [before for before, layer in pairs if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(after) == 4
    assert all(isinstance(layer, keras.layers.Conv2D) and layer.activation.__name__ == "linear" for layer in after)
    assert output_kind(model) == "logits"


@pytest.mark.parametrize("name", ["VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "MobileNetV2", "NASNetMobile"])
def test_preprocessing_inside_the_model_is_that_of_the_family(name: str) -> None:
    """The layers compute what the family's own `preprocess_input` does."""
    module = {
        "VGG16": keras.applications.vgg16,
        "ResNet50": keras.applications.resnet,
        "ResNet50V2": keras.applications.resnet_v2,
        "DenseNet121": keras.applications.densenet,
        "MobileNetV2": keras.applications.mobilenet_v2,
        "NASNetMobile": keras.applications.nasnet,
    }[name]
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3)).astype(np.float32)
    inputs = keras.Input((5, 5, 3))
    ours = keras.Model(inputs, keras_application._preprocessed(inputs, name=name))(images)
    np.testing.assert_allclose(np.asarray(ours), module.preprocess_input(images.copy()), atol=1e-4)


def test_every_application_has_a_known_preprocessing() -> None:
    """No network of the installed Keras is without an entry in the table."""
    names = keras_application.applications()
    assert len(names) > 30
    assert {keras_application.preprocessing_mode(name) for name in names} == {"caffe", "tf", "torch", "built_in"}


def test_keras_application_survives_saving(tmp_path: pytest.TempPathFactory) -> None:
    """Preprocessing is in the file: loaded in Keras' safe mode it predicts the same."""
    options = {"name": "MobileNet", "weights": None, "fine_tune": "all"}
    model = build_model("keras_application", input_shape=(32, 32, 3), num_classes=5, options=options)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(model(images)))
    assert output_kind(loaded) == "logits"


def test_caffe_preprocessing_survives_saving(tmp_path: pytest.TempPathFactory) -> None:
    """The flip from RGB to BGR is a plain Keras operation that safe mode loads."""
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras_application._preprocessed(inputs, name="VGG16"))
    model.save(tmp_path / "m.keras")
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(model(images)))


@pytest.mark.parametrize(
    ("shape", "classes", "options", "error", "says"),
    [
        ((32, 32, 3), 10, {"name": "MobilNetV2"}, ConfigError, "did you mean MobileNetV2"),
        ((32, 32, 1), 10, {"name": "VGG16", "weights": "imagenet"}, ModelError, "3 channels, got 1"),
        ((28, 28, 3), 10, {"name": "VGG16"}, ModelError, "32x32 pixels or more, got 28x28"),
        ((32, 32, 3), 10, {"name": "VGG16", "weights": "imagenet", "fine_tune": "none"}, ModelError, "1000 classes"),
        (
            (99, 99, 3),
            1000,
            {"name": "VGG16", "weights": "imagenet", "fine_tune": "none"},
            ModelError,
            "224x224, got 99",
        ),
        ((32, 32, 3), 10, {"name": "VGG16", "fine_tune": "head"}, ConfigError, "weights=imagenet"),
        ((32, 32, 3), 10, {"name": "VGG16", "wieghts": None}, ConfigError, "it takes name, weights, fine_tune"),
    ],
)
def test_unfit_applications_are_one_line(
    shape: tuple[int, int, int], classes: int, options: dict[str, object], error: type[Exception], says: str
) -> None:
    """Each mistake is named with what was expected and what came."""
    with pytest.raises(error, match=says) as caught:
        build_model("keras_application", input_shape=shape, num_classes=classes, options=options)
    assert "\n" not in str(caught.value)


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras raises when the network is away becomes a ModelError."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise Exception("URL fetch failure on https://host.invalid/w.h5: None -- [Errno -2]\nName or service not known")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fail)
    options = {"name": "VGG16", "weights": "imagenet", "fine_tune": "head"}
    with pytest.raises(ModelError, match="cannot be downloaded") as caught:
        build_model("keras_application", input_shape=(32, 32, 3), num_classes=5, options=options)
    assert "\n" not in str(caught.value)


def test_fine_tuning_the_head_trains_the_new_layer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `head` only the new dense layer moves; the network's statistics stay as they were learnt."""

    def without_download(**arguments: object) -> keras.Model:
        return keras.applications.MobileNet(**{**arguments, "weights": None})

    monkeypatch.setattr(keras_application, "applications", lambda: {"MobileNet": without_download})
    options = {"name": "MobileNet", "weights": "imagenet", "fine_tune": "head"}
    model = build_model("keras_application", input_shape=(32, 32, 3), num_classes=5, options=options)
    assert [tuple(weight.shape) for weight in model.trainable_weights] == [(1024, 5), (5,)]
    before = [np.array(weight) for weight in model.get_weights()]
    model(np.full((2, 32, 32, 3), 90, np.float32), training=True)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_an_application_as_it_is_gives_logits_of_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `none` the network keeps its own top, without the softmax."""

    def without_download(**arguments: object) -> keras.Model:
        return keras.applications.MobileNet(**{**arguments, "weights": None})

    monkeypatch.setattr(keras_application, "applications", lambda: {"MobileNet": without_download})
    options = {"name": "MobileNet", "weights": "imagenet", "fine_tune": "none"}
    model = build_model("keras_application", input_shape=(224, 224, 3), num_classes=1000, options=options)
    assert output_kind(model) == "logits"


def test_unknown_model_names_the_nearest() -> None:
    """A misspelt kind is answered with what was probably meant."""
    with pytest.raises(ConfigError, match="did you mean small_cnn"):
        build_model("smal_cnn", input_shape=(8, 8, 1), num_classes=2)


def test_entry_point_models_are_listed_and_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callable of another package, named by an entry point, is a kind like ours."""

    class Entry:
        name = "theirs"

        def load(self) -> object:
            def build(input_shape: tuple[int, int, int], num_classes: int, *, units: int) -> keras.Model:
                layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(units)]
                return keras.Sequential([*layers, keras.layers.Dense(num_classes)])

            return build

    monkeypatch.setattr(registry, "entry_points", lambda **_selection: [Entry()])
    assert "theirs" in registry.model_kinds()
    assert build_model("theirs", input_shape=(4, 4, 1), num_classes=3, options={"units": 2}).output_shape == (None, 3)
