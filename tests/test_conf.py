"""Every YAML file that comes along composes and builds, and a user's own are found."""

import re
from collections import Counter
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness.build import policies
from harness.compose import compose
from harness.config import choices, conf_folder
from harness.errors import DataError
from harness.policies.policy import Policy, required_views

REQUIRED = {"image_folder": ["dataset.path=x"], "npz": ["dataset.path=x"], "checkpoint": ["model.path=x"]}
SINGLE = [name for name in choices("tta") if not name.startswith("suite/")]
ROOT = Path(__file__).parent.parent
STUDIES = sorted(file.parent.name for file in (ROOT / "experiments").glob("*/config.yaml"))
SUITES = [name for name in choices("tta") if name.startswith("suite/")]
PEERS = {
    "hflip": 2, "vflip": 2, "flips": 4, "d4": 8, "five_crop": 5, "ten_crop": 10, "multiscale": 3,
    "tta_wrapper": 18, "tta_wrapper_single": 16, "edafa": 13, "airbench": 6, "fastai": 8,
    "better_aggregation_standard": 30, "better_aggregation_expanded": 120,
    "discard_subsampling": 131, "discard_subsampling_pairs": 120,
    "gps_randaugment": 20, "gps_crops": 20, "gps_resized_crops": 20, "memo_augmix": 8,
    "albumentations_photometric": 12,
}  # fmt: skip
RGB_ONLY = {name for name in PEERS if name.startswith(("better_aggregation_e", "discard", "gps_r", "albument"))}
RGB_ONLY -= {"gps_resized_crops"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def composed(*overrides: str) -> tuple[Policy, ...]:
    """The policies of a command line."""
    return policies(compose(overrides))[0]


@pytest.mark.parametrize("name", choices("tta"))
def test_every_policy_and_suite_builds(name: str) -> None:
    """Each file of `conf/tta` becomes policies, identity first, whose names differ."""
    found = composed(f"tta={name}")
    assert found[0].name == "identity"
    assert len({policy.name for policy in found}) == len(found)


@pytest.mark.parametrize("name", SINGLE)
def test_a_policy_is_called_as_its_file(name: str) -> None:
    """`tta=NAME` defines the policy NAME and no other, so that the command says what will be in the table."""
    text = (conf_folder() / "tta" / f"{name}.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load(text)) == [name]


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_names_nothing_twice(suite: str) -> None:
    """Within a suite no two policies have the same views and aggregation: a duplicate would double its rows."""
    seen = Counter((frozenset(policy.views), policy.aggregation) for policy in composed(f"tta={suite}"))
    assert {key: count for key, count in seen.items() if count > 1} == {}


def test_standard_suite_is_as_large_as_it_says() -> None:
    """`suite/standard` has the policies and views that its first line promises."""
    found = composed("tta=suite/standard")
    assert (len(found), len(required_views(found))) == (61, 47)
    text = (conf_folder() / "tta" / "suite" / "standard.yaml").read_text(encoding="utf-8")
    assert "61 policies that share 47 views" in text


@lru_cache(maxsize=1)
def peers() -> dict[str, Policy]:
    """The policies of `suite/peers`: each file is the policy of its name, so one composition serves all tests."""
    return {policy.name: policy for policy in composed("tta=suite/peers")}


def test_peers_suite_is_as_large_as_it_says() -> None:
    """`suite/peers` holds the peers' sets and has the policies and views that its first line promises."""
    found = tuple(peers().values())
    assert [policy.name for policy in found] == ["identity", *PEERS]
    text = (conf_folder() / "tta" / "suite" / "peers.yaml").read_text(encoding="utf-8")
    assert f"{len(found)} policies that share {len(required_views(found))} views" in text


@pytest.mark.parametrize(("name", "count"), PEERS.items())
def test_peers_have_their_views(name: str, count: int) -> None:
    """As many different views as the peer has; a file that says how many says so rightly."""
    assert len(peers()[name].views) == count
    text = (conf_folder() / "tta" / f"{name}.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"(\d+) views", text.splitlines()[0])) <= {str(count)}


@pytest.mark.parametrize("name", PEERS)
def test_peers_run_on_small_and_larger_images(name: str) -> None:
    """Every view of 32 x 32 colour images, and of larger ones for that input, fits the model and has its own pixels."""
    views = peers()[name].views
    for side in (32, 40):
        images = np.random.default_rng(side).integers(10, 241, (3, side, side, 3), dtype=np.uint8)
        images[0, 8:10, 8:10] = (
            0,
            255,
            0,
        )  # pure black and white count for some operations, and leave others nothing to do
        seen = [view(images, np.arange(3), size=(32, 32)) for view in views]
        assert {result.shape for result in seen} == {(3, 32, 32, 3)}
        assert all(result.min() >= 0 and result.max() <= 255 for result in seen)
        assert len({result.tobytes() for result in seen}) == len(views)


@pytest.mark.parametrize("name", PEERS)
def test_peers_on_grey_images(name: str) -> None:
    """A set either works on one channel, or the first transform that needs colour says so by its name."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    views = peers()[name].views
    needs_rgb = {link.kind for view in views for link in view.transforms if link.needs_rgb}
    assert bool(needs_rgb) == (name in RGB_ONLY)
    expectation = pytest.raises(DataError, match=f"({'|'.join(needs_rgb)}).* needs RGB images with 3 channels, got 1")
    with expectation if needs_rgb else nullcontext():
        for view in views:
            view(images, np.arange(2), size=(32, 32))


def test_airbench_moves_as_airbench_does() -> None:
    """The windows of its reflect-padded image: [0:32] shows it moved down-right, [2:34] up-left, each also mirrored."""
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    plain = [images, padded[:, 2:34, 2:34], padded[:, :32, :32]]
    expected = [mirrored for window in plain for mirrored in (window, window[:, :, ::-1])]
    seen = [view(images, np.arange(2), size=(32, 32)) for view in peers()["airbench"].views]
    assert np.array_equal(np.stack(seen), np.stack(expected))


def test_better_aggregation_is_a_product() -> None:
    """Two flips, five positions and three scales, each combination once."""
    views = peers()["better_aggregation_standard"].views
    crops = Counter((view.transforms[0].label(), len(view.transforms)) for view in views)
    assert set(crops.values()) == {1}
    fractions = Counter(round(0.875 / spec["fraction"], 4) for view in views for spec in view.spec[:1])
    assert fractions == {1.0: 10, 1.04: 10, 1.1: 10}


def test_more_copies_keep_those_there_are(tmp_path: Path) -> None:
    """The views of 10 copies are the first ten of 40: stored passes stay useful."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    text = (conf_folder() / "tta" / "gps_randaugment.yaml").read_text(encoding="utf-8")
    (folder / "more.yaml").write_text(text.replace("gps_randaugment:", "more:").replace("copies: 10", "copies: 40"))
    few, many = peers()["gps_randaugment"].views, composed("tta=more")[1].views
    assert (few[:10], few[10:]) == (many[:10], many[40:50])


def test_policies_and_suites_combine() -> None:
    """A list takes policies and suites, and each policy comes once."""
    names = {policy.name for policy in composed("tta=[hflip,d4]")}
    assert names == {"identity", "hflip", "d4"}
    quick = {policy.name for policy in composed("tta=suite/quick")}
    assert {policy.name for policy in composed("tta=[suite/quick,random_affine]")} == quick | {"random_affine"}


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in ("dataset", "model", "augmentation", "tracking") for name in choices(group)],
)
def test_every_choice_composes(group: str, name: str) -> None:
    """Each file of a group becomes a typed configuration of its kind."""
    node = getattr(compose([f"{group}={name}", *REQUIRED.get(name, [])]), group)
    assert getattr(node, "kind", name) == name


def test_several_aggregations_are_several_policies() -> None:
    """`aggregation=[a,b]` gives two policies over the same views, each named by its aggregation."""
    found = composed("tta=hflip", "tta.hflip.aggregation=[mean_probs,vote]")
    assert [(policy.name, policy.aggregation.kind) for policy in found[1:]] == [
        ("hflip.mean_probs", "mean_probs"),
        ("hflip.vote", "vote"),
    ]
    assert found[1].views == found[2].views


def test_own_policy_in_the_working_directory(tmp_path: Path) -> None:
    """`conf/tta/mine.yaml` beside the user is a policy like ours, alone and combined with ours."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine:\n  views: [identity, {kind: rotate, degrees: 3}]\n  aggregation: vote\n")
    assert composed("tta=mine")[1].aggregation.kind == "vote"
    assert [policy.name for policy in composed("tta=[hflip,mine]")] == ["identity", "hflip", "mine"]
    assert "mine" in choices("tta")


def test_own_product_in_the_working_directory(tmp_path: Path) -> None:
    """A product multiplies its factors, each with the identity, and counts a view once: 2 x 3 here."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "grid.yaml").write_text(
        "grid:\n  product: [[horizontal_flip], [{kind: rotate, degrees: 3}, {kind: rotate, degrees: -3}]]\n"
    )
    assert len(composed("tta=grid")[1].views) == 6


