"""The service starts, migrates, rehashes, answers probes, and stops."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postroom.auth.v1 import account_pb2
from postroom_auth.database import Database, open_engine
from postroom_auth.migrating import migrate
from postroom_auth.service import open_database, start
from postroom_auth.tables import credentials, metadata
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.http import Readiness
from postroom_chassis.lifecycle import Service

from tests.harness.databases import PostgresServer
from tests.protocol.auth.house import opened, settings
from tests.protocol.auth.test_sign_in import begin

ANN = "ann@example.org"
AWAY = "UNAVAILABLE: the directory can't be asked now"


async def test_the_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    engine = open_engine(database_url, 1)
    with engine.begin() as connection:
        migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_replicas_that_start_together_migrate_once(
    certificates: Path, database_url: str
) -> None:
    own = settings(certificates, database_url)
    databases = await asyncio.gather(*(open_database(own) for _ in range(4)))
    for database in databases:
        await database.ping()
        database.close()


async def test_people_are_there_after_a_restart(certificates: Path, database_url: str) -> None:
    async with opened(certificates, database_url) as house:
        await house.add_domain("example.org")
        made = await house.add_account(ANN, "secret")
        token = (await house.login(ANN, "secret")).token
    async with opened(certificates, database_url) as house:
        assert (await house.login(ANN, "secret")).account_id == made.account_id
        assert (await house.renew(token)).account_id == made.account_id


async def test_a_newer_schema_stops_the_start(certificates: Path, database_url: str) -> None:
    own = settings(certificates, database_url)
    database = await open_database(own)
    await database.write(
        lambda connection: connection.execute(
            sa.text("UPDATE alembic_version SET version_num = '9999'")
        )
    )
    database.close()
    with pytest.raises(OSError, match="schema can't be brought up to date"):
        await open_database(own)


@pytest.mark.parametrize(
    "url",
    ["rubbish", "mysql://x/y", "sqlite://", "postgresql+psycopg://nobody@127.0.0.1:1/x"],
)
async def test_a_database_that_can_not_be_had_stops_the_start(certificates: Path, url: str) -> None:
    own = settings(certificates, url, database_wait_seconds=0.3)
    with pytest.raises(OSError, match=r"database|DATABASE"):
        await open_database(own)


async def test_a_key_that_is_none_stops_the_start(
    certificates: Path, sqlite_url: str, tmp_path: Path
) -> None:
    for content in (b"rubbish", (certificates / "ticket.pub").read_bytes()):
        key = tmp_path / "ticket.key"
        key.write_bytes(content)
        async with AsyncExitStack() as stack:
            with pytest.raises(OSError, match="Ed25519"):
                await start(Service(stack), settings(certificates, sqlite_url, ticket_key=key))


def switch_off(server: PostgresServer, url: str, *, off: bool) -> None:
    """Let a database refuse everybody, those who are connected too."""
    name = sa.make_url(url).database
    engine = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {str(not off).lower()}')
        )
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(sa.text(end), {"name": name})
    engine.dispose()


async def test_it_is_ready_while_the_database_answers(
    certificates: Path, postgresql_url: str, postgres_server: PostgresServer
) -> None:
    async with opened(certificates, postgresql_url, directory_seconds=0) as house:
        await house.add_domain("example.org")
        readiness = Readiness(house.service.checks)
        assert await readiness.faults() == {}
        switch_off(postgres_server, postgresql_url, off=True)
        assert await readiness.faults() == {"database": AWAY}
        with pytest.raises(PostroomError) as away:
            await house.login(ANN, "secret")
        assert away.value.kind is Kind.UNAVAILABLE
        switch_off(postgres_server, postgresql_url, off=False)
        assert await readiness.faults() == {}
        (answer,) = await house.resolve(ANN)
        assert not answer.recipients


async def test_a_sqlite_database_is_ready(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url) as house:
        assert await Readiness(house.service.checks).faults() == {}


async def test_what_another_replica_changes_is_seen_soon(
    certificates: Path, database_url: str
) -> None:
    async with (
        opened(certificates, database_url, directory_seconds=0) as one,
        opened(certificates, database_url, directory_seconds=0) as other,
    ):
        await one.add_domain("example.org")
        await one.add_account(ANN, "first")
        token = (await other.login(ANN, "first")).token
        await one.accounts.SetPassword(
            account_pb2.SetPasswordRequest(address=ANN, password="second")
        )
        for attempt in (other.login(ANN, "first"), other.renew(token)):
            with pytest.raises(PostroomError) as refused:
                await attempt
            assert refused.value.kind is Kind.UNAUTHENTICATED
        assert (await other.login(ANN, "second")).address == ANN


async def hash_of_ann(url: str) -> tuple[str, int]:
    database = Database(open_engine(url, 1), 1)
    row = await database.read(
        lambda connection: connection.execute(
            sa.select(credentials.c.password_hash, credentials.c.version)
        ).one()
    )
    database.close()
    return row.password_hash, row.version


async def test_a_hash_with_old_parameters_is_replaced_at_the_next_sign_in(
    certificates: Path, database_url: str
) -> None:
    async with opened(certificates, database_url) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, "secret")
    old, _ = await hash_of_ann(database_url)
    assert "m=64,t=1,p=1" in old
    async with opened(certificates, database_url, argon2_passes=2) as house:
        token = (await house.login(ANN, "secret")).token
    async with opened(certificates, database_url, argon2_passes=2) as house:
        new, version = await hash_of_ann(database_url)
        assert "m=64,t=2,p=1" in new
        assert version == 1
        assert (await house.login(ANN, "secret")).address == ANN
        # The password is the same: sessions go on.
        assert (await house.renew(token)).address == ANN


async def test_it_stops_within_the_time_it_is_given(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url) as house:
        call = house.authentication().Authenticate()
        await call.write(begin())
        assert (await call.read()).challenge == b"Username:"
        async with asyncio.timeout(10):
            await house.service.drain(0.1)
        with pytest.raises(PostroomError) as away:
            await house.add_domain("example.org")
        assert away.value.kind is Kind.UNAVAILABLE


async def test_a_broken_connection_is_made_anew(certificates: Path, postgresql_url: str) -> None:
    async with opened(certificates, postgresql_url, directory_seconds=0) as house:
        await house.add_domain("example.org")
        await house.add_account(ANN, "secret")
        engine = open_engine(postgresql_url, 1)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        (answer,) = await house.resolve(ANN)
        assert len(answer.recipients) == 1


async def test_it_runs_as_a_process_until_sigterm(certificates: Path, sqlite_url: str) -> None:
    own = settings(certificates, sqlite_url)
    environment = {
        **os.environ,
        "POSTROOM_RPC_CERTIFICATE": str(own.rpc_certificate),
        "POSTROOM_RPC_KEY": str(own.rpc_key),
        "POSTROOM_RPC_AUTHORITY": str(own.rpc_authority),
        "POSTROOM_AUTH_TICKET_KEY": str(own.ticket_key),
        "POSTROOM_AUTH_DATABASE_URL": sqlite_url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "postroom_auth", env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        ready: dict[str, Any] = {}
        while ready.get("event") != "service.ready":
            ready = json.loads(await process.stdout.readline())
        assert ready["ports"]["rpc"] > 0
        process.terminate()
        last = (await process.stdout.read()).decode().splitlines()[-1]
        assert json.loads(last)["event"] == "service.stopped"
        assert await process.wait() == 0
