"""Messages converted for servers that lack what they need (RFC 6152 section 3, RFC 3030 section 3).

A message is looked at, and converted into a spool: its size is known then, before MAIL tells it,
and whether it can be converted at all. A signature of ours is of what it was, so that mail of our
people is signed anew (RFC 6376 section 5.3).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_mime import Conversion, Domain, Plan, Survey, Unconvertible
from prometheus_client import Counter

from postroom_smtp.outgoing import Outgoing
from postroom_smtp.ports import Judgement, Signer
from postroom_smtp.protocol.dkim import BadSignature, parse_tags
from postroom_smtp.protocol.header import values
from postroom_smtp.sending.content import Content
from postroom_smtp.spool import Spool

log = logs.logger(__name__)

CONVERSIONS = Counter(
    "postroom_smtp_conversions_total", "Messages converted for a server, by outcome", ["outcome"]
)

DKIM = "dkim-signature"


@dataclass(frozen=True, slots=True)
class Converted:
    """A message that was converted.

    Attributes:
        eight_bit: it has octets over 127.
    """

    outgoing: Outgoing
    eight_bit: bool
    utf8_header: bool
    bare: bool = False

    @property
    def size(self) -> int:
        return self.outgoing.size

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self.outgoing.pieces():
                yield piece
        except OSError as error:
            raise _unkept(error) from error


class Converter:
    """Converts messages.

    Args:
        signer: signs mail of our people; None: nobody does.
        folder: where large messages lie meanwhile; None: the system's own place.
    """

    def __init__(self, signer: Signer | None, folder: Path | None) -> None:
        self._signer = signer
        self._folder = folder

    def spool(self) -> Spool:
        """For one message; whoever asks closes it."""
        return Spool(self._folder)

    async def convert(
        self, content: Content, domain: Domain, spool: Spool, *, ours: bool
    ) -> Converted:
        """A message, converted into a spool.

        Args:
            content: has begun.
            ours: who submitted it had signed in.

        Raises Unconvertible, PostroomError.
        """
        try:
            plan = await _survey(content, domain)
        except Unconvertible:
            CONVERSIONS.labels("impossible").inc()
            raise
        try:
            eight_bit = await _fill(spool, content, plan)
            fields = b""
            if ours and self._signer is not None:
                fields = await self._signer.sign(spool)
        except OSError as error:
            raise _unkept(error) from error
        CONVERSIONS.labels(domain.value).inc()
        judgement = Judgement(fields=fields, removed=_replaced(spool.header, fields))
        return Converted(Outgoing(spool, b"", judgement), eight_bit, content.utf8_header)


async def _survey(content: Content, domain: Domain) -> Plan:
    survey = Survey(domain)
    async for piece in content.pieces():
        survey.feed(piece)
    return survey.end()


async def _fill(spool: Spool, content: Content, plan: Plan) -> bool:
    """Convert a message into a spool. Answers whether there are octets over 127 in it."""
    eight_bit, end = False, b""
    async for converted in _converted(content, Conversion(plan)):
        eight_bit = eight_bit or not converted.isascii()
        end = (end + converted[-2:])[-2:]
        await spool.write(converted)
    if end != b"\r\n":
        # It follows DATA, where it ends with a line (RFC 5321 section 4.1.1.4), and is as long.
        await spool.write(b"\r\n")
    return eight_bit


async def _converted(content: Content, conversion: Conversion) -> AsyncIterator[bytes]:
    async for piece in content.pieces():
        yield conversion.feed(piece)
    yield conversion.end()


def _replaced(header: bytes, fields: bytes) -> frozenset[tuple[str, int]]:
    """The signatures of the domains that have signed anew: they don't hold any more."""
    anew = {_domain(value) for value in values(fields, DKIM)}
    found = enumerate(values(header, DKIM)) if anew else ()
    return frozenset((DKIM, number) for number, value in found if _domain(value) in anew)


def _domain(signature: bytes) -> str:
    try:
        return parse_tags(signature).get("d", "").lower()
    except BadSignature:
        return ""


def _unkept(error: OSError) -> PostroomError:
    log.error("smtp.no_space", error=str(error))
    return PostroomError(Kind.UNAVAILABLE, "there is no room to convert a message")
