"""Commands, exit codes and single lines."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import __version__
from harness.commands import list as listing
from harness.corruptions.registry import CORRUPTIONS
from harness.errors import TrackingError
from harness.policies.registry import AGGREGATIONS
from harness.transforms.registry import TRANSFORMS


def test_help_and_version(harness: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names every command with an example, `--version` the version."""
    with pytest.raises(SystemExit, match="0"):
        harness("--help")
    text = capsys.readouterr().out
    for command in ("run", "plan", "list", "reproduce", "combine", "sync", "ui"):
        assert re.search(rf"^ +{command}\b", text, re.MULTILINE)
    with pytest.raises(SystemExit, match="0"):
        harness("--version")
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "line", ["", "rnu", "list polices", "list policies more", "reproduce", "ui --port=x", "plan -m seed=1,2", "run -x"]
)
def test_wrong_usage_is_one_line(harness: Any, line: str) -> None:
    """A wrong command or option gives exit code 2 and one line that says where help is."""
    answer = harness(*line.split())
    assert (answer.code, " -h`" in answer.error) == (2, True)


@pytest.mark.parametrize("what", listing.LISTINGS)
def test_list_has_a_line_for_each(harness: Any, what: str) -> None:
    """Each listing has one line a name; all together they are `list` without a word."""
    lines = harness("list", what).out.splitlines()
    assert len(lines) >= 2
    assert len({line.split()[0] for line in lines}) == len(lines)
    assert set(lines) <= {line.strip() for line in harness("list").out.splitlines()}


def test_list_knows_what_there_is(harness: Any, tmp_path: Path) -> None:
    """Every transform, and a user's own policy, is listed."""
    names = {line.split()[0] for line in harness("list", "transforms").out.splitlines()}
    assert names >= set(TRANSFORMS)
    folder = tmp_path / "conf" / "tta"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# My own.\nmine:\n  views: [identity]\n")
    (folder / "broken.yaml").write_text("broken: [\n")
    assert ["mine", "My own."] in [line.split(maxsplit=1) for line in harness("list", "policies").out.splitlines()]


