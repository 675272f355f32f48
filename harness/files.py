"""Files written whole or not at all, and their digests."""

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from harness.errors import StoreError

DAMAGED_SUFFIX = ".damaged"
"""Ending of files that were set aside."""


def make_folder(path: Path) -> None:
    """Makes a folder and its parents.

    Raises:
        StoreError: where it cannot be made or written.
    """
    with as_store_error(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "not writable", str(path))


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Lets `write` fill a temporary file beside `path`, flushes it to disk and renames it into place.

    Raises:
        StoreError: where the disk is full or the folder cannot be written; the temporary file is removed.
    """

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            write(stream)

    replace_atomically(path, fill)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file of these bytes.

    Raises:
        StoreError: as `write_atomically`.
    """
    write_atomically(path, lambda stream: stream.write(content))


def replace_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """As `write_atomically`, for a writer that takes a path; the temporary file keeps the suffix of `path`.

    Raises:
        StoreError: where the disk is full or the folder cannot be written; the temporary file is removed.
    """
    with as_store_error(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=path.suffix)
        os.close(descriptor)
        temporary = Path(name)
        try:
            write(temporary)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def rename_damaged(*paths: Path) -> None:
    """Renames to `*.damaged` those of the files that are there.

    Raises:
        OSError: where the folder cannot be written.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # another process may have been first
            path.replace(path.with_name(f"{path.name}{DAMAGED_SUFFIX}"))


def file_digest(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def path_digest(path: Path) -> str:
    """SHA-256 (64 hex digits) over a file's bytes, or over the names and bytes of all files in a folder."""
    if path.is_file():
        return file_digest(path)
    sha = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        sha.update(f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode())
    return sha.hexdigest()


@contextlib.contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """Turns what the operating system says while `path` is written into one line.

    Raises:
        StoreError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        # NumPy tells of a short write in words alone: "N requested and M written".
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or (error.errno is None and "requested and" in str(error))
        if full:
            raise StoreError(f"no space left while writing {path}: free some, or point `store` elsewhere") from error
        raise StoreError(f"cannot write {path}: {error.strerror or error}; `store` and `output` say where") from error
