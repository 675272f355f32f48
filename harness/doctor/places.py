"""Where files go: the store and its health, room on disk."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.doctor.check import Check, Status
from harness.quantities import bytes_text
from harness.upkeep.inventory import DAMAGED, HALF_WRITTEN, LOGITS, MODEL, items, leftovers

LITTLE, TOO_LITTLE = 2 * 10**9, 2 * 10**8
"""Free bytes below which a disk is warned of, and below which a job will hardly end."""


def check_store(root: Path) -> Check:
    """Whether the store can be read and written, what is in it, and what is wrong with that."""
    if not root.exists():
        writable = _writable(_existing(root))
        if writable:
            return Check("store", "problem", f"{root} cannot be made: {writable}", "`store=…` says where it is")
        return Check("store", "ok", f"{root} is made by the first job")
    refused = _writable(root)
    if refused:
        remedy = "give yourself the right to write there, or `store=…` another place"
        return Check("store", "problem", f"{root} cannot be written: {refused}", remedy)
    return _health(root)


def _health(root: Path) -> Check:
    found, left = items(root), [one for one in leftovers(root) if not one.is_lock]
    count = {kind: sum(item.kind == kind for item in found) for kind in (MODEL, LOGITS)}
    size = bytes_text(sum(item.bytes for item in found) + sum(one.bytes for one in left))
    models = f"{count[MODEL]} model{'' if count[MODEL] == 1 else 's'}"
    text = f"{root}: {models}, logits of {count[LOGITS]} forward passes, {size}"
    wrong = {reason: sum(one.reason == reason for one in left) for reason in (DAMAGED, HALF_WRITTEN)}
    said = [f"{number} {reason}" for reason, number in wrong.items() if number]
    if not said:
        return Check("store", "ok", text)
    return Check("store", "warning", f"{text}; {', '.join(said)}", "`harness cache gc` removes them")


def check_disks(places: Mapping[str, Path]) -> list[Check]:
    """Free room where each of `places` is or will be; one line for those on the same disk."""
    disks: dict[int, tuple[list[str], Path]] = {}
    for name, path in places.items():
        folder = _existing(path)
        disks.setdefault(folder.stat().st_dev, ([], folder))[0].append(name)
    return [_disk(names, folder) for names, folder in disks.values()]


def _disk(names: list[str], folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    status: Status = "problem" if free < TOO_LITTLE else "warning" if free < LITTLE else "ok"
    remedy = "" if status == "ok" else "free some (`harness cache gc --max-size 1GB`), or name another disk"
    return Check("disk", status, f"{bytes_text(free)} free for {', '.join(names)} (at {folder.absolute()})", remedy)


def _existing(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _writable(folder: Path) -> str:
    """Why a file cannot be made in this folder, empty where it can; tried, because rights do not say it all."""
    if not folder.is_dir():
        return "a file is in its place"
    if not os.access(folder, os.R_OK | os.X_OK):
        return "it cannot be read"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
