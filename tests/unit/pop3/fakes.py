"""The ports of the POP3 front in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from postroom_chassis.errors import Kind, PostroomError
from postroom_pop3.ports import Answer, Client, Identity, Piece
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
    """Knows passwords; an exchange with LOGIN asks twice."""

    passwords: dict[str, str] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    fault: PostroomError | None = None

    async def mechanisms(self, client: Client) -> Sequence[str]:
        if self.fault:
            raise self.fault
        return ("PLAIN", "LOGIN")

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
            case _:
                raise PostroomError(Kind.UNSUPPORTED, "no such mechanism")
        if self.passwords.get(name.decode()) != password.decode():
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        return Identity(1, name.decode(), f"ticket of {name.decode()}", 4_000_000_000)

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
    """

    inbox: Inbox
    snapshot: Snapshot
    asked: list[list[int]] = field(default_factory=list)
    faults: list[PostroomError] = field(default_factory=list)
    breaks: PostroomError | None = None
    commits: list[list[int]] = field(default_factory=list)

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

    async def commit(self, uids: Sequence[int]) -> None:
        self.commits.append(list(uids))
        self._fail()
        for uid in uids:
            del self.inbox.messages[uid]
        self.inbox.holder = None

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


@dataclass
class FakeMaildrops:
    """Everybody's inboxes."""

    inboxes: dict[str, Inbox] = field(default_factory=dict)
    locked: list[FakeLocked] = field(default_factory=list)

    async def lock(self, identity: Identity) -> FakeLocked:
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
