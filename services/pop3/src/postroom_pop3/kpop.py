"""KPOP: POP3 with a client whom Kerberos introduces before the greeting.

The ticket goes to auth, whose exchange stays open until USER and PASS have come: the name must be
that of the ticket's account, whatever PASS says. There is no second try on a connection.
"""

from __future__ import annotations

from dataclasses import dataclass

from postroom_chassis import logs

from postroom_pop3.authorization import COMMANDS, Authorization
from postroom_pop3.dialogue import Row, Table
from postroom_pop3.protocol import command, replies, sendauth

log = logs.logger(__name__)

MECHANISM = "X-KPOP"
GREETING = replies.ok("Postroom KPOP is ready")


@dataclass(slots=True)
class KpopAuthorization(Authorization):
    """AUTHORIZATION of a session that Kerberos begins."""

    _named: bytes | None = None

    @property
    def permitted(self) -> bool:
        return False  # no password is taken here, and none needed

    async def run(self) -> None:
        """From the first octet to the reply to PASS.

        Raises:
            TimedOut, EndOfStream, ConnectionError: the client is gone.
            Draining: it is between two commands, and the session must end.
        """
        connection, seconds = self.dialogue.connection, self.admission.seconds
        answer = await connection.read(sendauth.read_versions(connection.stream), seconds)
        connection.write(answer)
        if answer != sendauth.ACCEPTED:
            log.info("kpop.other_version", address=connection.peer.address)
            return
        reader = sendauth.read_message(connection.stream, sendauth.REQUEST_OCTETS)
        try:
            request = await connection.read(reader, seconds)
        except sendauth.MessageTooLong:
            log.info("kpop.request_too_long", address=connection.peer.address)
            return
        reply = await self._sign_in(MECHANISM, request)
        if self._named is not None:
            connection.write(reply)

    async def user(self, name: bytes) -> bytes:
        self._name = name
        return replies.ok("now the password")

    async def password(self, _: bytes) -> bytes:
        if self._name is None:
            return replies.err("USER comes first")
        self._named = self._name
        self.done = True
        return b""  # the reply is what auth says of the name

    async def _answer(self, challenge: bytes) -> bytes | None:
        connection = self.dialogue.connection
        connection.write(sendauth.answer(challenge))
        if sendauth.is_error(challenge):
            return None
        connection.write(GREETING)
        await self.dialogue.run(self, TABLE, self.admission.seconds)
        return self._named


_SHARED = (b"CAPA", b"STLS", b"UTF8", b"LANG", b"NOOP", b"QUIT")

ROWS: dict[bytes, Row[KpopAuthorization]] = {
    **{verb: Row(COMMANDS[verb].parse, COMMANDS[verb].handler) for verb in _SHARED},
    b"USER": Row(command.text, KpopAuthorization.user),
    b"PASS": Row(command.anything, KpopAuthorization.password),
}

TABLE = Table(ROWS, frozenset({b"STAT", b"LIST", b"RETR", b"DELE", b"RSET", b"TOP", b"UIDL"}))
