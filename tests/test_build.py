"""From typed configuration to the values of the domain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import build
from harness.config import Config, parse
from harness.corruptions.registry import CORRUPTIONS
from harness.errors import ConfigError
from harness.models.specs import TrainingSpec
from harness.policies.best_subset import BestSubset
from harness.policies.policy import Policy
from harness.trained_source import TrainedSource
from harness.transforms.flips import HorizontalFlip, Rotate90, VerticalFlip
from harness.transforms.geometric import Rotate
from harness.views import IDENTITY, View


def config(**changes: Any) -> Config:
    """A configuration of the digits with a small network."""
    return parse({"dataset": {"kind": "digits"}, "model": {"kind": "small_cnn"}, "tta": {}, **changes})


def policies(**nodes: Any) -> tuple[Policy, ...]:
    """The policies of the nodes by name, behind identity."""
    return build.policies(config(tta=nodes))[0][1:]


def test_identity_is_always_there() -> None:
    """Without any policy, and with one more called so, there is one identity, first."""
    assert [policy.name for policy in build.policies(config())[0]] == ["identity"]
    named, _ = build.policies(config(tta={"a": {"views": ["horizontal_flip"]}, "identity": {"views": ["identity"]}}))
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


def test_copies_all_are_the_outcomes() -> None:
    """Of a random flip they are the image and its mirror image: the very views of `hflip`, which cost nothing more."""
    flip = {"kind": "random_flip", "horizontal": True, "copies": "all"}
    (both, four) = policies(both={"views": [flip]}, four={"views": [{**flip, "vertical": True}]})
    mirrored, upended = View((HorizontalFlip(),)), View((VerticalFlip(),))
    assert both.views == (IDENTITY, mirrored)
    assert four.views == (IDENTITY, mirrored, upended, View((Rotate90(2),)))
    with pytest.raises(ConfigError, match=r"tta\.a: copies: all needs finitely many outcomes"):
        policies(a={"views": [{"kind": "random_affine", "rotation_range": 10, "copies": "all"}]})


def test_view_seeds_are_policies_of_their_own() -> None:
    """Each has its name and draws anew, in every random link of a chain, and no two links of a chain draw alike."""
    chain = [
        {"kind": "random_flip", "copies": 2},
        {"kind": "random_affine", "rotation_range": 9, "seed": 1, "copies": 2},
    ]
    found = policies(a={"views": ["identity", chain], "view_seeds": [0, 3], "aggregation": ["vote", "mean_probs"]})
    assert [policy.name for policy in found] == [
        "a.vote.seed0",
        "a.mean_probs.seed0",
        "a.vote.seed3",
        "a.mean_probs.seed3",
    ]
    seeds = [[(link.seed, link.copy) for view in policy.views[1:] for link in view.transforms] for policy in found[::2]]
    assert seeds == [[(0, 0), (1, 0), (0, 1), (1, 1)], [(768, 0), (769, 0), (768, 1), (769, 1)]]
    assert all(policy.views[0] == IDENTITY for policy in found)
    (plain,) = policies(a={"views": ["identity", chain]})
    assert found[0].views == plain.views
    with pytest.raises(ConfigError, match=r"tta\.a: view_seeds needs a random transform"):
        policies(a={"views": ["horizontal_flip"], "view_seeds": [0]})


def test_a_view_seed_never_leaves_the_range_of_seeds() -> None:
    """The largest view seed beside the largest seed of a transform is a seed still."""
    kind = {"kind": "random_flip", "seed": 2**32 - 1}
    (policy,) = policies(a={"views": [kind], "view_seeds": [2**24 - 1]})
    assert policy.views[0].transforms[0].seed == 2**32 - 257  # type: ignore[attr-defined]


def test_up_to_gives_the_best_subset_of_each_size() -> None:
    """One policy a size, named by it; another aggregation beside it is refused."""
    node = {"views": ["identity", "horizontal_flip", "vertical_flip"], "up_to": 3}
    found = policies(a=node)
    assert [policy.name for policy in found] == ["a.1", "a.2", "a.3"]
    assert [policy.aggregation for policy in found] == [BestSubset(1), BestSubset(2), BestSubset(3)]
    assert len({policy.views for policy in found}) == 1
    with pytest.raises(ConfigError, match="leave aggregation out"):
        policies(a={**node, "aggregation": "vote"})


def test_aggregations_with_parameters() -> None:
    """A kind, a mapping, or several of both; names tell apart what differs, and no entry is named twice."""
    found = policies(
        gps={"views": ["identity"], "aggregation": [{"kind": "gps", "budget": 3}, {"kind": "gps", "budget": 5}]},
        a={"views": ["identity"], "aggregation": ["vote", {"kind": "trimmed_mean_probs", "fraction": 0.3}]},
        b={"views": ["identity"], "aggregation": {"kind": "vote"}},
    )
    assert [policy.name for policy in found] == ["gps(3)", "gps(5)", "a.vote", "a.trimmed_mean_probs(0.3)", "b"]
    with pytest.raises(ConfigError, match=r"tta.a: .*fraction"):
        policies(a={"views": ["identity"], "aggregation": {"kind": "trimmed_mean_probs", "fraction": 3}})


def test_denied_transforms_leave_policies_out() -> None:
    """Each policy with such a view, alone or in a chain, goes with a sentence; identity and the others stay."""
    nodes = {
        "hflip": {"views": ["identity", "horizontal_flip"]},
        "deep": {"views": [["horizontal_flip", {"kind": "rotate", "degrees": 5}]]},
        "all": {"views": [{"kind": "random_flip", "copies": "all"}]},
        "turn": {"views": ["identity", {"kind": "rotate", "degrees": 5}]},
    }
    source = {"kind": "digits", "deny": ["horizontal_flip", "rotate90"]}
    kept, notes = build.policies(config(tta=nodes, dataset=source))
    assert [policy.name for policy in kept] == ["identity", "turn"]
    assert [note.partition(" left out: dataset.deny names horizontal_flip")[0] for note in notes] == [
        "policy hflip", "policy deep", "policy all",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="unknown transform 'horizontal_flp'"):
        build.policies(config(dataset={"kind": "digits", "deny": ["horizontal_flp"]}))


@pytest.mark.parametrize(
    ("asked", "cells"),
    [
        ({}, []),
        ({"corruption": "fog", "severity": 3}, [("fog", 3)]),
        ({"corruption": ["snow", "fog"], "severity": [5, 1]}, [("snow", 5), ("snow", 1), ("fog", 5), ("fog", 1)]),
        ({"corruption": ["fog", "fog"], "severity": [2, 2]}, [("fog", 2)]),
        ({"corruption": "fog"}, [("fog", severity) for severity in range(1, 6)]),
        ({"corruption": "all", "severity": "all"}, [(name, n) for name in CORRUPTIONS for n in range(1, 6)]),
    ],
)
def test_corruptions_asked_for(asked: dict[str, Any], cells: list[tuple[str, int]]) -> None:
    """One, several or all, each once."""
    assert build.corruptions(config(**asked)) == cells


def test_corrupted_copies_of_digits() -> None:
    """Each is test with the same labels and ids under another name and digest; none is asked for, none is made."""
    data = build.dataset(config(corruption=["fog", "contrast"], severity=2), input_size=None)
    assert data.evaluated == ("validation", "test", "test@fog:2", "test@contrast:2")
    for copy in data.slices:
        np.testing.assert_array_equal(copy.labels, data.test.labels)
        np.testing.assert_array_equal(copy.ids, data.test.ids)
        assert copy.digest != data.test.digest
        assert (copy.images.read(np.arange(20)) != data.test.images.read(np.arange(20))).any()
    assert build.dataset(config(), input_size=None).slices == ()


def test_ids_of_examples() -> None:
    """Unique over the splits, and an example of a limited test keeps its id."""
    whole = build.dataset(config(), input_size=None)
    assert whole.train is not None
    ids = np.concatenate([whole.train.ids, whole.validation.ids, whole.test.ids])
    assert len(set(ids.tolist())) == 1797
    assert whole.test.ids[0] == "test/0"
    few = build.dataset(config(dataset={"kind": "digits", "limit_test": 50}), input_size=None).test
    places = [int(name.partition("/")[2]) for name in few.ids]
    np.testing.assert_array_equal(few.images.read(np.arange(50)), whole.test.images.read(np.array(places)))


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


def test_a_part_of_train_asks_for_another_training() -> None:
    """`train_fraction` reaches the splits and the training's fingerprint; the job's seed does not move the part."""

    def asked(**changes: Any) -> tuple[str, str]:
        asks = config(dataset={"kind": "digits", **changes.pop("dataset", {})}, **changes)
        data = build.dataset(asks, input_size=None)
        source = build.model_source(asks, data, path=None)
        assert isinstance(source, TrainedSource)
        return source.asked, data.split("train").digest

    whole, part = asked(), asked(dataset={"train_fraction": 0.2})
    assert whole[0] != part[0]
    assert asked(dataset={"train_fraction": 1.0}) == whole
    assert asked(dataset={"train_fraction": 0.2}, seed=1)[1] == part[1]


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
