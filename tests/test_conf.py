"""Every YAML file that comes along composes and builds, and a user's own are found."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.build import policies
from harness.compose import compose
from harness.config import choices, conf_folder
from harness.policies.policy import Policy, required_views

REQUIRED = {"image_folder": ["dataset.path=x"], "npz": ["dataset.path=x"], "checkpoint": ["model.path=x"]}
SINGLE = [name for name in choices("tta") if not name.startswith("suite/")]
SUITES = [name for name in choices("tta") if name.startswith("suite/")]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def composed(*overrides: str) -> tuple[Policy, ...]:
    """The policies of a command line."""
    return policies(compose(overrides))


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
    assert [(policy.name, policy.aggregation) for policy in found[1:]] == [
        ("hflip.mean_probs", "mean_probs"),
        ("hflip.vote", "vote"),
    ]
    assert found[1].views == found[2].views


def test_own_policy_in_the_working_directory(tmp_path: Path) -> None:
    """`conf/tta/mine.yaml` beside the user is a policy like ours, alone and combined with ours."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("mine:\n  views: [identity, {kind: rotate, degrees: 3}]\n  aggregation: vote\n")
    assert composed("tta=mine")[1].aggregation == "vote"
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


def test_a_label_needs_no_folder() -> None:
    """Without an `experiments` folder `study=NAME` is a label for the tracker."""
    assert compose(["study=first"]).study == "first"


def test_printed_configuration_is_complete(harness: Any) -> None:
    """`run --cfg` prints YAML that holds every key of a job, and runs nothing."""
    answer = harness("run", "--cfg", "dataset=digits", "seed=3")
    tree = yaml.safe_load(answer.out)
    assert (answer.code, tree["dataset"]["kind"], tree["seed"], tree["training"]["epochs"]) == (0, "digits", 3, None)
    assert list(Path.cwd().iterdir()) == []
