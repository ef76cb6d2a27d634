"""Bringing the schema up to date, by one process at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

# Replicas that start together take turns by this lock (PostgreSQL); the number means nothing.
MIGRATION_LOCK = 0x506F_7374_0000


def migrate(connection: sa.Connection) -> None:
    """Run the steps that the database has not seen, in the connection's transaction.

    Raises:
        OSError: the database's schema is newer than this program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    config = Config()
    config.set_main_option("script_location", "postroom_auth:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise OSError(f"the database's schema can't be brought up to date: {error}") from error
