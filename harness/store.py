"""The logit store: arrays on disk, found by what they are.

`logits/<model8>/<split8>/<view-name>-<16>.npy` holds logits `[N, C]` float32; the JSON beside it says what they are,
carries the SHA-256 of the array file and is written last, so an item without it does not exist.
An item is never overwritten; a damaged one is set aside, reported and computed again. The whole store is a cache:
it may be deleted at any time.
"""

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from harness.files import as_store_error, file_digest, make_folder, rename_damaged, write_atomically
from harness.fingerprint import canonical, fingerprint

INFERENCE_VERSION = 1  # raise by hand when a change of our code changes logits


@dataclass(frozen=True)
class LogitKey:
    """What logits are the logits of.

    Attributes:
        model: digest of the model with its preprocessing, 64 hex digits.
        split: digest of the split's images and labels, 64 hex digits.
        view: canonical JSON of the view's spec.
        view_name: for people; in the file's name, not in the identity.
        engine: `exact` or `fast`, with the precision: `exact-float32`.
    """

    model: str
    split: str
    view: str
    view_name: str
    engine: str

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the logits, as plain data."""
        return {
            "version": INFERENCE_VERSION,
            "model": self.model,
            "split": self.split,
            "view": json.loads(self.view),
            "engine": self.engine,
        }


@dataclass(frozen=True)
class LogitStore:
    """Logits on disk below `root`, one item a forward pass; nothing is made before something is written."""

    root: Path

    def __contains__(self, key: LogitKey) -> bool:
        """True when an item for `key` exists; its bytes are checked by `get`, not here."""
        return self._find(key) is not None

    def get(self, key: LogitKey) -> np.ndarray | None:
        """Logits `[N, C]` float32, memory-mapped read-only, or None where there are none.

        An item whose bytes do not agree with its checksum is set aside with a warning and counts as absent.
        """
        found = self._find(key)
        if found is None:
            return None
        path, side = found
        try:
            _check(path, side)
            logits: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            self._quarantine(path, error)
            return None
        return logits

    def put(self, key: LogitKey, logits: np.ndarray, *, note: Mapping[str, Any]) -> None:
        """Stores logits `[N, C]` for `key` unless they are there; `note` goes into the side file only.

        Raises:
            StoreError: where the disk is full or the folder cannot be written; nothing half-written remains.
            ValueError: for logits that are not finite.
        """
        if not np.isfinite(logits).all():
            raise ValueError("logits must be finite to be stored")
        path = self._path(key)
        if key in self:
            return
        make_folder(path.parent)
        array = np.ascontiguousarray(logits, dtype=np.float32)
        write_atomically(path, lambda stream: np.save(stream, array, allow_pickle=False))
        told = {"view_name": key.view_name, "sha256": file_digest(path), "shape": array.shape, **note}
        side = {"identity": key.identity, **told}
        text = json.dumps(canonical(side), indent=1)
        write_atomically(path.with_suffix(".json"), lambda stream: stream.write(text.encode()))

    def verify(self, side_file: Path) -> str | None:
        """Reads an item again, given its side file; where it is damaged it is set aside, and what is wrong returned.

        Raises:
            StoreError: where the store cannot be written.
        """
        path = side_file.with_suffix(".npy")
        try:
            side = _read_side(side_file)
            if path.stem[-16:] != fingerprint(side["identity"])[:16]:
                raise ValueError("its side file tells of other logits")
            _check(path, side)
        except (OSError, ValueError, TypeError, KeyError) as error:
            if not side_file.exists():
                return None  # another process has removed it since
            _set_aside(path)
            return str(error)
        return None

    def note(self, key: LogitKey) -> dict[str, Any]:
        """What the side file says of an item, empty where there is none."""
        found = self._find(key)
        return found[1] if found else {}

    def lock(self, key: LogitKey) -> filelock.BaseFileLock:
        """A lock on one item, shared by processes; it dies with its owner."""
        path = self._path(key)
        make_folder(path.parent)
        return filelock.FileLock(path.with_suffix(".lock"))

    def _path(self, key: LogitKey) -> Path:
        """Where an item goes: below the first 8 digits of its model and split, named by view and fingerprint."""
        slug = re.sub(r"[^A-Za-z0-9.+_-]+", "_", key.view_name).strip("_")[:60]
        name = f"{slug}-{fingerprint(key.identity)[:16]}.npy"
        return self.root / "logits" / key.model[:8] / key.split[:8] / name

    def _find(self, key: LogitKey) -> tuple[Path, dict[str, Any]] | None:
        """The item's array file and side file, also where it was stored under another name for the view."""
        path = self._path(key)
        side = self._side(path, key)
        if side is not None:
            return path, side
        for other in sorted(path.parent.glob(f"*-{path.stem[-16:]}.json")):
            side = self._side(other.with_suffix(".npy"), key)
            if side is not None:
                return other.with_suffix(".npy"), side
        return None

    def _side(self, path: Path, key: LogitKey) -> dict[str, Any] | None:
        try:
            side = _read_side(path.with_suffix(".json"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            self._quarantine(path, error)
            return None
        return side if side["identity"] == canonical(key.identity) else None

    def _quarantine(self, path: Path, error: Exception) -> None:
        _set_aside(path)
        warnings.warn(f"damaged item {path.name} in the store set aside and computed again: {error}", stacklevel=3)


def _read_side(side_file: Path) -> dict[str, Any]:
    side: dict[str, Any] = json.loads(side_file.read_bytes())
    if not isinstance(side["identity"], dict) or not isinstance(side["sha256"], str):
        raise TypeError("its side file tells of no item, or holds no checksum")
    return side


def _check(path: Path, side: Mapping[str, Any]) -> None:
    if not path.exists():
        raise ValueError("its array is missing")
    if file_digest(path) != side["sha256"]:
        raise ValueError("its bytes do not agree with its checksum")


def _set_aside(path: Path) -> None:
    with as_store_error(path):
        rename_damaged(path, path.with_suffix(".json"))
