"""What every command stands on: settings, connections, and what people are told when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer
from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.ports import DnsFailure, Services

if TYPE_CHECKING:
    from postroom_admin.settings import AdminSettings

T = TypeVar("T")
Connect = Callable[["AdminSettings"], AbstractAsyncContextManager[Services]]
Use = Callable[[Services], Awaitable[T]]

RUN_FILE = ".run/admin.env"  # where `make run` writes the settings
NEEDED = (
    "POSTROOM_ADMIN_AUTH_ADDRESS",
    "POSTROOM_ADMIN_STORE_ADDRESS",
    "POSTROOM_ADMIN_RPC_CERTIFICATE",
    "POSTROOM_ADMIN_RPC_KEY",
    "POSTROOM_ADMIN_RPC_AUTHORITY",
)

# What to do next, where the message itself doesn't say.
ADVICE: dict[Kind, str] = {
    Kind.NOT_FOUND: "the `list` commands show what there is",
    Kind.DENIED: "POSTROOM_ADMIN_RPC_CERTIFICATE has to be the one that names admin.postroom",
    Kind.UNAVAILABLE: "is it running at POSTROOM_ADMIN_AUTH_ADDRESS, POSTROOM_ADMIN_STORE_ADDRESS?",
    Kind.DEADLINE: "try again; it may have been done all the same",
    Kind.OVER_QUOTA: "`postroom quota set` gives the account more room",
    Kind.RATE_LIMITED: "try again later",
    Kind.INTERNAL: "its log has the details",
}


class Session:
    """One run of the command. A command finds it as the context's `obj`.

    Args:
        connect: connects to the owners.
        environment: variables.
        file: more of them, which the environment overrides.
    """

    def __init__(
        self, connect: Connect, environment: Mapping[str, str], file: Path | None = None
    ) -> None:
        self._connect = connect
        self._environment = environment
        self._file = file

    def variable(self, name: str) -> str:
        """One setting by its variable's name; empty where it isn't set."""
        return self._variables().get(name, "")

    def settings(self) -> AdminSettings:
        """All settings; ends the command with status 1 and what is missing where they won't do."""
        # Imported here: help and completion come without, in half the time.
        from postroom_chassis.settings import load

        from postroom_admin.settings import AdminSettings

        variables = self._variables()
        missing = [name for name in NEEDED if not _set(name, variables)]
        if missing:
            fail(
                f"these settings are missing: {', '.join(missing)}\n"
                f"          `make run` writes them to {RUN_FILE}: try"
                f" `postroom --env {RUN_FILE} ...`, or set POSTROOM_ADMIN_ENV to that file"
            )
        return load(AdminSettings, variables)

    def run(self, use: Use[T]) -> T:
        """What `use` answers, given the owners; its errors end the command with status 1."""

        async def connected() -> T:
            async with self._connect(self.settings()) as services:
                return await use(services)

        try:
            return asyncio.run(connected())
        except PostroomError as error:
            fail(_told(error))
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))

    def _variables(self) -> dict[str, str]:
        if self._file is None:
            return dict(self._environment)
        try:
            text = self._file.read_text(encoding="utf-8")
        except OSError as error:
            fail(f"{self._file} can't be read ({error.strerror}): `make run` writes {RUN_FILE}")
        return read_env(text) | dict(self._environment)


def of(ctx: typer.Context) -> Session:
    """The session of a command."""
    session = ctx.obj
    assert isinstance(session, Session)  # noqa: S101 (the callback of the whole command sets it)
    return session


def read_env(text: str) -> dict[str, str]:
    """KEY=VALUE lines; "#" begins a comment line, quotes round a value are taken off."""
    variables: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not key.startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            variables[key.strip()] = value[1:-1] if quoted else value
    return variables


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with a message on stderr."""
    typer.echo(f"postroom: {message}", err=True)
    raise typer.Exit(status)


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  $ {line}" for line in lines)


def _told(error: PostroomError) -> str:
    advice = ADVICE.get(error.kind, "")
    if isinstance(error, DnsFailure):
        advice = "POSTROOM_ADMIN_DNS_SERVER, or --server, names another server to ask"
    return f"{error.message} ({advice})" if advice else error.message


def _set(name: str, variables: Mapping[str, str]) -> bool:
    shared = name.replace("_ADMIN_", "_")  # what all services share may be set for all together
    names = {name, f"{name}_FILE", shared, f"{shared}_FILE"}
    return any(variables.get(one) for one in names)
