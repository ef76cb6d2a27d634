"""The databases that other tests stand on."""

from __future__ import annotations

import sqlalchemy as sa


def test_a_database_is_empty_and_takes_rows(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    try:
        with engine.begin() as connection:
            assert sa.inspect(connection).get_table_names() == []
            connection.execute(sa.text("CREATE TABLE letters (body TEXT)"))
            connection.execute(sa.text("INSERT INTO letters VALUES ('Grüße')"))
            assert connection.scalar(sa.text("SELECT body FROM letters")) == "Grüße"
    finally:
        engine.dispose()


def test_both_engines_are_what_they_say(sqlite_url: str, postgresql_url: str) -> None:
    for url, name in ((sqlite_url, "sqlite"), (postgresql_url, "postgresql")):
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            assert connection.dialect.name == name
        engine.dispose()
