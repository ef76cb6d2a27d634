"""Who has sent too much, and who must come back: greylists and rates, which the store keeps for all
replicas, and how much is under way here at a time.
"""

from __future__ import annotations

import hashlib
from collections import Counter as Multiset
from collections.abc import Mapping, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_chassis.net.address import network_of

from postroom_smtp.checks.clients import neighbours, read_address
from postroom_smtp.checks.kept import Kept
from postroom_smtp.checks.ports import Counted, Screening
from postroom_smtp.checks.settings import CheckSettings, Failing, Rate, parse_rate
from postroom_smtp.ports import Sending
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.reply import Reply

log = logs.logger(__name__)

KNOWN = 20_000  # senders that were found to be who they say
KNOWN_SECONDS = 7 * 86_400.0

GREYLISTED = Reply(451, "4.7.1", "you are new here: try again in a few minutes")
TOO_MANY_AT_ONCE = Reply(451, "4.7.1", "too much of this is under way: try again later")


class Screen:
    """Asks the store, and does what the settings say where it can't be asked."""

    def __init__(self, screening: Screening, settings: CheckSettings) -> None:
        self._screening = screening
        self._settings = settings
        self._known = Kept[tuple[str, str], bool](KNOWN_SECONDS, KNOWN)
        self._under_way: Multiset[tuple[str, str]] = Multiset()
        self._held: dict[str, frozenset[tuple[str, str]]] = {}

    async def connected(self, sending: Sending) -> Reply | None:
        """Count a connection."""
        return await self._count(
            [("connection", _client(sending), self._settings.rate_connections)]
        )

    async def mail(self, sending: Sending) -> Reply | None:
        """Count a message of a client, and of who sends it."""
        if sending.identity is not None:
            account = str(sending.identity.account_id)
            return await self._count([("account", account, self._settings.rate_account_messages)])
        if sending.trusted:
            return None
        counted = [("message", _client(sending), self._settings.rate_messages)]
        if sending.sender:
            sender = sending.sender.lower()
            counted.append(("sender", sender, self._settings.rate_sender_messages))
        return await self._count(counted)

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        """Count a recipient."""
        if sending.identity is not None:
            account = str(sending.identity.account_id)
            return await self._count(
                [("account-recipient", account, self._settings.rate_account_recipients)]
            )
        if sending.trusted:
            return None
        return await self._count(
            [
                ("recipient", _client(sending), self._settings.rate_recipients),
                ("to", address.lower(), self._settings.rate_recipient_messages),
            ]
        )

    async def greylist(self, sending: Sending, address: str) -> Reply | None:
        """Put off mail that hasn't come before (RFC 6647 section 2.3)."""
        address_of_client = read_address(sending.client.address)
        if address_of_client is None:
            return None
        network = neighbours(address_of_client)
        sender = (sending.sender or "").lower()
        if self._known.has((network, sender.rpartition("@")[2])):
            return None
        key = _key("greylist", network, sender, address.lower())
        try:
            (wait,) = await self._screening.greylist([key])
        except PostroomError as error:
            return self._away(error)
        return GREYLISTED if wait else None

    def know(self, sending: Sending) -> None:
        """Somebody was found to be who they say: they aren't put off any more."""
        domain = (sending.sender or "").lower().rpartition("@")[2]
        if (address := read_address(sending.client.address)) is not None:
            self._known.put((neighbours(address), domain), True)

    def begin(self, sending: Sending) -> Reply | None:
        """Hold a place for a message of the client's and of the sender's, in place of those that
        the connection held; why there is none.
        """
        self.end(sending.connection)
        settings, wanted = self._settings, {}
        if settings.concurrency_address and (client := _client(sending)):
            wanted["address", client] = settings.concurrency_address
        if settings.concurrency_sender and sending.sender:
            wanted["sender", sending.sender.lower()] = settings.concurrency_sender
        return self._hold(sending.connection, wanted)

    def add(self, sending: Sending, address: str) -> Reply | None:
        """Hold a place with a recipient; why there is none."""
        if not self._settings.concurrency_recipient:
            return None
        wanted = {("recipient", address.lower()): self._settings.concurrency_recipient}
        return self._hold(sending.connection, wanted)

    def end(self, connection: str) -> None:
        """Give the places of a connection back."""
        for key in self._held.pop(connection, ()):
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def _hold(self, connection: str, wanted: Mapping[tuple[str, str], int]) -> Reply | None:
        if not connection:
            return None  # nobody would say when it is over
        held = self._held.get(connection, frozenset())
        wanted = {key: most for key, most in wanted.items() if key not in held}
        if any(self._under_way[key] >= most for key, most in wanted.items()):
            return TOO_MANY_AT_ONCE
        if wanted:
            self._under_way.update(wanted.keys())
            self._held[connection] = held | wanted.keys()
        return None

    async def _count(self, wanted: Sequence[tuple[str, str, str]]) -> Reply | None:
        counted = [
            Counted(_key("rate", kind, value), 1, rate.most, rate.seconds)
            for kind, value, text in wanted
            if value and (rate := _rate(text)) is not None
        ]
        if not counted:
            return None
        try:
            wait = max(await self._screening.count(counted))
        except PostroomError as error:
            return self._away(error)
        return _slower(wait) if wait else None

    def _away(self, error: PostroomError) -> Reply | None:
        log.warning("smtp.screening_failed", why=error.kind)
        failing = self._settings.screening_failing
        return None if failing is Failing.ACCEPT else reply.TRY_LATER


def _slower(wait: int) -> Reply:
    return Reply(451, "4.7.1", f"that is too much: try again in {wait} seconds")


def _rate(text: str) -> Rate | None:
    return parse_rate(text) if text else None


def _client(sending: Sending) -> str:
    """Whom an address is counted as; nobody where a proxy doesn't say it, nor the proxy itself, by
    which very many may come.
    """
    address = "" if sending.proxy else sending.client.address
    return network_of(address) if address else ""


def _key(*parts: str) -> bytes:
    """16 octets that name nobody."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest()
