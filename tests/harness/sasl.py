"""SASL exchanges over a front, each protocol with its own frame."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tests.harness.system import MailSystem
from tests.harness.wire import Wire

# Decodes nothing: a challenge in base64, and the line that answers it.
Respond = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Frame:
    """How a protocol frames an exchange, and how it says what came of it.

    Attributes:
        begin: the command, with the mechanism and perhaps an initial response to come.
        challenge: what a challenge begins with.
        start_tls: the command, and what permits to begin.
        succeeded, failed, cancelled, broken: what the last reply begins with.
    """

    begin: bytes
    challenge: bytes
    start_tls: tuple[bytes, bytes]
    succeeded: bytes
    failed: bytes
    cancelled: bytes
    broken: bytes


FRAMES = {
    "imap": Frame(
        b"a AUTHENTICATE",
        b"+ ",
        (b"t STARTTLS", b"t OK"),
        b"a OK",
        b"a NO [AUTHENTICATIONFAILED]",
        b"a BAD",
        b"a BAD",
    ),
    "pop3": Frame(b"AUTH", b"+ ", (b"STLS", b"+OK"), b"+OK", b"-ERR [AUTH]", b"-ERR", b"-ERR"),
    "smtp": Frame(
        b"AUTH", b"334 ", (b"STARTTLS", b"220 "), b"235 2.7.0", b"535 5.7.8", b"501 5", b"501 5"
    ),
}
PROTOCOLS = {
    "imap": "imap",
    "imaps": "imap",
    "pop3": "pop3",
    "pop3s": "pop3",
    "smtp": "smtp",
    "submission": "smtp",
    "submissions": "smtp",
}


class SaslWire:
    """A client that has heard the greeting and signs in.

    Args:
        listener: one that PROTOCOLS names; with an "s" at the end TLS comes first.
        tls: what the client trusts; on the other listeners TLS is begun by a command. None: none.
        source: the address that the client comes from; "": whatever the system chooses.
    """

    def __init__(
        self,
        system: MailSystem,
        listener: str,
        tls: ssl.SSLContext | None = None,
        source: str = "",
    ) -> None:
        self.protocol = PROTOCOLS[listener]
        self.frame = FRAMES[self.protocol]
        implicit = listener.endswith("s")
        at = (system.host, system.port(listener))
        self.wire = Wire(*at, tls if implicit else None, source=source)
        self.wire.reply()
        self._greet()
        if tls is not None and not implicit:
            command, permitted = self.frame.start_tls
            self.wire.send(command + b"\r\n")
            assert self.wire.line().startswith(permitted)
            self.wire.start_tls(tls)
            self._greet()

    def __enter__(self) -> SaslWire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wire.close()

    def mechanisms(self) -> list[str]:
        """Those on offer, in the order in which they are told."""
        match self.protocol:
            case "imap":
                words = b" ".join(self.wire.command(b"c", b"CAPABILITY")).decode().split()
                return [word[5:] for word in words if word.startswith("AUTH=")]
            case "pop3":
                assert self.wire.say(b"CAPA").startswith(b"+OK")
                lines = self.wire.multiline().decode().splitlines()
            case _:
                lines = [line[4:] for line in self.wire.say(b"EHLO there").decode().splitlines()]
        offered = [line.split()[1:] for line in lines if line.startswith(("SASL ", "AUTH "))]
        return offered[0] if offered else []

    def exchange(self, mechanism: str, initial: bytes | None, respond: Respond) -> bytes:
        """What the front says at the end of an exchange.

        Args:
            initial: the initial response, decoded; None: none.
            respond: given each challenge as it came, without its frame, makes the next line.
        """
        words = [self.frame.begin, mechanism.encode()]
        if initial is not None:
            words.append(base64.b64encode(initial) or b"=")
        self.wire.send(b" ".join(words) + b"\r\n")
        while (line := self.wire.line() + b" ").startswith(self.frame.challenge):
            self.wire.send(respond(line.removeprefix(self.frame.challenge).strip()) + b"\r\n")
        return line.rstrip()

    def converse(
        self, mechanism: str, initial: bytes | None, *answers: Callable[[bytes], bytes]
    ) -> bytes:
        """An exchange of so many answers, all of them decoded."""
        left = list(answers)

        def respond(challenge: bytes) -> bytes:
            return base64.b64encode(left.pop(0)(base64.b64decode(challenge)))

        told = self.exchange(mechanism, initial, respond)
        assert not left, told
        return told

    def is_open(self) -> bool:
        """Whether the front goes on to answer commands."""
        if self.protocol == "imap":
            return self.wire.command(b"n", b"NOOP")[-1].startswith(b"n OK")
        return self.wire.say(b"NOOP").startswith((b"+OK", b"250 "))

    def is_signed_in(self) -> bool:
        """Whether the front takes a command that is for those who have signed in."""
        match self.protocol:
            case "imap":
                return self.wire.command(b"s", b"SELECT INBOX")[-1].startswith(b"s OK")
            case "pop3":
                return self.wire.say(b"STAT").startswith(b"+OK")
        return self.wire.say(b"AUTH PLAIN =").startswith(b"503 ")

    def _greet(self) -> None:
        if self.protocol == "smtp":
            assert self.wire.say(b"EHLO client.example.org").startswith(b"250")
