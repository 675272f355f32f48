"""Files written whole or not at all, and their digests."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from harness.errors import StoreError
from harness.files import file_digest, make_folder, path_digest, write_atomically


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


def test_a_written_file_holds_what_was_written_and_nothing_else_remains(tmp_path: Path) -> None:
    """The file is there in whole, readable for others, and no temporary file is."""
    write_atomically(tmp_path / "a.bin", lambda stream: stream.write(b"abc"))
    assert (tmp_path / "a.bin").read_bytes() == b"abc"
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_writer_that_raises_leaves_the_old_file(tmp_path: Path) -> None:
    """What was there stays, and the temporary file is gone; also for Ctrl-C."""
    (tmp_path / "a.bin").write_bytes(b"old")

    def write(stream: IO[bytes]) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.bin", write)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.bin": b"old"}


def test_a_full_disk_is_one_line_and_nothing_remains(small_disk: Path) -> None:
    """No space left becomes a StoreError that says so, and frees what it took."""
    with pytest.raises(StoreError, match="no space left while writing") as caught:
        write_atomically(small_disk / "a.bin", lambda stream: stream.write(bytes(200_000)))
    assert "\n" not in str(caught.value)
    assert list(small_disk.iterdir()) == []


def test_a_folder_below_a_file_is_one_line(tmp_path: Path) -> None:
    """A folder that cannot be made is a StoreError that names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file/folder") as caught:
        make_folder(tmp_path / "file" / "folder")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_writable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operating system says about access is believed before anything is written."""
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    with pytest.raises(StoreError, match="not writable"):
        make_folder(tmp_path / "folder")


def test_file_digest_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    """Equal to hashlib over the whole content, also for a file larger than one block."""
    content = bytes(range(256)) * 2000
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a") == path_digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_folder_digest_sees_names_and_bytes_but_not_where_it_lies(tmp_path: Path) -> None:
    """A copy has the digest of the original; a renamed or changed file another."""
    digests = []
    for number, (name, content) in enumerate([("x", b"1"), ("x", b"1"), ("y", b"1"), ("x", b"2")]):
        folder = tmp_path / str(number)
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / name).write_bytes(content)
        digests.append(path_digest(folder))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
