"""What is in the store, what is damaged in it, and what may go: on stores made by hand, without TensorFlow."""

import json
import os
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from harness.files import file_digest
from harness.model_source import logit_digest
from harness.models.preprocessing import PREPROCESSING
from harness.store import LogitKey, LogitStore
from harness.upkeep.collection import GRACE, ORPHANED, TOO_MUCH, TOO_OLD, last_used, removals, remove
from harness.upkeep.inventory import (
    CHECKPOINT,
    DAMAGED,
    HALF_WRITTEN,
    JOB,
    LOCK,
    LOGITS,
    MODEL,
    STALE,
    TEMPORARY,
    UNFINISHED,
    Item,
    items,
    leftovers,
)
from harness.upkeep.verification import verify

DAY = 86_400.0
NOW = 1_000 * DAY
DIGEST = "1" * 64
MODEL_DIGEST = logit_digest(DIGEST, PREPROCESSING["none"], "probs")


def model(root: Path, name: str = "net-11111111", *, age: float = 0.0) -> Path:
    """A finished model, its file 1,000 bytes of nothing in particular."""
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"k" * 1000)
    record = {"sha256": file_digest(folder / "model.keras"), "digest": DIGEST, "output": "probs", "history": {},
              "fingerprint": "f" * 64, "input_shape": [8, 8, 1], "num_classes": 3, "seconds": 1.0}  # fmt: skip
    (folder / "model.json").write_text(json.dumps(record))
    _age(folder.iterdir(), age)
    return folder


def logits(root: Path, view: str, *, model: str = MODEL_DIGEST, age: float = 0.0, note: Any = None) -> Path:
    """Stored logits `[5, 3]` of a view; returns the array's file."""
    spec = json.dumps([{"kind": view}])
    key = LogitKey(model, "5" * 64, spec, view, "exact-float32")
    store = LogitStore(root)
    store.put(
        key, np.ones((5, 3), np.float32), note={"model_name": "net", "split_name": "test"} if note is None else note
    )
    path = store._path(key)
    _age((path, path.with_suffix(".json")), age)
    return path


def _age(files: Any, age: float) -> None:
    for file in files:
        os.utime(file, (NOW - age, NOW - age))


def test_everything_is_found(tmp_path: Path) -> None:
    """A model, its logits, a checkpoint, a fetched job and an unfinished training, each with its bytes."""
    model(tmp_path)
    path = logits(tmp_path, "hflip", age=3 * DAY)
    (tmp_path / "models" / "other-22222222").mkdir()
    (tmp_path / "models" / "other-22222222" / "training.npz").write_bytes(b"123")
    side = tmp_path / "checkpoints" / "theirs-33333333" / "abc.json"
    side.parent.mkdir(parents=True)
    side.write_text('{"digest": "9"}')
    job = tmp_path / "fetched" / "job" / "tables"
    job.mkdir(parents=True)
    (job / "t.csv").write_text("a\n")
    found = {item.kind: item for item in items(tmp_path)}
    assert set(found) == {MODEL, UNFINISHED, LOGITS, CHECKPOINT, JOB}
    one = found[LOGITS]
    assert (one.model, one.split, one.view, one.shape, one.digest) == ("net", "test", "hflip", (5, 3), MODEL_DIGEST)
    assert (one.bytes, one.modified) == (sum(p.stat().st_size for p in one.files), NOW - 3 * DAY)
    assert one.path == path
    assert (found[MODEL].model, found[MODEL].digest, found[MODEL].shape) == ("net", MODEL_DIGEST, (8, 8, 1))
    assert (found[UNFINISHED].bytes, found[JOB].bytes, found[CHECKPOINT].model) == (3, 2, "theirs")


def test_items_of_an_older_version_are_found(tmp_path: Path) -> None:
    """Without the names in the side file, those of the file and the digests tell."""
    path = logits(tmp_path, "hflip", note={})
    side = json.loads(path.with_suffix(".json").read_text())
    del side["view_name"]
    path.with_suffix(".json").write_text(json.dumps(side))
    (one,) = items(tmp_path)
    assert (one.view, one.split, one.split_digest[:8]) == ("hflip", "", "55555555")


