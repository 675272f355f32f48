"""The trap of porting the well-known TTA tutorial to Keras 3, shown with Keras itself, and that we are not in it.

The tutorial repeats one image through a generator: `model.predict_generator(flow, steps=7)` gave seven rows, whose sum
was the prediction. Keras 3 has `model.predict(flow, steps=7)`, which stops after the one image that the flow holds: one
row, of a random flip, and the "sum over seven copies" is noise.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from harness.build import policies
from harness.compose import compose
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy
from harness.prediction import predict

COPIES, CLASSES = 7, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network that tells left from right: softmax of one dense layer."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential([layers.Input((6, 6, 1)), layers.Flatten(), layers.Dense(CLASSES), layers.Softmax()])
    network.layers[1].set_weights([np.random.default_rng(1).normal(0, 0.01, (36, CLASSES)), np.zeros(CLASSES)])
    return network


class OneImage(keras.utils.PyDataset):
    """What `ImageDataGenerator.flow` of one image is to Keras 3: a data set of one batch of one image."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _index: int) -> tuple[np.ndarray]:
        return (IMAGES[:1],)


def legacy_flow() -> Any:
    """The tutorial's own line: random flips of one image, with batches as large as there are copies."""
    image = pytest.importorskip("keras.src.legacy.preprocessing.image")
    return image.ImageDataGenerator(horizontal_flip=True).flow(IMAGES[:1], batch_size=COPIES)


@pytest.mark.parametrize("flow", [OneImage, legacy_flow])
def test_keras_gives_one_row_for_seven_steps(model: keras.Model, flow: Callable[[], Any]) -> None:
    """Seven steps over one image are one row and a warning: whoever sums them has no copies at all."""
    with pytest.warns(UserWarning, match="ran out of data"):
        rows = model.predict(flow(), steps=COPIES, verbose=0)
    assert rows.shape == (1, CLASSES)


def said(model: keras.Model, policy: Policy) -> np.ndarray:
    """What the harness makes of a policy: probabilities `[N, C]`, from log-probabilities of each view."""
    indices = np.arange(len(IMAGES))
    views = [np.log(model.predict(view(IMAGES, indices, size=(6, 6)), verbose=0)) for view in policy.views]
    logits = ViewLogits(tuple(views))
    fitted = policy.aggregation.fit(logits, np.zeros(len(IMAGES), np.int64))
    found = predict(fitted, logits, name=policy.name)
    assert (found.passes == len(policy.views)).all()
    return np.exp(found.log_probs)


@pytest.fixture(scope="module")
def asked() -> dict[str, Policy]:
    """The tutorial's seven random flips, and their exact limit."""
    return {policy.name: policy for policy in policies(compose(["tta=[tutorial,tutorial_limit]"]))[0]}


def test_our_seven_flips_are_seven_predictions(model: keras.Model, asked: dict[str, Policy]) -> None:
    """Every image gets the mean of seven rows, k mirrored and 7 - k plain ones, for one k of 0 to 7."""
    plain, mirrored = (model.predict(images, verbose=0) for images in (IMAGES, IMAGES[:, :, ::-1]))
    found = said(model, asked["tutorial"])
    assert len(asked["tutorial"].views) == COPIES
    mixtures = np.stack([((COPIES - k) * plain + k * mirrored) / COPIES for k in range(COPIES + 1)])
    distance = np.abs(mixtures - found).max(axis=2)
    assert (distance.min(axis=0) < 1e-6).all()
    assert len(set(distance.argmin(axis=0).tolist())) > 1  # each image draws for itself


def test_our_exact_policy_is_image_and_mirror_image(model: keras.Model, asked: dict[str, Policy]) -> None:
    """`tutorial_limit` is half the image's row and half the mirror image's, for each image, without a draw."""
    plain, mirrored = (model.predict(images, verbose=0) for images in (IMAGES, IMAGES[:, :, ::-1]))
    np.testing.assert_allclose(said(model, asked["tutorial_limit"]), (plain + mirrored) / 2, atol=1e-6)
    assert np.abs(plain - mirrored).max() > 0.05  # so that neither alone would do
