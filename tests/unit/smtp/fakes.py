"""The ports of the SMTP front in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_smtp.ports import (
    Account,
    Answer,
    Delivery,
    Identity,
    Judgement,
    Resolution,
    Sending,
    Uploaded,
    Whereabouts,
)
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool

LATER = 4_000_000_000


@dataclass
class FakeAuthenticator:
    """Knows passwords and account ids; an exchange with LOGIN asks twice.

    Attributes:
        renewals: the tickets that were to be renewed; a renewed one is longer by a "+".
        answers: whether renewals are answered; else they wait.
    """

    accounts: dict[str, tuple[int, str]] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    fault: PostroomError | None = None
    expires_at: int = LATER
    renew_seconds: int = 0
    renewals: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    async def mechanisms(self, client: Client) -> Sequence[str]:
        self._fail()
        return ("PLAIN", "LOGIN")

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        self.clients.append(client)
        self._fail()
        match mechanism:
            case "PLAIN":
                said = initial if initial is not None else await self._ask(answer, b"")
                words = said.split(b"\0")
                if len(words) != 3:
                    raise PostroomError(Kind.INVALID, "two NULs are needed")
                name, password = words[1], words[2]
            case "LOGIN":
                name = initial or await self._ask(answer, b"Username:")
                password = await self._ask(answer, b"Password:")
            case _:
                raise PostroomError(Kind.UNSUPPORTED, "no such mechanism")
        account_id, right = self.accounts.get(name.decode(), (0, ""))
        if not account_id or right != password.decode():
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        return Identity(account_id, name.decode(), "ticket", self.expires_at, self.renew_seconds)

    async def renew(self, identity: Identity) -> Identity:
        self.renewals.put_nowait(identity.ticket)
        await self.answers.wait()
        self._fail()
        return replace(identity, ticket=identity.ticket + "+")

    async def _ask(self, answer: Answer, challenge: bytes) -> bytes:
        said = await answer(challenge)
        if said is None:
            raise PostroomError(Kind.INVALID, "cancelled")
        return said

    def _fail(self) -> None:
        if self.fault:
            raise self.fault


@dataclass
class FakeDirectory:
    """Addresses here; whatever is in no domain of ours is elsewhere."""

    domains: set[str] = field(default_factory=set)
    addresses: dict[str, Resolution] = field(default_factory=dict)
    senders: dict[int, set[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fault: PostroomError | None = None

    def add(self, address: str, *accounts: Account, forwards: tuple[str, ...] = ()) -> None:
        self.domains.add(address.rpartition("@")[2])
        self.addresses[address] = Resolution(Whereabouts.LOCAL, accounts, forwards)

    async def resolve(self, address: str) -> Resolution:
        self.asked.append(address)
        if self.fault:
            raise self.fault
        if address.rpartition("@")[2].lower() not in self.domains:
            return Resolution(Whereabouts.FOREIGN)
        return self.addresses.get(address.lower(), Resolution(Whereabouts.UNKNOWN))

    async def may_send_as(self, account_id: int, address: str) -> bool:
        if self.fault:
            raise self.fault
        return address in self.senders.get(account_id, set())


@dataclass
class FakeStore:
    """Takes messages once a key; `faults` are raised by the next calls of deliver."""

    taken: dict[bytes, Delivery] = field(default_factory=dict)
    uploads: dict[bytes, bytes] = field(default_factory=dict)
    full: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)
    tries: list[bytes] = field(default_factory=list)
    faults: list[PostroomError] = field(default_factory=list)
    upload_fault: PostroomError | None = None

    @property
    def messages(self) -> list[Delivery]:
        return list(self.taken.values())

    def content(self, delivery: Delivery) -> bytes:
        match delivery.content:
            case Uploaded(upload_id):
                return self.uploads[upload_id]
            case content:
                return content

    async def admit(self, account: Account, size: int) -> bool:
        self.asked.append(size)
        return account.account_id not in self.full

    async def upload(self, pieces: AsyncIterator[bytes]) -> Uploaded:
        found = bytearray()
        async for piece in pieces:
            found += piece
            if self.upload_fault:
                raise self.upload_fault
        upload_id = b"upload %d" % len(self.uploads)
        self.uploads[upload_id] = bytes(found)
        return Uploaded(upload_id)

    async def deliver(self, delivery: Delivery) -> None:
        self.tries.append(delivery.key)
        if self.faults:
            raise self.faults.pop(0)
        self.taken.setdefault(delivery.key, delivery)


@dataclass
class FakePolicy:
    """Refuses, or judges, as it is told; notes what it was asked."""

    refuses: dict[str, Reply] = field(default_factory=dict)
    judgement: Judgement = field(default_factory=Judgement)
    asked: list[tuple[str, Sending]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    async def connected(self, sending: Sending) -> Reply | None:
        return self._note("connected", sending)

    async def mail(self, sending: Sending) -> Reply | None:
        return self._note("mail", sending)

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        return self._note("recipient", sending) or self.refuses.get(address)

    async def message(self, sending: Sending, message: Spool) -> Judgement:
        self._note("message", sending)
        self.messages.append(await message.whole())
        return self.judgement

    async def ended(self, connection: str) -> None:
        self.over.append(connection)

    def _note(self, moment: str, sending: Sending) -> Reply | None:
        self.asked.append((moment, sending))
        return self.refuses.get(moment)


@dataclass
class FakeWaiting:
    """So many wait for each domain."""

    domains: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    fault: PostroomError | None = None

    async def hasten(self, domain: str, *, subdomains: bool) -> int:
        self.asked.append((domain, subdomains))
        if self.fault:
            raise self.fault
        return self.domains.get(domain, 0)


@dataclass
class FakeUrls:
    """What URLs open, to whomever; of one nothing ever comes."""

    contents: dict[str, bytes] = field(default_factory=dict)
    stalls: str = ""
    fault: PostroomError | None = None

    async def fetch(self, identity: Identity, url: str) -> AsyncGenerator[bytes, None]:
        if self.fault:
            raise self.fault
        if url == self.stalls:
            await asyncio.Event().wait()
        if url not in self.contents:
            raise PostroomError(Kind.NOT_FOUND, "nothing")
        for octet in range(0, len(self.contents[url]), 10):
            yield self.contents[url][octet : octet + 10]