def left(root: Path) -> dict[str, list[str]]:
    """Names of what was left over, by reason."""
    found: dict[str, list[str]] = {}
    for one in leftovers(root):
        found.setdefault(one.reason, []).append(one.path.name)
    return found


def litter(root: Path, *, age: float) -> dict[str, Path]:
    """One of everything that can be left over."""
    path, folder = logits(root, "hflip"), model(root)
    found = {
        DAMAGED: path.with_name("x-0123456789abcdef.npy.damaged"),
        TEMPORARY: path.with_name(".hflip-0123456789abcdef-a1b2c3_d.npy"),
        LOCK: path.with_suffix(".lock"),
        HALF_WRITTEN: path.with_name("half-0123456789abcdef.npy"),
        STALE: folder / "training.npz",
    }
    for file in found.values():
        file.write_bytes(b"12")
    _age(found.values(), age)
    return found


def test_leftovers_are_told_apart(tmp_path: Path) -> None:
    """Each by its reason, and no part of an item among them."""
    wanted = litter(tmp_path, age=0)
    assert left(tmp_path) == {reason: [path.name] for reason, path in wanted.items()}


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """A store that is pointed at somebody else's folder: hidden files, folders and arrays there are none of ours."""
    for name in ("models/.git/index.lock", "models/mine/.env", "logits/a.npy", "logits/x/y/.h",
                 "models/m/deep/b.damaged", "checkpoints/epoch1/.lock", "models/net-11111111/.hidden"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"theirs")
    assert (items(tmp_path), leftovers(tmp_path)) == ([], [])


def test_collection_takes_leftovers_that_have_lain_for_an_hour(tmp_path: Path) -> None:
    """Younger locks, temporary files and half-written arrays may be in use; the item and its model stay."""
    litter(tmp_path, age=GRACE / 2)
    young = removals(items(tmp_path), leftovers(tmp_path), now=NOW)
    assert {one.reason for one in young} == {DAMAGED, STALE}
    files = litter(tmp_path / "old", age=GRACE + 1)
    done, in_use = remove(removals(items(tmp_path / "old"), leftovers(tmp_path / "old"), now=NOW))
    assert ({one.reason for one in done}, in_use) == (set(files), [])
    assert not any(path.exists() for path in files.values())
    assert sorted(item.kind for item in items(tmp_path / "old")) == [LOGITS, MODEL]


def test_what_a_process_locks_stays(tmp_path: Path) -> None:
    """An item whose lock is held, the lock itself and a half-written array beside it are in use; the rest goes."""
    path, other = logits(tmp_path, "hflip", age=9 * DAY), logits(tmp_path, "vflip", age=9 * DAY)
    with filelock.FileLock(path.with_suffix(".lock")):
        _age([path.with_suffix(".lock")], 9 * DAY)
        wanted = removals(items(tmp_path), leftovers(tmp_path), now=NOW)
        done, in_use = remove(wanted)
        assert {file.name for one in in_use for file in one.files} == {
            path.name, path.with_suffix(".json").name, path.with_suffix(".lock").name,
        }  # fmt: skip
        assert path.exists() and not other.exists()
        assert [one.reason for one in done] == [ORPHANED]


def test_logits_whose_model_is_gone_go(tmp_path: Path) -> None:
    """Those of a model in the store, or of a checkpoint that was looked into, stay."""
    model(tmp_path)
    logits(tmp_path, "hflip")
    logits(tmp_path, "vflip", model="7" * 64)
    orphan = logits(tmp_path, "rotate90", model="8" * 64)
    side = tmp_path / "checkpoints" / "theirs-33333333" / "abc.json"
    side.parent.mkdir(parents=True)
    side.write_text(json.dumps({"digest": "7" * 64}))
    (only,) = removals(items(tmp_path), leftovers(tmp_path), now=NOW)
    assert (only.reason, only.files[0]) == (ORPHANED, orphan)
    remove([only])
    assert not orphan.parent.exists()  # and no empty folder remains


