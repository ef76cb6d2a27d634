"""The loop of both states: read a command, find its row, run its handler, send the reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_chassis.language import speak
from postroom_chassis.net.connection import Connection, Draining, TimedOut
from postroom_chassis.net.stream import EndOfStream

from postroom_pop3.protocol import replies
from postroom_pop3.protocol.command import Command, SyntaxFault, read_command, read_response
from postroom_pop3.protocol.maildrop import NoSuchMessage
from postroom_pop3.protocol.translations import NAMES

log = logs.logger(__name__)


class State(Protocol):
    """AUTHORIZATION or TRANSACTION, of one session."""

    @property
    def done(self) -> bool:
        """Whether the next command, if there is one, is another state's."""


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Row(Generic[S]):
    """One command of a state's table: how its arguments are read, and what answers it."""

    parse: Callable[[bytes], Any]
    handler: Callable[[S, Any], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Table(Generic[S]):
    """The commands of a state, by verb; of those `elsewhere`, that they are of another."""

    rows: Mapping[bytes, Row[S]]
    elsewhere: frozenset[bytes]


async def language(_: State, wanted: str | None) -> bytes:
    """LANG (RFC 6856 section 3), in both states."""
    if wanted is None:
        lines = [f"{tag} {NAMES[tag]}" for tag in replies.WORDING.supported]
        return replies.multiline("the languages spoken here", lines)
    found = replies.WORDING.look_up([wanted])
    if found is None:
        return replies.err("no such language is spoken here")
    speak(found)  # at once, so that the reply is in it already
    return b"+OK %b %b\r\n" % (found.encode(), replies.WORDING.say("English is spoken now"))


class Dialogue:
    """One client's commands and replies.

    Args:
        connection: the client's.
        bad_commands: how many end the connection.
    """

    def __init__(self, connection: Connection, bad_commands: int) -> None:
        self.connection = connection
        self._patience = bad_commands

    async def run(self, state: S, table: Table[S], seconds: float) -> None:
        """Serve commands until the state is done or the client's bad commands are too many.

        Args:
            seconds: how long the client may take for each command.

        Raises:
            TimedOut, EndOfStream, ConnectionError: the client is gone.
            Draining: it is between two commands, and the session must end.
        """
        connection = self.connection
        while not state.done and self._patience:
            try:
                reader = read_command(connection.stream)
                command = await connection.read(reader, seconds, boundary=True)
                reply = await self._answer(state, table, command)
            except SyntaxFault as fault:
                reply = self._complain(str(fault))
            connection.write(reply)
            await connection.drain()

    async def ask(self, challenge: bytes, seconds: float) -> bytes | None:
        """The client's response to a SASL challenge in base64; None where it cancels.

        Raises SyntaxFault and what `run` raises.
        """
        self.connection.write(b"+ " + challenge + b"\r\n")
        return await self.connection.read(read_response(self.connection.stream), seconds)

    async def _answer(self, state: S, table: Table[S], command: Command) -> bytes:
        row = table.rows.get(command.verb)
        if row is None:
            known = command.verb in table.elsewhere
            return self._complain("not now" if known else "no such command")
        arguments = row.parse(command.arguments)
        try:
            return await row.handler(state, arguments)
        except NoSuchMessage:
            return replies.err("no such message")
        except PostroomError as error:
            return replies.refusal(error)
        except (SyntaxFault, TimedOut, EndOfStream, Draining, ConnectionError):
            raise
        except Exception:
            log.exception("command.failed", verb=command.verb.decode("ascii", "replace"))
            return replies.err("something went wrong here", replies.TEMPORARY)

    def _complain(self, text: str) -> bytes:
        self._patience -= 1
        return replies.err(text if self._patience else "that was one bad command too many")
