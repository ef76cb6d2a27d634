"""`python -m postroom_<owner>.migrations`: the schema is there before the service is."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect

NEEDED = {
    "auth": {"TICKET_KEY": "nowhere"},
    "store": {"TICKET_PUBLIC_KEYS": "nowhere"},
}


def migrate(owner: str, url: str) -> subprocess.CompletedProcess[str]:
    settings = {
        **NEEDED[owner],
        "DATABASE_URL": url,
        "RPC_CERTIFICATE": "nowhere",
        "RPC_KEY": "nowhere",
        "RPC_AUTHORITY": "nowhere",
    }
    return subprocess.run(
        [sys.executable, "-m", f"postroom_{owner}.migrations"],
        env={f"POSTROOM_{owner.upper()}_{name}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(("owner", "table"), [("auth", "accounts"), ("store", "mailboxes")])
def test_it_makes_the_schema_and_leaves_what_is_there(
    owner: str, table: str, database_url: str
) -> None:
    for _ in range(2):
        ran = migrate(owner, database_url.replace("postgresql+psycopg:", "postgresql:"))
        assert ran.returncode == 0, ran.stderr
        assert '"migrations.done"' in ran.stdout
    engine = create_engine(database_url)
    assert table in inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.parametrize("owner", NEEDED)
def test_a_database_that_cant_be_had_is_told_in_a_line(owner: str) -> None:
    ran = migrate(owner, "sqlite:////proc/nowhere/database.sqlite3")
    assert ran.returncode == 1
    told = ran.stderr.splitlines()
    assert len(told) == 1
    assert told[0].startswith(f"postroom-{owner} can't migrate: ")