def reasons(root: Path, **options: Any) -> dict[str, str]:
    """What would go and why, by the name of its first file or of its folder."""
    found: dict[str, str] = {}
    for one in removals(items(root), leftovers(root), now=NOW, **options):
        first = one.files[0]
        found[first.parent.name if first.parent.parent.name == "models" else first.name.partition("-")[0]] = one.reason
    return found


def test_what_is_old_goes_on_request(tmp_path: Path) -> None:
    """By when it was last written; a model that has young logits is young, and one that goes takes its logits along."""
    model(tmp_path, age=50 * DAY)
    logits(tmp_path, "hflip", age=40 * DAY)
    logits(tmp_path, "vflip", age=2 * DAY)
    assert reasons(tmp_path, older_than=30 * DAY) == {"hflip": TOO_OLD}
    assert reasons(tmp_path, older_than=1 * DAY) == {"net-11111111": TOO_OLD, "hflip": TOO_OLD, "vflip": TOO_OLD}
    assert reasons(tmp_path) == {}
    assert last_used(items(tmp_path))[tmp_path / "models" / "net-11111111"] == NOW - 2 * DAY


def test_too_much_goes_oldest_logits_first_and_models_last(tmp_path: Path) -> None:
    """Just so many that the rest fits; a model only when no logits are left."""
    model(tmp_path, age=90 * DAY)
    for number, view in enumerate(("hflip", "vflip", "rotate90")):
        logits(tmp_path, view, age=number * DAY)
    sizes = {item.view or MODEL: item.bytes for item in items(tmp_path)}
    total = sum(sizes.values())
    assert reasons(tmp_path, max_size=total) == {}
    assert reasons(tmp_path, max_size=total - 1) == {"rotate90": TOO_MUCH}
    assert set(reasons(tmp_path, max_size=sizes[MODEL] + sizes["hflip"])) == {"rotate90", "vflip"}
    assert set(reasons(tmp_path, max_size=0)) == {"rotate90", "vflip", "hflip", "net-11111111"}


def test_verification_sets_damage_aside(tmp_path: Path) -> None:
    """A changed byte, a missing array, a side file of other logits, a changed model: found once; the rest stays."""
    store, folder = LogitStore(tmp_path), model(tmp_path)
    good, changed, missing, swapped = (logits(tmp_path, view) for view in ("good", "changed", "missing", "swapped"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    missing.unlink()
    for suffix in (".npy", ".json"):
        swapped.with_suffix(suffix).write_bytes(good.with_suffix(suffix).read_bytes())
    (folder / "model.keras").write_bytes(b"k" * 999 + b"!")
    looked: list[Item] = []
    found = verify(tmp_path, items(tmp_path), advance=looked.append)
    assert {one.path: one.reason for one in found} == {
        changed: "its bytes do not agree with its checksum",
        missing: "its array is missing",
        swapped: "its side file tells of other logits",
        folder: "model.keras is not the file that was written",
    }
    assert len(looked) == 5
    assert verify(tmp_path, items(tmp_path), advance=looked.append) == []
    assert [item.view for item in items(tmp_path)] == ["good"]
    assert store.get(LogitKey(MODEL_DIGEST, "5" * 64, '[{"kind":"good"}]', "good", "exact-float32")) is not None
    assert len([one for one in leftovers(tmp_path) if one.reason == DAMAGED]) == 2 + 1 + 2 + 2


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_side_file_that_cannot_be_read_is_damage(tmp_path: Path, text: str) -> None:
    """Whatever stands in it, the inventory goes on, and verification sets it aside."""
    logits(tmp_path, "hflip").with_suffix(".json").write_text(text)
    found = items(tmp_path)
    assert len(found) == 1
    assert len(verify(tmp_path, found, advance=lambda _: None)) == 1


def test_an_empty_store(tmp_path: Path) -> None:
    """A store that is not there is empty."""
    assert (items(tmp_path / "no"), leftovers(tmp_path / "no")) == ([], [])