def test_a_study_is_a_configuration_in_its_folder(tmp_path: Path) -> None:
    """`study=NAME` composes `experiments/NAME/config.yaml`; what the command line says goes before it."""
    folder = tmp_path / "experiments" / "first"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /dataset: digits\n  - override /tta: [d4]\nseed: 7\n"
    )
    config = compose(["study=first"])
    assert (config.dataset.kind, list(config.tta), config.seed, config.study) == ("digits", ["d4"], 7, "first")
    assert compose(["study=first", "seed=9"]).seed == 9
    assert list(compose(["study=first", "tta=hflip"]).tta) == ["hflip"]


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_composes(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder of `experiments` is a study that composes under its name, asks its question, and is told about."""
    monkeypatch.chdir(ROOT)
    required = {"folder": ["dataset.path=x"]}
    config = compose([f"study={study}", *required.get(study, [])])
    assert config.study == study
    assert config.question != compose([]).question
    assert len(policies(config)[0]) > 1
    assert f"study={study}" in (ROOT / "experiments" / study / "README.md").read_text(encoding="utf-8")
    assert f"]({study}/README.md)" in (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")


def test_a_label_needs_no_folder() -> None:
    """Without an `experiments` folder `study=NAME` is a label for the tracker."""
    assert compose(["study=first"]).study == "first"


def test_printed_configuration_is_complete(harness: Any) -> None:
    """`run --cfg` prints YAML that holds every key of a job, and runs nothing."""
    answer = harness("run", "--cfg", "dataset=digits", "seed=3")
    tree = yaml.safe_load(answer.out)
    assert (answer.code, tree["dataset"]["kind"], tree["seed"], tree["training"]["epochs"]) == (0, "digits", 3, None)
    assert list(Path.cwd().iterdir()) == []
