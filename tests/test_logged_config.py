"""A configuration from elsewhere is data: it runs nothing, and does not say where is written."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.compose import compose
from harness.config import Config
from harness.errors import ConfigError
from harness.job_record import config_text
from harness.logged_config import changed_keys, checked_overrides, read_tree, to_run_again

HERE: dict[str, Any] = {"output": Path("here/results"), "store": Path("here/store"), "uri": "sqlite:///here.db"}


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a job writes as its `config.yaml`."""
    monkeypatch.chdir(tmp_path)
    return config_text(compose(["dataset=npz", "dataset.path=tiny.npz", "tta=[hflip,d4]"]))


def again(tree: dict[str, Any], **given: str) -> Config:
    """The job once more."""
    return to_run_again(tree, {key.replace("_", ".", 1): value for key, value in given.items()}, **HERE)


def test_what_a_job_wrote_runs_again(text: str) -> None:
    """Nothing but where files go differs, and `changed_keys` says so."""
    tree = read_tree(text)
    config = again(tree)
    assert changed_keys(tree, config) == []
    assert (config.output, config.store, config.tracking.enabled) == ("here/results", "here/store", False)


@pytest.mark.parametrize(
    ("evil", "message"),
    [
        ("a: !!python/object/apply:os.system ['touch pwned']", "could not determine a constructor"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: &x [1, 1]\nb: *x", "references"),
        ("- 1", "no mapping"),
        ("1: 2", "no mapping"),
        ("a: [", "no plain YAML"),
        ("a: " + 2000 * "[" + 2000 * "]", "no plain YAML"),
        ('question: "\\e]0;pwned\\a"', "control characters"),
        ('tta: {"\\e[2J": {}}', "control characters"),
        ("seed: 2001-99-99", "no plain YAML"),
    ],
)
def test_no_plain_data_is_not_read(evil: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags of Python objects, references, depth and terminal codes are refused, and nothing is run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        read_tree(evil)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("section", [None, "dataset", "model", "tracking"])
def test_keys_of_others_are_refused_or_dropped(text: str, section: str | None) -> None:
    """`_target_` is a key that nobody knows; below `tracking`, which is the user's, it is not even looked at."""
    tree = read_tree(text)
    (tree if section is None else tree[section])["_target_"] = "os.system"
    if section == "tracking":
        assert again(tree).tracking.uri == HERE["uri"]
        return
    with pytest.raises(ConfigError, match="_target_"):
        again(tree)


def test_the_job_does_not_say_where_is_written(text: str) -> None:
    """Output, store and tracker are the user's, whatever the configuration holds."""
    tree = {
        **read_tree(text),
        "output": "/evil",
        "store": "../evil",
        "tracking": {"enabled": True, "uri": "http://evil"},
    }
    config = again(tree)
    assert (config.output, config.store) == ("here/results", "here/store")
    assert (config.tracking.enabled, config.tracking.uri) == (False, HERE["uri"])


def test_trust_is_the_users_alone(text: str) -> None:
    """A job's own `trust: true` is not taken over; the user's is, and what changed says so."""
    tree = read_tree(text) | {"model": {"kind": "checkpoint", "path": "net.keras", "trust": True}}
    config = again(tree)
    assert config.model_dump()["model"]["trust"] is False
    assert ("model.trust", "true", "false") in changed_keys(tree, config)
    assert again(tree, model_trust="true").model_dump()["model"]["trust"] is True
    with pytest.raises(ConfigError, match="expected true or false, got 'yes'"):
        again(tree, model_trust="yes")


def test_paths_may_be_said_anew(text: str) -> None:
    """Data that lie elsewhere are named on the command line, and count as a change."""
    tree = read_tree(text)
    config = again(tree, dataset_path="/data/tiny.npz")
    assert changed_keys(tree, config) == [("dataset.path", "tiny.npz", "/data/tiny.npz")]
    with pytest.raises(ConfigError, match=r"unknown key 'model.path'"):
        again(tree, model_path="net.keras")


def test_a_schema_that_moved_on_shows(text: str) -> None:
    """A key that the job did not know shows with its default; one that is no longer known is refused by name."""
    older = read_tree(text)
    del older["evaluation"]["randomised"]
    assert changed_keys(older, again(older)) == [("evaluation.randomised", "absent", "false")]
    with pytest.raises(ConfigError, match=r"unknown key 'evaluation.bootstrap'"):
        again(yaml.safe_load(text.replace("evaluation:\n", "evaluation:\n  bootstrap: 7\n")))


def test_overrides_that_fit() -> None:
    """What is another on another machine may be given; anything else is one line that says what may."""
    given, ours = checked_overrides(["dataset.path=a=b", "store=s", "model.trust=true", "tracking.uri=http://x"])
    assert given == {"dataset.path": "a=b", "model.trust": "true"}
    assert ours == ["store=s", "tracking.uri=http://x"]
    for wrong in ("seed=1", "dataset.path=", "~tta", "+store=x"):
        with pytest.raises(ConfigError, match=r"only dataset.path=…, .* fit, got"):
            checked_overrides([wrong])
