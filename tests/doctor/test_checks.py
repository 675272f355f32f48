"""The checks of `harness doctor`: what is wrong is a problem or a warning, and says what would do."""

import importlib.metadata
import json
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from harness.doctor import packages, places, tracker
from harness.doctor.tensorflow import check_tensorflow
from harness.tracking.location import Marker, write_marker


def probe(*, said: str = "", **changes: object) -> str:
    """A program that tells of a TensorFlow as the real one does, without loading it."""
    found = {"tensorflow": "2.21.0", "keras": "3.15.1", "backend": "tensorflow", "cuda": False, "gpus": [], "cores": 4}
    return f"import sys\nprint({said!r}, file=sys.stderr)\nprint('noise')\nprint({json.dumps({**found, **changes})!r})"


def test_a_tensorflow_that_is_well() -> None:
    """Its version, what it was built for, the cores and their instructions, and whether oneDNN is on."""
    said = "I0 port.cc oneDNN custom operations are on. You\nTo enable the following instructions: AVX2 FMA, in other"
    versions, devices = check_tensorflow(probe=probe(said=said))
    assert (versions.status, versions.text) == ("ok", "2.21.0 with keras 3.15.1, built for CPU")
    assert (devices.status, devices.text) == ("ok", "no GPU; 4 cores with AVX2 FMA, oneDNN on")
    _, cards = check_tensorflow(probe=probe(cuda=True, gpus=["GPU:0"]))
    assert (cards.status, cards.text) == ("ok", "GPU:0; 4 cores, oneDNN off")


@pytest.mark.parametrize(
    ("program", "status", "says", "would_do"),
    [
        ("import tensorflow_of_nobody", "problem", "tensorflow_of_nobody is not installed", "tta-harness[cpu]"),
        ("raise ImportError('libcudart.so.12: cannot open')", "problem", "libcudart", "install it anew"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "problem", "ends the process (signal 4)", "AVX"),
        ("import time; time.sleep(60)", "warning", "did not load within 1 s", "disk"),
        (probe(backend="jax"), "problem", "Keras runs on jax", "KERAS_BACKEND=tensorflow"),
        ("import sys; sys.exit(3)", "problem", "no reason given", "install it anew"),
    ],
)
def test_a_tensorflow_that_is_not(program: str, status: str, says: str, would_do: str) -> None:
    """Absent, broken, built for another processor, stuck, or with Keras on another backend: said in one line each."""
    check, *_ = check_tensorflow(probe=program, seconds=1.0 if "sleep" in program else 60.0)
    assert (check.status, says in check.text, would_do in check.remedy) == (status, True, True)
    assert "\n" not in check.text


def test_no_card_for_a_build_with_cuda() -> None:
    """That is worth a warning, for it would be slow."""
    _, devices = check_tensorflow(probe=probe(cuda=True))
    assert (devices.status, "nvidia-smi" in devices.remedy) == ("warning", True)


def test_packages_of_this_environment() -> None:
    """Python and the versions are told as they are; nothing is missing here."""
    python, telling, *rest = packages.check_packages()
    assert (python.status, sys.executable in python.text, rest) == ("ok", True, [])
    assert f"numpy {importlib.metadata.version('numpy')}" in telling.text


def test_packages_that_are_missing_or_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a problem with the command that mends it; those of extras that nobody chose are none."""
    needs = ["numpy<1", "nowhere-to-be-found>=2", "rich>=1", 'onnx>=99; extra == "onnx"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: needs)
    found = {one.name: one for one in packages.check_packages() if one.status == "problem"}
    assert set(found) == {"numpy", "nowhere-to-be-found"}
    assert "pip install 'numpy<1'" in found["numpy"].remedy
    assert "not installed" in found["nowhere-to-be-found"].text


def test_stores(tmp_path: Path) -> None:
    """One that is not there yet is well, an empty one too; below a file it cannot be made; damage is a warning."""
    assert places.check_store(tmp_path / "none").status == "ok"
    assert not (tmp_path / "none").exists()
    assert "0 models" in places.check_store(tmp_path).text
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        assert places.check_store(path).status == "problem"
    damaged = tmp_path / "logits" / "11111111" / "22222222" / "x-0123456789abcdef.npy.damaged"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"")
    check = places.check_store(tmp_path)
    assert (check.status, "1 damaged" in check.text, "gc" in check.remedy) == ("warning", True, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "logits"]


def test_a_store_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system says is passed on."""

    def refuse(**_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(places.tempfile, "TemporaryFile", refuse)
    check = places.check_store(tmp_path)
    assert (check.status, "Read-only file system" in check.text) == ("problem", True)


@pytest.mark.parametrize(("free", "status"), [(10**10, "ok"), (10**9, "warning"), (10**7, "problem")])
def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    """Places on one disk are one line, also where they are not made yet; little room is a warning, none a problem."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    (check,) = places.check_disks({"store": tmp_path / "a" / "b", "results": tmp_path})
    assert (check.status, "store, results" in check.text) == (status, True)


def test_trackers(tmp_path: Path, uri_of_a_store: str) -> None:
    """A server that does not answer and a file that is no database are problems; one that is not made yet is well."""
    assert tracker.check_tracker("http://127.0.0.1:9").status == "problem"
    assert tracker.check_tracker(f"sqlite:///{tmp_path}/none.db").status == "ok"
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("no database" * 100)
    assert tracker.check_tracker(f"sqlite:///{tmp_path}/text.db").status == "problem"
    assert tracker.check_tracker(uri_of_a_store).status == "ok"


@pytest.mark.parametrize(
    ("state", "would_do"),
    [("older", "mlflow db upgrade sqlite:///"), ("newer", "install"), ("none", "tracking.uri")],
)
def test_schemas(uri_of_a_store: str, monkeypatch: pytest.MonkeyPatch, state: str, would_do: str) -> None:
    """An older schema names the upgrade, after a copy; a newer one and a foreign database what to do instead."""
    monkeypatch.setattr("harness.tracking.schema.schema_state", lambda _: state)
    check = tracker.check_tracker(uri_of_a_store)
    assert (check.status, would_do in check.remedy) == ("problem", True)
    assert state != "older" or "copy" in check.remedy


def test_a_password_is_not_shown() -> None:
    """The address is said without it."""
    check = tracker.check_tracker("http://me:secret@127.0.0.1:9")
    assert "secret" not in check.text + check.remedy


def test_jobs_that_wait(tmp_path: Path) -> None:
    """Finished jobs that the tracker has missed are counted; without any there is no line."""
    assert tracker.check_pending(tmp_path) == []
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "record.json").write_text("{}")
    write_marker(tmp_path / "job", Marker("pending", "sqlite:///x", "tta"))
    (check,) = tracker.check_pending(tmp_path)
    assert (check.status, "1 finished" in check.text, "harness sync" in check.remedy) == ("warning", True, True)


@pytest.fixture
def uri_of_a_store(database: Path) -> str:
    """The URI of an empty store of MLflow."""
    return f"sqlite:///{database}"
