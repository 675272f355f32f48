"""From typed configuration to the values of the domain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import build
from harness.config import Config, parse
from harness.errors import ConfigError
from harness.models.specs import TrainingSpec
from harness.policies.policy import Policy
from harness.transforms.flips import HorizontalFlip
from harness.transforms.geometric import Rotate
from harness.views import IDENTITY, View


def config(**changes: Any) -> Config:
    """A configuration of the digits with a small network."""
    return parse({"dataset": {"kind": "digits"}, "model": {"kind": "small_cnn"}, "tta": {}, **changes})


def policies(**nodes: Any) -> tuple[Policy, ...]:
    """The policies of the nodes by name, behind identity."""
    return build.policies(config(tta=nodes))[1:]


def test_identity_is_always_there() -> None:
    """Without any policy, and with one more called so, there is one identity, first."""
    assert [policy.name for policy in build.policies(config())] == ["identity"]
    named = build.policies(config(tta={"a": {"views": ["horizontal_flip"]}, "identity": {"views": ["identity"]}}))
    assert [policy.name for policy in named] == ["identity", "a"]


def test_views_and_chains() -> None:
    """A name, a mapping and a list of both are views; the same view twice is one."""
    (policy,) = policies(
        a={
            "views": [
                "identity",
                "horizontal_flip",
                ["horizontal_flip", {"kind": "rotate", "degrees": 10}],
                ["horizontal_flip", {"kind": "rotate", "degrees": 10.0}],
                {"kind": "rotate", "degrees": 0},
            ]
        }
    )
    flip = HorizontalFlip()
    assert policy.views == (IDENTITY, View((flip,)), View((flip, Rotate(degrees=10.0))))


def test_copies_are_numbered_views() -> None:
    """`copies: n` gives n views that differ, and those of fewer copies are the first ones of more."""
    kind = {"kind": "random_affine", "rotation_range": 10, "seed": 3}
    (few, many) = policies(few={"views": [{**kind, "copies": 7}]}, many={"views": [{**kind, "copies": 16}]})
    assert (len(few.views), len(many.views)) == (7, 16)
    assert many.views[:7] == few.views


def test_copies_of_a_chain() -> None:
    """In a chain the number of copies belongs to the whole chain; two different numbers are refused."""
    flip = {"kind": "random_flip", "horizontal": True, "vertical": False, "seed": 0}
    affine = {"kind": "random_affine", "rotation_range": 10, "seed": 0}
    (policy,) = policies(a={"views": [[{**flip, "copies": 3}, {**affine, "copies": 3}]]})
    assert len(policy.views) == 3
    with pytest.raises(ConfigError, match="one whole number"):
        policies(a={"views": [[{**flip, "copies": 3}, {**affine, "copies": 4}]]})


def test_product_offers_identity_in_each_factor() -> None:
    """Factors of 1 and 2 views give (1 + 1) x (2 + 1) views, the plain image first."""
    (policy,) = policies(
        a={"product": [["horizontal_flip"], [{"kind": "rotate", "degrees": 5}, {"kind": "rotate", "degrees": -5}]]}
    )
    assert len(policy.views) == 6
    assert policy.views[0] == IDENTITY


def test_a_models_own_training_default() -> None:
    """What the configuration leaves open is the model's own default; what it says counts; else the general one."""
    spec = build.training_spec(config(model={"kind": "tutorial_cnn"}))
    assert (spec.epochs, spec.batch_size) == (3, 128)
    assert build.training_spec(config(model={"kind": "tutorial_cnn"}, training={"epochs": 5})).epochs == 5
    assert build.training_spec(config(model={"kind": "somebodys"})) == TrainingSpec()


def test_digits() -> None:
    """The data set's splits are disjoint parts of scikit-learn's 1,797 images."""
    data = build.dataset(config(), input_size=None)
    assert data.train is not None
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    limited = build.dataset(config(dataset={"kind": "digits", "limit_test": 50}), input_size=None)
    assert len(limited.test) == 50
    assert limited.validation.digest == data.validation.digest


def test_a_checkpoint_gets_no_seen_images_for_validation(tmp_path: Path) -> None:
    """For a model that was not trained here, validation is a half of test where the source has none of its own."""
    rows = np.arange(40) % 2
    images = np.zeros((40, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=rows, x_test=images, y_test=rows)
    source = {"kind": "npz", "path": str(tmp_path / "a.npz")}
    foreign = build.dataset(config(dataset=source, model={"kind": "checkpoint", "path": "x"}), input_size=None)
    ours = build.dataset(config(dataset=source), input_size=None)
    assert (len(foreign.validation), len(foreign.test)) == (20, 20)
    assert (len(ours.validation), len(ours.test)) == (4, 40)
    assert any("a half of the test images" in note for note in foreign.notes)


@pytest.mark.parametrize(
    ("dataset", "crops"),
    [
        ({"kind": "digits"}, False),
        ({"kind": "digits", "center_crop": True}, True),
        ({"kind": "image_folder", "path": "x"}, False),
        ({"kind": "image_folder", "path": "x", "target_size": [256, 256]}, True),
    ],
)
def test_when_larger_images_are_meant(dataset: dict[str, Any], crops: bool) -> None:
    """A load size, or `center_crop`, says that images larger than the model's input are cropped about the centre."""
    assert build.center_crop(config(dataset=dataset)) is crops
