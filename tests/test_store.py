"""The logit store."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import store as store_module
from harness.errors import StoreError
from harness.fingerprint import canonical_json
from harness.store import LogitKey, LogitStore

KEY = LogitKey("a" * 64, "b" * 64, canonical_json([{"kind": "hflip"}]), "hflip", "exact-float32")
LOGITS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> LogitStore:
    """A new store."""
    return LogitStore(tmp_path / "store")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, for root on Linux only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def files(store: LogitStore, pattern: str = "*") -> list[Path]:
    """The files of a store, locks apart."""
    return sorted(path for path in store.root.rglob(pattern) if path.is_file() and path.suffix != ".lock")


def test_logits_come_back_bit_for_bit(store: LogitStore) -> None:
    """Extreme float32 values, negative zero and subnormals included, also for a store opened anew."""
    limits = np.finfo(np.float32)
    logits = np.array([[limits.max, limits.min, -0.0], [limits.smallest_subnormal, 1 / 3, -87.3]], np.float32)
    store.put(KEY, logits, note={})
    got = LogitStore(store.root).get(KEY)
    assert got is not None
    assert got.dtype == np.float32
    assert got.tobytes() == logits.tobytes()
    assert not got.flags.writeable


def test_nothing_is_there_before_it_is_put(store: LogitStore) -> None:
    """A miss is None, False and an empty note, and makes no file."""
    assert store.get(KEY) is None
    assert KEY not in store
    assert store.note(KEY) == {}
    assert files(store) == []


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "fast-float32"},
        {"view": canonical_json([{"kind": "vflip"}])},
        {"split": "c" * 64},
        {"model": "d" * 64},
        {"model": "a" * 63 + "e"},
        {"split": "b" * 63 + "e"},
    ],
)
def test_another_engine_view_split_or_model_is_a_miss(store: LogitStore, change: dict[str, str]) -> None:
    """Also where only the last digit of a digest differs, so that folders are the same."""
    store.put(KEY, LOGITS, note={})
    other = replace(KEY, **change)
    assert other not in store
    assert store.get(other) is None
    store.put(other, LOGITS + 1, note={})
    first, second = store.get(KEY), store.get(other)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first, LOGITS)
    np.testing.assert_array_equal(second, LOGITS + 1)


def test_another_version_of_inference_is_a_miss(store: LogitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raising the number by hand makes everything be computed again."""
    store.put(KEY, LOGITS, note={})
    monkeypatch.setattr(store_module, "INFERENCE_VERSION", store_module.INFERENCE_VERSION + 1)
    assert KEY not in store


def test_the_name_of_a_view_is_for_people_only(store: LogitStore) -> None:
    """Under another name the same logits are found, and not stored again."""
    store.put(KEY, LOGITS, note={"seconds": 2.0})
    renamed = replace(KEY, view_name="mirror / left–right")
    assert renamed in store
    assert store.note(renamed)["seconds"] == 2.0
    store.put(renamed, LOGITS, note={})
    assert len(files(store)) == 2
    got = store.get(renamed)
    assert got is not None
    np.testing.assert_array_equal(got, LOGITS)


def test_paths_are_readable(store: LogitStore) -> None:
    """`logits/<model8>/<split8>/<view-name>-<16>.npy`, with a side file that says what it is."""
    store.put(KEY, LOGITS, note={"model_name": "net", "seconds": 0.5})
    array, side = sorted(files(store), key=lambda path: path.suffix, reverse=True)
    assert array.parent == store.root / "logits" / "aaaaaaaa" / "bbbbbbbb"
    assert array.name.startswith("hflip-")
    assert len(array.stem) == len("hflip-") + 16
    data = json.loads(side.read_text())
    assert data["identity"]["view"] == [{"kind": "hflip"}]
    assert data["identity"]["model"] == KEY.model
    assert (data["shape"], data["model_name"], data["seconds"]) == ([7, 3], "net", 0.5)


def test_a_long_or_odd_view_name_stays_inside_the_store(store: LogitStore) -> None:
    """A name cannot climb out of the folder nor be too long for the file system."""
    key = replace(KEY, view_name="../../" + "x" * 500)
    store.put(key, LOGITS, note={})
    assert key in store
    assert all(path.parent == store.root / "logits" / "aaaaaaaa" / "bbbbbbbb" for path in files(store))


