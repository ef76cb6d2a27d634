"""Fixtures that tests of every part share."""

from tests.harness.databases import database_url, postgres_server, postgresql_url, sqlite_url

__all__ = ["database_url", "postgres_server", "postgresql_url", "sqlite_url"]
