"""The schema of a tracking database against the installed MLflow's; nothing is made or migrated."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from harness.errors import TrackingError
from harness.tracking import schema


def set_revision(uri: str, revision: str) -> None:
    """Writes another revision into a database."""
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as base:
        base.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        base.commit()


def test_a_store_that_mlflow_made(uri: str) -> None:
    """What the installed MLflow has just made has its schema."""
    assert schema.schema_state(uri) == "same"


def test_the_last_revision_is_the_one_that_alembic_finds() -> None:
    """Read from text, the revisions are those that alembic reads by importing them."""
    import mlflow

    folder = Path(mlflow.__file__).parent / "store" / "db_migrations"
    directory = ScriptDirectory(str(folder))
    known, head = schema.revisions()
    assert head == directory.get_current_head()
    assert known == {one.revision for one in directory.walk_revisions()}


def test_older_and_newer_stores(uri: str) -> None:
    """A known revision that is not the last is older; one that nobody knows comes from a newer MLflow."""
    known, head = schema.revisions()
    set_revision(uri, min(known - {head}))
    assert schema.schema_state(uri) == "older"
    set_revision(uri, "0123456789ab")
    assert schema.schema_state(uri) == "newer"


def test_other_files(tmp_path: Path) -> None:
    """A database of somebody else, an empty file, and what is no database at all; none of them is changed."""
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as base:
        base.execute("CREATE TABLE birds (name TEXT)")
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("no database" * 100)
    assert schema.schema_state(f"sqlite:///{tmp_path}/theirs.db") == "none"
    assert schema.schema_state(f"sqlite:///{tmp_path}/empty.db") == "none"
    with pytest.raises(TrackingError, match="cannot be opened") as caught:
        schema.schema_state(f"sqlite:///{tmp_path}/text.db")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "empty.db").stat().st_size == 0
    with pytest.raises(TrackingError, match="cannot be opened"):
        schema.schema_state(f"sqlite:///{tmp_path}/missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_a_database_server_that_is_away_is_one_line_without_its_password() -> None:
    """A dialect whose driver is missing, or a server that refuses: one line."""
    with pytest.raises(TrackingError) as caught:
        schema.schema_state("mssql+nodriver://me:secret@127.0.0.1:9/mlflow")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