def test_list_describes_what_policies_and_corruptions_do(harness: Any) -> None:
    """Every aggregation with its nature, and the 15 corruptions in the published order."""
    lines = [line.split(maxsplit=2) for line in harness("list", "aggregations").out.splitlines()]
    assert [name for name, *_ in lines] == list(AGGREGATIONS)
    assert {name: nature for name, nature, _ in lines}.items() >= {
        "mean_probs": "fixed",
        "gps": "learned",
        "early_exit": "adaptive",
    }.items()
    corruptions = harness("list", "corruptions").out.splitlines()
    assert [line.split()[0] for line in corruptions] == list(CORRUPTIONS)
    assert all(len(line.split()) > 2 for line in corruptions)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_and_issued_again(
    harness: Any, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    """A signal during the passes gives its exit code and the line that goes on; then only the rest is run."""
    from harness.store import LogitStore

    put, done = LogitStore.put, []

    def put_and_stop(*arguments: Any, **options: Any) -> None:
        put(*arguments, **options)
        done.append(1)
        if len(done) == 3:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(LogitStore, "put", put_and_stop)
    answer = harness("run", *tiny, "tta=[hflip,d4]", "tracking=none")
    assert answer.code == code
    assert "`harness run dataset=npz" in answer.err
    assert "Traceback" not in answer.err
    assert not list(Path("results").glob("*/record.json"))
    again = harness("run", *tiny, "tta=[hflip,d4]", "tracking=none")
    assert (again.code, again.computed) == (0, 16 - 3)


def test_tracker_that_is_away(harness: Any, tiny: tuple[str, ...], database: Path) -> None:
    """No server: exit code 4, one warning, complete results; `sync` to another tracker makes it good, once."""
    away = "tracking.uri=http://127.0.0.1:9"
    answer = harness("run", *tiny, "tta=hflip", away)
    assert answer.code == 4
    (warning,) = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    assert "harness sync" in warning
    (folder,) = Path("results").iterdir()
    assert {"record.json", "leaderboard.csv", "predictions.parquet", "config.yaml"} <= {
        p.name for p in folder.iterdir()
    }
    assert harness("sync", away).code == 4
    assert re.search(
        r": run [0-9a-f]{32} in tta\n1 jobs synced", harness("sync", "tracking.uri=sqlite:///mlflow.db").out
    )
    assert "nothing to sync" in harness("sync").out
    assert database.exists()
    assert not Path("mlruns").exists()


def test_tracker_from_the_environment(
    harness: Any, tiny: tuple[str, ...], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLFLOW_TRACKING_URI says where runs go when the configuration does not."""
    database.rename("elsewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    answer = harness("run", *tiny, "tta=hflip")
    assert (answer.code, "in MLflow: run " in answer.out) == (0, True)
    assert not Path("mlflow.db").exists()
    assert harness("run", *tiny, "tta=hflip").computed == 0


def test_defect_of_the_tracker_costs_no_result(
    harness: Any, tiny: tuple[str, ...], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the tracker says, the record was written before it was asked."""
    from harness.tracking import jobs

    def refuse(*_: Any, **__: Any) -> str:
        assert list(Path("results").glob("*/record.json"))
        raise TrackingError("refused")

    monkeypatch.setattr(jobs, "log_job", refuse)
    answer = harness("run", *tiny, "tta=hflip")
    assert (answer.code, "refused" in answer.err) == (4, True)
    assert database.exists()


def _save(**arrays: Any) -> None:
    held = dict(np.load("tiny.npz"))
    np.savez("tiny.npz", **{**held, **arrays})


def _two_channels() -> None:
    _save(**{f"x_{split}": np.zeros((9, 8, 8, 2), np.uint8) for split in ("train", "validation", "test")})


def _nan() -> None:
    images = np.load("tiny.npz")["x_test"].astype(np.float32)
    images[3, 2, 2] = np.nan
    _save(x_test=images)


@pytest.mark.parametrize(
    ("spoil", "overrides", "says"),
    [
        (_two_channels, (), "expected 1 or 3 channels, got 2"),
        (lambda: _save(y_test=np.full(75, 7)), ("dataset.class_names=[a,b,c]",), "expected labels in 0..2"),
        (lambda: _save(y_test=np.full(75, -1)), (), "labels"),
        (_nan, (), "NaN"),
        (lambda: Path("tiny.npz").write_text("no archive"), (), "npz"),
        (lambda: _save(y_test=np.zeros(74, int)), (), "one label per image"),
    ],
)
def test_bad_arrays(harness: Any, tiny: tuple[str, ...], spoil: Any, overrides: tuple[str, ...], says: str) -> None:
    """Arrays of the wrong shape, type or range: one line, exit code 2."""
    spoil()
    answer = harness("run", *tiny, *overrides, "tracking=none")
    assert (answer.code, says in answer.error) == (2, True)


def _folder(root: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for index in range(12):
            Image.fromarray(random.integers(0, 255, (8, 8, 3), np.uint8)).save(root / name / f"{index}.png")


def test_bad_folders(harness: Any, tmp_path: Path) -> None:
    """A text file called .png and an empty class folder are named in one line."""
    _folder(tmp_path / "photos")
    overrides = ("dataset=image_folder", "dataset.path=photos", "tracking=none")
    (tmp_path / "photos" / "a" / "text.png").write_text("not an image")
    answer = harness("run", *overrides)
    assert (answer.code, "text.png" in answer.error) == (2, True)
    (tmp_path / "photos" / "a" / "text.png").unlink()
    (tmp_path / "photos" / "c").mkdir()
    answer = harness("run", *overrides)
    assert (answer.code, "without an image: photos/c" in answer.error) == (2, True)


def test_checkpoint_of_another_input_size(harness: Any, tiny: tuple[str, ...]) -> None:
    """A model for 8x8 images does not fit 28x28 ones: the last line has both numbers, exit code 2."""
    (path,) = Path(".harness/store/models").glob("*/model.keras")
    answer = harness("run", "model=checkpoint", f"model.path={path}", "dataset=fashion_mini", "tracking=none")
    last = answer.err.splitlines()[-1]
    assert (answer.code, last.startswith("error: "), "8" in last and "28" in last) == (2, True, True)
    assert "Traceback" not in answer.err
    assert tiny


@pytest.mark.parametrize("key", ["store", "output"])
def test_folder_that_cannot_be_written(harness: Any, tiny: tuple[str, ...], key: str) -> None:
    """Where a folder cannot be made, one line says which and what sets it."""
    Path("taken").write_text("a file, not a folder")
    answer = harness("run", *tiny, f"{key}=taken/below", "tracking=none")
    last = answer.err.splitlines()[-1]
    assert (answer.code, "taken" in last, f"`{key}`" in last) == (2, True, True)


def test_answer_into_a_closed_pipe(process: Any, tmp_path: Path) -> None:
    """`harness list | head -1` ends quietly."""
    prelude = "import os, sys\nr, w = os.pipe()\nos.dup2(w, 1)\nos.close(r)\nos.close(w)"
    done = process("list", folder=tmp_path, prelude=prelude)
    assert (done.returncode, done.stderr) == (0, "")


def test_full_disk(harness: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    """A store on a disk that fills up: one line, exit code 2, nothing half-written; with space again it goes on."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        shutil.copytree(".harness/store", small / "store")
        filler = small / "filler"
        filler.write_bytes(b"0" * (shutil.disk_usage(small).free - 12288))
        answer = harness("run", *tiny, "store=small/store", "tta=d4", "tracking=none")
        last = answer.err.splitlines()[-1]
        assert (answer.code, "no space left" in last, "Traceback" in answer.err) == (2, True, False)
        assert list(small.rglob("*.tmp")) == []
        filler.unlink()
        assert harness("run", *tiny, "store=small/store", "tta=d4", "tracking=none").code == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_sync_leaves_alone_what_was_not_to_be_tracked(harness: Any, tiny: tuple[str, ...]) -> None:
    """A job that was run without a tracker is none of MLflow's business, then and later."""
    assert harness("run", *tiny, "tracking=none").code == 0
    answer = harness("sync")
    assert (answer.code, answer.out) == (0, "nothing to sync\n")


def test_sync_keeps_the_experiment_of_a_job(harness: Any, tiny: tuple[str, ...], database: Path) -> None:
    """What was to go into an experiment goes there, although `sync` names none."""
    away = "tracking.uri=http://127.0.0.1:9"
    assert harness("run", *tiny, away, "tracking.experiment=plankton").code == 4
    answer = harness("sync", f"tracking.uri=sqlite:///{database}")
    assert (answer.code, "in plankton" in answer.out) == (0, True)


def test_a_view_that_does_not_fit_is_said_before_training(harness: Any, tiny: tuple[str, ...]) -> None:
    """Saturation needs colour: one line, and no model was trained for it."""
    shutil.rmtree(".harness")
    answer = harness("run", *tiny, "+tta.warm.views=[{kind: saturation, factor: 1.2}]", "tracking=none")
    assert (answer.code, "saturation" in answer.err.splitlines()[-1]) == (2, True)
    assert not list(Path(".harness").rglob("model.keras"))


def test_a_password_in_a_uri_is_written_nowhere(harness: Any, tiny: tuple[str, ...]) -> None:
    """Neither the configuration nor the record nor what is printed holds it."""
    answer = harness("run", *tiny, "tracking.uri=http://me:p@ss@127.0.0.1:9")
    assert answer.code == 4
    assert "p@ss" not in answer.out + answer.err
    files = [path for path in Path("results").rglob("*") if path.suffix in (".yaml", ".json", ".txt", ".csv")]
    assert files and not [path for path in files if "p@ss" in path.read_text(encoding="utf-8")]


def test_a_damaged_record_is_made_again(harness: Any, tiny: tuple[str, ...]) -> None:
    """Bytes that are no text: a warning, and the job is evaluated again from stored logits."""
    assert harness("run", *tiny, "tracking=none").code == 0
    (record,) = Path("results").rglob("record.json")
    before = record.with_name("leaderboard.csv").read_bytes()
    record.write_bytes(b"\xff\xfe\x00")
    answer = harness("run", *tiny, "tracking=none")
    assert (answer.code, answer.computed, "set aside" in answer.err) == (0, 0, True)
    assert record.with_name("leaderboard.csv").read_bytes() == before


def test_the_plan_of_a_finished_job(harness: Any, tiny: tuple[str, ...]) -> None:
    """`plan` says what `run` would do: nothing."""
    assert harness("run", *tiny, "tracking=none").code == 0
    assert "this job is finished" in harness("plan", *tiny, "tracking=none").out
