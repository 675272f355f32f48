"""Where the official files of a public data set lie, and Keras' download where they do not."""

import gzip
import os
import socket
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.datasets.arrays import array_split
from harness.datasets.raw import RawSplit
from harness.errors import DataError

CONNECTION_TIMEOUT = 15.0  # seconds; Keras sets none, and a silent network would hold the job for ever


def keras_cache(folder: str) -> Path:
    """`folder` in Keras' data cache: below `$KERAS_HOME`, by default `~/.keras`."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets" / folder


def find_official(name: str, path: str | Path | None, *, folder: str, files: Sequence[str]) -> list[Path] | None:
    """The official files of data set `name`, plain or gzipped, in the order asked; None where the cache lacks one.

    Args:
        name: of the data set, for the message.
        path: the folder to look in; None for `folder` in the Keras cache.
        folder: name of the folder in the Keras cache.
        files: names, without `.gz`.

    Raises:
        DataError: where `path` is given and lacks a file.
    """
    place = keras_cache(folder) if path is None else Path(path).expanduser()
    found = [_plain_or_gzip(place / file) for file in files]
    if all(found):
        return [file for file in found if file is not None]
    if path is None:
        return None
    missing = [file for file, at in zip(files, found, strict=True) if at is None]
    raise DataError(f"{name}: expected the official files in {place}, missing: {', '.join(missing)}")


def read_official(file: Path) -> bytes:
    """The bytes of a file, unpacked where its name ends in `.gz`.

    Raises:
        DataError: where it cannot be read or its gzip stream is damaged.
    """
    try:
        return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read ({error}); get the file anew") from error


def download(name: str, *, folder: str, files: Sequence[str]) -> tuple[RawSplit, RawSplit]:
    """Train and test as `keras.datasets.<name>` gives them, from its cache or its download.

    Raises:
        DataError: where that fails, naming the files and where to put them.
    """
    try:
        from harness.backend import keras

        with _connection_timeout():
            train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises bare Exception for a failed download
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{name}: no files found and no download ({reason}); put {', '.join(files)} (or .gz) "
            f"into {keras_cache(folder)}, or give their folder as dataset.path"
        ) from error
    return array_split(*train), array_split(*test)


def _plain_or_gzip(file: Path) -> Path | None:
    zipped = file.with_name(file.name + ".gz")
    return next((candidate for candidate in (file, zipped) if candidate.is_file()), None)


@contextmanager
def _connection_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECTION_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
