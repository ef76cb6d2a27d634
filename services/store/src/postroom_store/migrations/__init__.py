"""The schema's history, run forward at every start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from postroom_store.database import is_sqlite

HERE = Path(__file__).parent
LOCK = 0x706F7374  # any number that nothing else in the database locks


def migrate(engine: Engine) -> None:
    """Bring a database to the newest schema; safe while other replicas start.

    Raises OSError where it can't be reached, or is of a newer program.
    """
    try:
        with engine.connect().execution_options(writing=True) as connection, _locked(connection):
            config = Config()
            config.set_main_option("script_location", str(HERE))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except DBAPIError as error:
        raise OSError(f"POSTROOM_STORE_DATABASE_URL can't be used: {error.orig}") from error
    except CommandError as error:
        raise OSError(f"the database's schema can't be brought up to date: {error}") from error


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """One replica at a time. On SQLite the write transaction is the lock."""
    if is_sqlite(connection):
        yield
        return
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
    try:
        yield
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
        connection.commit()
