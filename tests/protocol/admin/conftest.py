"""A real auth and a real store, and administration's ways in: the ports, the command, the API."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from postroom_admin.ports import Services
from postroom_admin.remote import connect
from postroom_admin.settings import AdminSettings
from postroom_auth.service import start as start_auth
from postroom_auth.settings import AuthSettings
from postroom_store.__main__ import start as start_store
from postroom_store.settings import StoreSettings
from pydantic import SecretStr

from tests.harness.services import Certificates, running


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Owners:
    """Auth and store, and how to reach them as admin."""

    services: Services
    settings: AdminSettings
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the command and the API."""
        return {
            "POSTROOM_ADMIN_AUTH_ADDRESS": self.settings.auth_address,
            "POSTROOM_ADMIN_STORE_ADDRESS": self.settings.store_address,
            "POSTROOM_ADMIN_RPC_CERTIFICATE": str(self.settings.rpc_certificate),
            "POSTROOM_ADMIN_RPC_KEY": str(self.settings.rpc_key),
            "POSTROOM_ADMIN_RPC_AUTHORITY": str(self.settings.rpc_authority),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    async def begin(self, *arguments: str) -> Process:
        """Start the command as a process of its own."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "postroom_admin.cli"),
            *arguments,
            env={**os.environ, **self.environment},
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def postroom(self, *arguments: str, stdin: str = "", status: int = 0) -> Ran:
        """Run the command to its end."""
        process = await self.begin(*arguments)
        stdout, stderr = await process.communicate(stdin.encode())
        ran = Ran(process.returncode or 0, stdout.decode(), stderr.decode())
        assert ran.status == status, ran
        return ran


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


def auth_settings(certificates: Certificates, folder: Path) -> AuthSettings:
    return AuthSettings(
        database_url=SecretStr(f"sqlite:///{folder / 'auth.sqlite3'}"),
        ticket_key=certificates.folder / "ticket.key",
        secrets_keys=SecretStr("a:" + "A" * 43 + "="),
        argon2_memory_kib=8,
        argon2_passes=1,
        password_score=0,
        **certificates.settings("auth"),
    )


@pytest.fixture
async def owners(certificates: Certificates, tmp_path: Path) -> AsyncIterator[Owners]:
    auth = auth_settings(certificates, tmp_path)
    store = StoreSettings(
        database_url=f"sqlite:///{tmp_path / 'store.sqlite3'}",
        ticket_public_keys=str(certificates.folder / "ticket.pub"),
        **certificates.settings("store"),
    )
    async with AsyncExitStack() as stack:
        auth_service = await stack.enter_async_context(running(auth, start_auth))
        store_service = await stack.enter_async_context(running(store, start_store))
        settings = AdminSettings(
            auth_address=f"127.0.0.1:{auth_service.ports['rpc']}",
            store_address=f"127.0.0.1:{store_service.ports['rpc']}",
            **certificates.settings("admin"),
        )
        services = await stack.enter_async_context(connect(settings))
        yield Owners(services, settings, tmp_path)


@pytest.fixture
async def auth_alone(certificates: Certificates, tmp_path: Path) -> AsyncIterator[Owners]:
    """For what needs no store: there is none."""
    auth = auth_settings(certificates, tmp_path)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(auth, start_auth))
        settings = AdminSettings(
            auth_address=f"127.0.0.1:{service.ports['rpc']}",
            store_address="127.0.0.1:1",
            **certificates.settings("admin"),
        )
        services = await stack.enter_async_context(connect(settings))
        yield Owners(services, settings, tmp_path)