def test_an_item_is_never_overwritten(store: LogitStore) -> None:
    """The first logits stay, and their files are not touched."""
    store.put(KEY, LOGITS, note={})
    before = [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files(store)]
    store.put(KEY, LOGITS + 1, note={"seconds": 1})
    assert [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in files(store)] == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(store: LogitStore, value: float) -> None:
    """One bad number and nothing is written."""
    logits = LOGITS.copy()
    logits[3, 1] = value
    with pytest.raises(ValueError, match="finite"):
        store.put(KEY, logits, note={})
    assert files(store) == []


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_flip_a_bit, _cut, _empty, Path.unlink])
def test_a_damaged_array_is_set_aside_and_never_used(store: LogitStore, damage: object) -> None:
    """It is reported once, counts as absent, is kept for a look, and can be stored again."""
    store.put(KEY, LOGITS, note={})
    assert callable(damage)
    damage(files(store, "*.npy")[0])
    with pytest.warns(UserWarning, match="damaged item hflip-.*computed again"):
        assert store.get(KEY) is None
    assert KEY not in store
    assert files(store, "*.json.damaged")
    store.put(KEY, LOGITS, note={})
    got = store.get(KEY)
    assert got is not None
    np.testing.assert_array_equal(got, LOGITS)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"identity": 3}', '"text"', "\x00\x01", "no sha"])
def test_a_damaged_side_file_is_set_aside_and_its_array_never_used(store: LogitStore, text: str) -> None:
    """Whatever stands in it, from no bytes at all to JSON of another shape, one without a checksum included."""
    store.put(KEY, LOGITS, note={})
    side = files(store, "*.json")[0]
    if text == "no sha":
        data = json.loads(side.read_text())
        del data["sha256"]
        text = json.dumps(data)
    side.write_text(text)
    with pytest.warns(UserWarning, match="damaged item hflip-"):
        assert KEY not in store
    assert store.get(KEY) is None
    assert len(files(store, "*.damaged")) == 2
    store.put(KEY, LOGITS, note={})
    assert store.get(KEY) is not None


def test_an_item_that_belongs_to_another_key_is_not_used(store: LogitStore) -> None:
    """A side file that was copied into another's place tells of other logits: no item; the right one is stored anew."""
    other = replace(KEY, engine="fast-float32")
    store.put(KEY, LOGITS, note={})
    store.put(other, LOGITS + 1, note={})
    mine, theirs = (store._path(key) for key in (KEY, other))
    for ending in (".npy", ".json"):
        mine.with_suffix(ending).write_bytes(theirs.with_suffix(ending).read_bytes())
    assert store.get(KEY) is None
    store.put(KEY, LOGITS, note={})
    np.testing.assert_array_equal(store.get(KEY), LOGITS)


def test_an_interrupted_write_leaves_no_item(store: LogitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the array is written: nothing but the folder remains."""

    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.put(KEY, LOGITS, note={})
    assert files(store) == []
    assert KEY not in store


def test_a_writer_killed_between_the_two_files_leaves_no_item(store: LogitStore) -> None:
    """After kill -9 there is an array without a side file: no item; another process stores it whole."""
    code = """
import os, pathlib, signal, sys
import numpy as np
from harness import store as module
from harness.store import LogitKey, LogitStore
write = module.write_atomically
def killed(path, writer):
    if path.suffix == ".json":
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, writer)
module.write_atomically = killed
key = LogitKey("a" * 64, "b" * 64, sys.argv[2], "hflip", "exact-float32")
with LogitStore(pathlib.Path(sys.argv[1])).lock(key):
    LogitStore(pathlib.Path(sys.argv[1])).put(key, np.ones((2, 2), np.float32), note={})
"""
    command = [sys.executable, "-c", code, str(store.root), KEY.view]
    died = subprocess.run(command, cwd=Path(__file__).parents[1], check=False)
    assert died.returncode == -signal.SIGKILL
    assert [path.suffix for path in files(store)] == [".npy"]
    assert KEY not in store
    assert store.get(KEY) is None
    with store.lock(KEY).acquire(timeout=0):  # the lock died with its owner
        store.put(KEY, LOGITS, note={})
    got = store.get(KEY)
    assert got is not None
    np.testing.assert_array_equal(got, LOGITS)


def test_a_full_disk_is_one_line_and_no_item(small_disk: Path) -> None:
    """What does not fit leaves nothing half-written; what fits is stored afterwards."""
    store = LogitStore(small_disk / "store")
    with pytest.raises(StoreError, match="no space left while writing") as caught:
        store.put(KEY, np.zeros((20_000, 10), np.float32), note={})
    assert "\n" not in str(caught.value)
    assert files(store) == []
    assert KEY not in store
    store.put(KEY, LOGITS, note={})
    assert store.get(KEY) is not None


def test_a_store_below_a_file_is_one_line(tmp_path: Path) -> None:
    """A store that cannot be made is said when a pass is claimed, before it is run."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        LogitStore(tmp_path / "file" / "store").lock(KEY)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_line(store: LogitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the operating system refuses, a pass's lock and its logits both say so in one line."""
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    for action in (lambda: store.lock(KEY), lambda: store.put(KEY, LOGITS, note={})):
        with pytest.raises(StoreError, match="not writable") as caught:
            action()
        assert "\n" not in str(caught.value)
