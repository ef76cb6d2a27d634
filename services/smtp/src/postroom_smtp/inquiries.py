"""What clients ask beside sending mail: who is here (VRFY, EXPN), what waits for them (ETRN)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_chassis.errors import PostroomError

from postroom_smtp.ports import Whereabouts
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.command import Mailbox, Node
from postroom_smtp.protocol.keyword import Keyword
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.session import Session


class Inquiries:
    """Answers the client of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def hasten(self, node: Node) -> Reply:
        """ETRN (RFC 1985): have what waits for a domain sent."""
        house, domain = self._session.house, node.domain
        if Keyword.ETRN not in self._session.offered or house.waiting is None:
            return reply.NOT_OFFERED
        if not self._session.trusted and domain not in house.settings.relays:
            return reply.NODE_NOT_ALLOWED
        if not self._session.trusted and house.hastened.get(domain):
            return reply.NODE_STARTED
        try:
            count = await house.waiting.hasten(domain, subdomains=node.subdomains)
        except PostroomError:
            return reply.NODE_LATER
        house.hastened.put(domain, True)
        if not count:
            return reply.NOTHING_WAITS
        return Reply(253, "2.0.0", f"OK, {count} pending messages for node {domain} started")

    async def verify(self, asked: Mailbox) -> Reply:
        """VRFY: whether somebody here has an address."""
        try:
            resolution = await self._session.house.directory.resolve(str(asked.path))
        except PostroomError as error:
            return reply.refusal(error)
        if resolution.whereabouts is Whereabouts.LOCAL:
            return _named(str(asked.path), asked)
        if resolution.whereabouts is Whereabouts.FOREIGN:
            return reply.NOT_SAID
        return reply.UNKNOWN_RECIPIENT

    async def expand(self, asked: Mailbox) -> Sequence[Reply]:
        """EXPN: who gets what is sent to an address."""
        try:
            resolution = await self._session.house.directory.resolve(str(asked.path))
        except PostroomError as error:
            return [reply.refusal(error)]
        members = [one.address for one in resolution.accounts] + list(resolution.forwards)
        if not members:
            return [reply.UNKNOWN_RECIPIENT]
        named = [_named(member, asked) for member in members]
        return named if all(one.positive for one in named) else [reply.NOT_ASCII]


def _named(address: str, asked: Mailbox) -> Reply:
    """An address in a reply; one beyond ASCII for those who say that they understand it (RFC 6531
    section 3.7.4.2)."""
    if not (address.isascii() or asked.smtputf8):
        return reply.NOT_ASCII
    return Reply(250, "2.1.5", f"<{address}>") if address.isprintable() else reply.NOT_SAID
