"""Hydra's door: overrides in, plain typed data out, and nothing else."""

import logging
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from harness.compose import compose, sweep, to_config
from harness.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_overrides_become_typed_values() -> None:
    """Numbers, lists and mappings of the command line arrive as such; interpolations are resolved."""
    config = compose(
        ["seed=3", "dataset=npz", "dataset.path=a.npz", "dataset.keys={x_test: images}", "question=seed ${seed}"]
    )
    assert compose(["model=resnet20", "model.arguments.width=3"]).model.arguments == {"width": 3}  # type: ignore[union-attr]
    other = compose(["model=checkpoint", "model.path=x", "model.preprocessing={scale: 0.5}"]).model
    assert other.preprocessing == {"scale": 0.5}  # type: ignore[union-attr]
    assert (config.seed, config.question) == (3, "seed 3")
    assert config.dataset.options() == {"path": "a.npz", "class_names": None, "x_test": "images"}


def test_composing_leaves_no_trace(tmp_path: Path) -> None:
    """No folder, no logging handler, no global state of Hydra's: it can be called in a notebook, again and again."""
    handlers = list(logging.getLogger().handlers)
    assert compose(["seed=1"]) == compose(["seed=1"])
    assert compose(["seed=2"]).seed == 2
    assert not GlobalHydra.instance().is_initialized()
    assert logging.getLogger().handlers == handlers
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_global_state() -> None:
    """After an error the next composition works."""
    with pytest.raises(ConfigError):
        compose(["tta=nonsense"])
    assert compose(["tta=hflip"]).seed == 0


def test_users_files_go_before_ours(tmp_path: Path) -> None:
    """A policy file of ours can be replaced by the user's of the same name."""
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "hflip.yaml").write_text("hflip:\n  views: [horizontal_flip]\n  aggregation: vote\n")
    assert compose(["tta=hflip"]).tta["hflip"].aggregation == "vote"


def test_sweep_is_a_product_in_order(tmp_path: Path) -> None:
    """Each combination is one job, the last override varies fastest, and the working directory stays."""
    seen: list[Path] = []

    def task(tree: Any) -> tuple[int, str]:
        seen.append(Path.cwd())
        config = to_config(tree)
        return config.seed, config.dataset.kind

    assert sweep(["seed=0,1", "dataset=digits,fashion_mini"], task) == [
        (0, "digits"),
        (0, "fashion_mini"),
        (1, "digits"),
        (1, "fashion_mini"),
    ]
    assert set(seen) == {tmp_path}


def test_lists_are_one_value_in_a_sweep() -> None:
    """`tta=[a,b]` is one job with two policies, `tta=a,b` two jobs."""
    assert sweep(["tta=[hflip,d4]"], lambda tree: list(to_config(tree).tta)) == [["hflip", "d4"]]
    assert sweep(["tta=hflip,d4"], lambda tree: list(to_config(tree).tta)) == [["hflip"], ["d4"]]


def test_a_dead_worker_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker process that is killed ends the sweep with a line that says what to do, exit code 3."""
    from concurrent.futures.process import BrokenProcessPool

    from harness.errors import TrainingError

    def die(*_: Any, **__: Any) -> None:
        raise BrokenProcessPool("killed")

    monkeypatch.setattr("hydra._internal.hydra.Hydra.multirun", die)
    with pytest.raises(TrainingError, match="issue the command again"):
        sweep(["seed=0,1"], lambda tree: tree)


def test_store_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HARNESS_STORE is the default of `store`, so that several projects share one; what the command line says wins."""
    monkeypatch.setenv("HARNESS_STORE", "/there")
    assert compose([]).store == "/there"
    assert compose(["store=here"]).store == "here"
    monkeypatch.delenv("HARNESS_STORE")
    assert compose([]).store == ".harness/store"
