"""The ports of the POP3 front in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_pop3.ports import Answer, Identity, Offer, Piece
from postroom_pop3.protocol.capabilities import KEPT, Policy
from postroom_pop3.protocol.maildrop import Snapshot

PIECE = 256 * 1024
UID_VALIDITY = 7


@dataclass
class Inbox:
    """One person's mail, by UID, and who has it locked."""

    messages: dict[int, bytes] = field(default_factory=dict)
    holder: object | None = None

    @classmethod
    def of(cls, *messages: bytes) -> Inbox:
        return cls({11 + 3 * place: message for place, message in enumerate(messages)})


@dataclass
class FakeAuthenticator:
    """Knows passwords; an exchange with LOGIN asks twice, APOP and RPOP take them for secrets.

    Attributes:
        offered, commands: mechanisms, and of APOP and RPOP those on offer.
        strictest, policy: told before sign-in and after.
    """

    passwords: dict[str, str] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    fault: PostroomError | None = None
    offered: tuple[str, ...] = ("PLAIN", "LOGIN")
    commands: frozenset[str] = frozenset()
    strictest: Policy = KEPT
    policy: Policy = KEPT

    async def offer(self, client: Client) -> Offer:
        if self.fault:
            raise self.fault
        return Offer(self.offered, self.commands, self.strictest)

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        self.clients.append(client)
        if self.fault:
            raise self.fault
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
            case "X-RPOP":
                name, password = (initial or b"").split(b"\0")
            case "X-APOP":
                timestamp, name, digest = (initial or b"").split(b"\0")
                password = self.passwords.get(name.decode(), "").encode()
                if (
                    hashlib.md5(timestamp + password, usedforsecurity=False).hexdigest().encode()
                    != digest
                ):
                    password = b"wrong"
            case _:
                raise PostroomError(Kind.UNSUPPORTED, "no such mechanism")
        bare, _, mailbox = name.decode().partition("//")
        if self.passwords.get(bare) != password.decode():
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        return Identity(
            1, bare, f"ticket of {bare}", 4_000_000_000, mailbox=mailbox, policy=self.policy
        )

    async def _ask(self, answer: Answer, challenge: bytes) -> bytes:
        said = await answer(challenge)
        if said is None:
            raise PostroomError(Kind.INVALID, "cancelled")
        return said


@dataclass
class FakeLocked:
    """A lease on an inbox.

    Attributes:
        asked: which UIDs were read, a list for each call.
        faults: raised by the next calls.
        breaks: raised after the first piece of a message.
        commits: the UIDs that were to be removed, a list for each call; `left`: what else it said.
    """

    inbox: Inbox
    snapshot: Snapshot
    asked: list[list[int]] = field(default_factory=list)
    faults: list[PostroomError] = field(default_factory=list)
    breaks: PostroomError | None = None
    commits: list[list[int]] = field(default_factory=list)
    left: list[tuple[list[int], int]] = field(default_factory=list)

    async def renew(self) -> None:
        self._fail()

    async def retrieve(self, uids: Sequence[int]) -> AsyncGenerator[Piece, None]:
        self.asked.append(list(uids))
        self._fail()
        for uid in uids:
            content = self.inbox.messages.get(uid)
            if content is None:
                continue
            for start in range(0, max(len(content), 1), PIECE):
                yield Piece(uid, content[start : start + PIECE])
                if self.breaks:
                    raise self.breaks

    async def commit(
        self, uids: Sequence[int], retrieved: Sequence[int] = (), expire_before: int = 0
    ) -> int:
        self.commits.append(list(uids))
        self.left.append((list(retrieved), expire_before))
        self._fail()
        for uid in uids:
            del self.inbox.messages[uid]
        self.inbox.holder = None
        return len(uids)

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


@dataclass
class FakeMaildrops:
    """Everybody's inboxes."""

    inboxes: dict[str, Inbox] = field(default_factory=dict)
    locked: list[FakeLocked] = field(default_factory=list)

    async def lock(self, identity: Identity) -> FakeLocked:
        if identity.mailbox:
            raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")
        inbox = self.inboxes[identity.address]
        if inbox.holder is not None:
            raise PostroomError(Kind.IN_USE, "locked")
        locked = lock(inbox)
        inbox.holder = locked
        self.locked.append(locked)
        return locked


def lock(inbox: Inbox) -> FakeLocked:
    sizes = [len(message) for message in inbox.messages.values()]
    return FakeLocked(inbox, Snapshot(UID_VALIDITY, list(inbox.messages), sizes))
