"""What a network expects of its pixels; the outside witness is Keras' own `preprocess_input`."""

import inspect

import keras
import numpy as np
import pytest

from harness.errors import ConfigError, HarnessError
from harness.models.preprocessing import FAMILIES, PREPROCESSING, Preprocessing, candidates, make_preprocessing

PIXELS = np.random.default_rng(0).uniform(0, 255, (3, 5, 4, 3)).astype(np.float32)


def modules() -> list[str]:
    """The families of `keras.applications` that have a `preprocess_input`."""
    members = inspect.getmembers(keras.applications, inspect.ismodule)
    return [name for name, module in members if hasattr(module, "preprocess_input") and name != "imagenet_utils"]


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_modes_are_those_of_keras(mode: str) -> None:
    """The same numbers as `imagenet_utils.preprocess_input`, and the images given are not changed."""
    before = PIXELS.copy()
    got = PREPROCESSING[mode](PIXELS)
    wanted = keras.applications.imagenet_utils.preprocess_input(before.copy(), data_format="channels_last", mode=mode)
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(PIXELS, before)


@pytest.mark.parametrize("family", modules())
def test_every_family_of_keras_has_its_mode(family: str) -> None:
    """Under the module's name, with the numbers of the module's own `preprocess_input`."""
    wanted = getattr(keras.applications, family).preprocess_input(PIXELS.copy(), data_format="channels_last")
    np.testing.assert_allclose(make_preprocessing(family)(PIXELS), wanted, atol=1e-4)


def test_no_family_is_unknown_to_keras() -> None:
    """A name in our table that Keras does not have would be a typing error."""
    assert set(FAMILIES) <= set(modules())


def test_none_and_unit() -> None:
    """Pixels as they are, and pixels divided by 255."""
    np.testing.assert_array_equal(make_preprocessing("none")(PIXELS), PIXELS)
    np.testing.assert_allclose(make_preprocessing("unit")(PIXELS), PIXELS / 255, rtol=1e-6)


def test_custom_is_scale_then_order_then_mean_and_deviation() -> None:
    """A value worked out by hand: one pixel (10, 20, 30), read as BGR."""
    custom = make_preprocessing({"scale": 0.1, "mean": [1, 2, 3], "std": [2, 4, 0.5], "channel_order": "bgr"})
    pixel = np.array([10, 20, 30], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(custom(pixel).ravel(), [(3 - 1) / 2, (2 - 2) / 4, (1 - 3) / 0.5], atol=1e-6)
    assert custom.name == "custom"


def test_custom_with_one_number_fits_any_channels() -> None:
    """A number stands for all channels, and spells Keras' `tf` mode."""
    custom = make_preprocessing({"scale": 1 / 127.5, "mean": 1})
    np.testing.assert_allclose(custom(PIXELS[..., :1]), PIXELS[..., :1] / 127.5 - 1, atol=1e-6)
    assert custom.spec == PREPROCESSING["tf"].spec


def test_the_name_is_not_part_of_the_spec() -> None:
    """Two spellings of the same numbers are one preprocessing to the logit key."""
    assert make_preprocessing({}).spec == make_preprocessing("none").spec
    assert make_preprocessing("resnet").spec == make_preprocessing("caffe").spec


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("tourch", "did you mean torch"),
        ({"skale": 1}, "did you mean scale"),
        ({"channel_order": "gbr"}, "rgb or bgr"),
        ({"std": [1, 0, 1]}, "std must not be 0"),
        ({"scale": "a lot"}, "model.preprocessing.scale"),
        ({"mean": ["x"]}, "model.preprocessing.mean"),
        ({"mean": None}, "model.preprocessing.mean"),
        ({"scale": float("nan")}, "model.preprocessing.scale"),
        ({"std": [float("inf")]}, "model.preprocessing.std"),
    ],
)
def test_mistakes_are_one_line(setting: object, says: str) -> None:
    """Unknown names, fields and values, each with what would do."""
    with pytest.raises(ConfigError, match=says) as caught:
        make_preprocessing(setting)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_as_many_values_as_channels() -> None:
    """Three means for one channel would broadcast to three channels without a word."""
    with pytest.raises(HarnessError, match="mean has 3 values, the images 1 channels"):
        PREPROCESSING["torch"](PIXELS[..., :1])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_candidates_fit_the_channels(channels: int) -> None:
    """All that are tried on images of so many channels can be."""
    images = np.ones((1, 2, 2, channels), np.float32)
    tried = candidates(channels)
    assert {"none", "unit", "tf"} <= set(tried)
    assert all(one(images).shape == images.shape for one in tried.values())


def test_descriptions_are_short_and_differ() -> None:
    """Each preprocessing is told in one line of its own."""
    ones = [*PREPROCESSING.values(), Preprocessing("custom", 0.5), Preprocessing("custom", 0.5, (3.0,))]
    texts = {one.describe() for one in ones}
    assert len(texts) == len(ones)
    assert all("\n" not in text for text in texts)
