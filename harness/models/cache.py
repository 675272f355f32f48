"""Trained models on disk, found by what was asked; no TensorFlow is loaded here.

A folder `<root>/models/<name>-<fingerprint, first 8>/` holds `model.keras` and, written last, `model.json`, which
says what the model is and the SHA-256 of the file. A folder without `model.json` is not finished.
"""

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import filelock

from harness.files import as_store_error, file_digest, make_folder, rename_damaged, write_bytes

MODEL_FILE = "model.keras"
RECORD_FILE = "model.json"
STATE_FILE = "training.npz"
"""Of a training that is not finished (`harness.models.training_state`)."""


@dataclass(frozen=True)
class TrainResult:
    """A trained model's file and what is known of it.

    Attributes:
        path: the `.keras` file.
        fingerprint, digest: what was asked and what came out, 64 hex digits each.
        input_shape: `(H, W, channels)`.
        num_classes: C.
        output: what the model gives, `probs` or `logits`.
        history: metric name to one number per epoch, as Keras names them: `loss`, `accuracy`, `val_loss`, ...
        seconds: spent in training, over all starts.
        from_cache: True when nothing was trained.
        resumed_from_epoch: epochs that an earlier, interrupted start had finished; 0 for none.
    """

    path: Path
    fingerprint: str
    digest: str
    input_shape: tuple[int, int, int]
    num_classes: int
    output: Literal["probs", "logits"]
    history: Mapping[str, tuple[float, ...]]
    seconds: float
    from_cache: bool
    resumed_from_epoch: int


def model_folder(root: Path, *, name: str, fingerprint: str) -> Path:
    """Where a trained model lies: readable for people, unambiguous by its fingerprint."""
    return root / "models" / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}-{fingerprint[:8]}"


def find_cached(root: Path, *, name: str, fingerprint: str) -> TrainResult | None:
    """The finished model of this fingerprint, its file checked; None when there is none.

    A damaged model is set aside (`*.damaged`) with a warning, and counts as none.

    Raises:
        StoreError: where the folder cannot be read.
    """
    folder = model_folder(root, name=name, fingerprint=fingerprint)
    with as_store_error(folder):
        if not (folder / RECORD_FILE).exists():
            return None
        try:
            return _read(folder, fingerprint=fingerprint)
        except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
            set_aside(folder / RECORD_FILE, folder / MODEL_FILE, reason=str(error))
            return None


def verify(folder: Path) -> str | None:
    """Reads a finished model's file again; where it is damaged it is set aside, and what is wrong is returned.

    Raises:
        StoreError: where the folder cannot be read or written.
    """
    with as_store_error(folder):
        try:
            record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
            _read(folder, fingerprint=record["fingerprint"])
        except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
            rename_damaged(folder / RECORD_FILE, folder / MODEL_FILE)
            return str(error)
    return None


def _read(folder: Path, *, fingerprint: str) -> TrainResult:
    record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    if record["fingerprint"] != fingerprint:
        raise ValueError(f"its record is of {record['fingerprint'][:12]}, expected {fingerprint[:12]}")
    if file_digest(folder / MODEL_FILE) != record["sha256"]:
        raise ValueError(f"{MODEL_FILE} is not the file that was written")
    height, width, channels = record["input_shape"]
    return TrainResult(
        path=folder / MODEL_FILE,
        fingerprint=fingerprint,
        digest=str(record["digest"]),
        input_shape=(int(height), int(width), int(channels)),
        num_classes=int(record["num_classes"]),
        output=record["output"],
        history={metric: tuple(values) for metric, values in record["history"].items()},
        seconds=float(record["seconds"]),
        from_cache=True,
        resumed_from_epoch=0,
    )


def write_record(result: TrainResult, *, about: Mapping[str, Any]) -> None:
    """Write `model.json` beside a finished `model.keras`; from now on the model counts as trained."""
    record = {key: value for key, value in asdict(result).items() if key not in ("path", "from_cache")}
    record = {"file": MODEL_FILE, "sha256": file_digest(result.path), **record, **about}
    text = json.dumps(record, indent=2)
    write_bytes(result.path.parent / RECORD_FILE, f"{text}\n".encode())


def set_aside(*paths: Path, reason: str) -> None:
    """Rename damaged files to `*.damaged`, and warn."""
    rename_damaged(*paths)
    warnings.warn(
        f"{paths[0].parent}: damaged ({reason}); set aside as *.damaged, and made again", RuntimeWarning, stacklevel=3
    )


@contextmanager
def locked(folder: Path, *, on_wait: Callable[[Path], None]) -> Iterator[None]:
    """Hold the folder's lock, which ends with its owner; `on_wait` is told once when another process has it.

    Raises:
        StoreError: where the folder cannot be made or written.
    """
    make_folder(folder)
    lock = filelock.FileLock(folder / ".lock")
    with as_store_error(folder):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            on_wait(folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
