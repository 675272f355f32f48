"""Which version of MLflow's schema a database has; nothing is made or migrated, and MLflow itself is not loaded."""

import contextlib
import importlib.util
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import TrackingError
from harness.tracking.location import public_uri, sqlite_file

SECONDS = 5
QUERY = "SELECT version_num FROM alembic_version"
_REVISION = re.compile(r"^revision(?:: str)? = [\"'](\w+)[\"']", re.MULTILINE)
_DOWN = re.compile(r"^down_revision(?:: [^=]+)? = [\"'](\w+)[\"']", re.MULTILINE)


def schema_state(uri: str) -> Literal["same", "older", "newer", "none"]:
    """How the database's schema stands to the installed MLflow's; `none` where it is no database of MLflow.

    Raises:
        TrackingError: where the database cannot be opened.
    """
    found = _revision(uri)
    if found is None:
        return "none"
    known, head = revisions()
    return "same" if found == head else "older" if found in known else "newer"


def revisions() -> tuple[set[str], str]:
    """The revisions that the installed MLflow knows, and the last of them.

    Read from the text of its migrations: to import them takes seconds.

    Raises:
        TrackingError: where they are not where they have always been.
    """
    spec = importlib.util.find_spec("mlflow")
    folders = list(spec.submodule_search_locations or []) if spec else []
    texts = [
        file.read_text(encoding="utf-8")
        for folder in folders
        for file in Path(folder, "store", "db_migrations", "versions").glob("*.py")
    ]
    known = {match[1] for text in texts if (match := _REVISION.search(text))}
    heads = known - {match[1] for text in texts if (match := _DOWN.search(text))}
    if len(heads) != 1:
        raise TrackingError(f"expected one last schema among the installed MLflow's {len(known)}, got {len(heads)}")
    return known, heads.pop()


def _revision(uri: str) -> str | None:
    file = sqlite_file(uri)
    try:
        with _sqlite(file) if file else _server(uri) as rows:
            return next(rows, None)
    except (sqlite3.OperationalError, SQLAlchemyError, sqlite3.DatabaseError) as error:
        if "alembic_version" in str(error):  # as every database says it, of a table that it has not
            return None
        raise TrackingError(f"{public_uri(uri)} cannot be opened: {public_uri(str(error).splitlines()[0])}") from error


@contextlib.contextmanager
def _sqlite(file: Path) -> Iterator[Iterator[str]]:
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=SECONDS)) as base:
        yield (str(row[0]) for row in base.execute(QUERY))


@contextlib.contextmanager
def _server(uri: str) -> Iterator[Iterator[str]]:
    engine = sqlalchemy.create_engine(uri, connect_args={"connect_timeout": SECONDS})
    try:
        with engine.connect() as connection:
            yield (str(row[0]) for row in connection.execute(sqlalchemy.text(QUERY)))
    finally:
        engine.dispose()
