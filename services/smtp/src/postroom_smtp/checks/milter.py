"""Mail is shown to milters while it comes: each hears of a connection, of what is said on it and of
every message, and refuses, changes or lets pass.

A connection to a milter lasts as long as the client's, and is made when the client comes. Where
nobody keeps connections a milter hears everything at the end of a message. It may do everything
that the protocol has: quarantine is the Junk mailbox.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from postroom_chassis import logs
from prometheus_client import Counter

from postroom_smtp.checks.edits import Edits
from postroom_smtp.checks.filters import Opinion
from postroom_smtp.checks.settings import CheckSettings, Failing, MilterAddress
from postroom_smtp.ports import Sending
from postroom_smtp.protocol import milter, reply
from postroom_smtp.protocol.authentication import Finding, Result
from postroom_smtp.protocol.fields import split_message
from postroom_smtp.protocol.milter import (
    CHUNK_BYTES,
    MOST_PACKET,
    SILENCE,
    Command,
    MilterFault,
    Response,
    Skip,
    Terms,
)
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool

log = logs.logger(__name__)

MOST_RESPONSES = 10_000  # to the end of a message
MOST_RECIPIENTS = 1_000  # that filters may add
METHOD = "x-milter"

REJECTED = Reply(550, "5.7.1", "not taken")
PUT_OFF = Reply(451, "4.7.1", "not now, try again later")

OUTCOMES = Counter(
    "postroom_smtp_milter_outcomes_total", "Messages by what a milter said", ["milter", "outcome"]
)


_ENVELOPE = frozenset(
    {
        Response.ADD_RECIPIENT,
        Response.ADD_RECIPIENT_WITH_PARAMETERS,
        Response.DELETE_RECIPIENT,
        Response.CHANGE_SENDER,
    }
)


@dataclass(slots=True)
class _Dialogue:
    """One connection to a milter, from its negotiation to its end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seconds: float
    terms: Terms = field(init=False)

    async def negotiate(self) -> None:
        """Raises MilterFault, OSError, EOFError, TimeoutError, as everything here."""
        self.writer.write(milter.offer())
        response, data = await self._read(self.seconds)
        if response is not Response.NEGOTIATE:
            raise MilterFault("it doesn't negotiate")
        self.terms = milter.parse_terms(data)

    @property
    def leading_space(self) -> bool:
        return Skip.LEADING_SPACE in self.terms.skips

    async def say(
        self, command: Command, said: bytes, macros: Iterable[tuple[str, str]] = ()
    ) -> tuple[Response, bytes]:
        """Say something, and hear what is answered; what need not be said goes on."""
        unsaid, unanswered = SILENCE[command]
        if unsaid in self.terms.skips:
            return Response.CONTINUE, b""
        self.writer.write(milter.macros(command, macros) + said)
        if unanswered in self.terms.skips:
            await self._drain()
            return Response.CONTINUE, b""
        return await self.hear(self.seconds)

    def tell(self, said: bytes) -> None:
        """Say what is never answered."""
        self.writer.write(said)

    async def hear(self, seconds: float) -> tuple[Response, bytes]:
        """The next response that isn't for patience alone."""
        for _ in range(MOST_RESPONSES):
            response, data = await self._read(seconds)
            if response is not Response.PROGRESS:
                return response, data
        raise MilterFault("it only says that it goes on")

    async def _drain(self) -> None:
        async with asyncio.timeout(self.seconds):
            await self.writer.drain()

    async def _read(self, seconds: float) -> tuple[Response, bytes]:
        async with asyncio.timeout(seconds):
            await self.writer.drain()
            (size,) = struct.unpack("!I", await self.reader.readexactly(4))
            if not 0 < size <= MOST_PACKET:
                raise MilterFault(f"it says {size} octets at once")
            data = await self.reader.readexactly(size)
        try:
            return Response(data[:1]), data[1:]
        except ValueError as error:
            raise MilterFault(f"it says {data[:1]!r}") from error

    def close(self) -> None:
        """Say good-bye; nothing is awaited."""
        with suppress(OSError, RuntimeError):
            self.writer.write(milter.packet(Command.QUIT))
        self.writer.close()


@dataclass(slots=True)
class _Course:
    """How far a milter has come with a client.

    Attributes:
        helo: what it was told that the client calls itself; None: nothing.
        in_message: it was told of a sender.
        connection_passed, message_passed: it wants to hear no more.
        discarded: it wants nobody to get the message.
        taken: recipients that it let pass.
        most: octets that a message may have with the body that it gives it.
        cut: the body that came is gone.
    """

    name: str
    dialogue: _Dialogue
    most: int
    helo: str | None = None
    in_message: bool = False
    connection_passed: bool = False
    message_passed: bool = False
    discarded: bool = False
    taken: int = 0
    cut: bool = False

    async def connect(self, sending: Sending) -> Reply | None:
        """Tell of the client, which has no name that anybody has verified by now."""
        address = sending.client.address
        said = milter.connect(f"[{address}]" if address else "unknown", address)
        known = [("j", self.name), ("_", f"[{address}]"), ("{client_addr}", address)]
        return self._judged(Command.CONNECT, *await self.dialogue.say(Command.CONNECT, said, known))

    async def begin(self, sending: Sending) -> Reply | None:
        """Tell of a sender, and before that of what the client calls itself."""
        if self.in_message:
            self.dialogue.tell(milter.packet(Command.ABORT))
        self.in_message = self.message_passed = self.discarded = False
        self.taken = 0
        if self.connection_passed:
            return None
        if self.helo != sending.name:
            self.helo = sending.name
            said = milter.texts(Command.HELO, sending.name)
            known = [("{tls_version}", sending.client.tls_version)]
            answer = await self.dialogue.say(Command.HELO, said, known)
            if (refused := self._judged(Command.HELO, *answer)) or self.connection_passed:
                return refused
        self.in_message = True
        said = milter.texts(Command.MAIL, f"<{sending.sender or ''}>")
        answer = await self.dialogue.say(Command.MAIL, said, _message_macros(sending))
        refused = self._judged(Command.MAIL, *answer)
        self.in_message = refused is None
        return refused

    async def add(self, address: str) -> Reply | None:
        """Tell of a recipient."""
        if self.over:
            return None
        said = milter.texts(Command.RECIPIENT, f"<{address}>")
        known = [("{rcpt_addr}", address)]
        answer = await self.dialogue.say(Command.RECIPIENT, said, known)
        refused = self._judged(Command.RECIPIENT, *answer)
        self.taken += refused is None
        return refused

    async def finish(
        self, sending: Sending, message: Spool, edits: Edits, seconds: float
    ) -> Opinion:
        """Show the content, and hear what is to become of it."""
        if not self.over:
            if refused := await self._show(sending, message, edits):
                self.in_message = False
                return Opinion(refused)
            if not self.over:
                opinion = await self._end(sending, message, edits, seconds)
                self.in_message = False
                return opinion
        return Opinion(quiet=self.discarded)

    @property
    def over(self) -> bool:
        return self.connection_passed or self.message_passed

    async def _show(self, sending: Sending, message: Spool, edits: Edits) -> Reply | None:
        if self.dialogue.terms.version >= 4:
            said = milter.packet(Command.DATA)
            if refused := await self._step(Command.DATA, said, _message_macros(sending)):
                return refused
        for entry in list(edits.entries):
            if self.over:
                return None
            said = milter.header(entry.name, entry.value, leading_space=self.dialogue.leading_space)
            if refused := await self._step(Command.HEADER, said):
                return refused
        said = milter.packet(Command.END_OF_HEADER)
        if not self.over and (
            refused := await self._step(Command.END_OF_HEADER, said, _message_macros(sending))
        ):
            return refused
        return None if self.over else await self._show_body(message)

    async def _show_body(self, message: Spool) -> Reply | None:
        if Skip.NO_BODY in self.dialogue.terms.skips:
            return None
        skipped = len(split_message(message.header)[0])
        async for piece in message.pieces():
            rest = memoryview(piece)[skipped:]
            skipped = max(0, skipped - len(piece))
            for at in range(0, len(rest), CHUNK_BYTES):
                said = milter.packet(Command.BODY, bytes(rest[at : at + CHUNK_BYTES]))
                response, data = await self.dialogue.say(Command.BODY, said)
                if response is Response.SKIP:
                    return None
                if (refused := self._judged(Command.BODY, response, data)) or self.over:
                    return refused
        return None

    async def _end(self, sending: Sending, message: Spool, edits: Edits, seconds: float) -> Opinion:
        known = milter.macros(Command.END_OF_BODY, _message_macros(sending))
        self.dialogue.tell(known + milter.packet(Command.END_OF_BODY))
        junk, self.cut = False, False
        for _ in range(MOST_RESPONSES):
            response, data = await self.dialogue.hear(seconds)
            match response:
                case Response.ADD_HEADER | Response.INSERT_HEADER | Response.CHANGE_HEADER:
                    self._change(response, data, edits)
                case Response.QUARANTINE:
                    junk = True
                case Response.REPLACE_BODY:
                    await self._replace(message, data, edits)
                case response if response in _ENVELOPE:
                    self._redirect(response, milter.parse_mailbox(data), sending, edits)
                case _:
                    refused = self._judged(Command.END_OF_BODY, response, data)
                    return Opinion(refused, junk=junk, quiet=self.discarded)
        raise MilterFault("it changes too much")

    def _change(self, response: Response, data: bytes, edits: Edits) -> None:
        leading_space = self.dialogue.leading_space
        change = milter.parse_change(response, data, leading_space=leading_space)
        if response is Response.ADD_HEADER:
            edits.append(change.name, change.value)
        elif response is Response.INSERT_HEADER:
            edits.insert(min(change.index or 0, len(edits.entries)), change.name, change.value)
        else:
            # Both 0 and 1 are the first.
            number = max(0, (change.index or 0) - 1)
            edits.change(change.name, number, change.value or None)

    async def _replace(self, message: Spool, data: bytes, edits: Edits) -> None:
        """A piece of another body, the first one or one more."""
        if not self.cut:
            self.cut = True
            edits.bodies += 1
            message.cut(len(split_message(message.header)[0]))
        if message.size + len(data) > self.most:
            raise MilterFault("its body is too large")
        await message.write(data)

    def _redirect(self, response: Response, address: str, sending: Sending, edits: Edits) -> None:
        """Change who sends it or who gets it."""
        if response is Response.CHANGE_SENDER:
            edits.sender = address
        elif not address:
            raise MilterFault("nobody gets mail by the null path")
        elif response is Response.DELETE_RECIPIENT:
            named = address.lower()
            edits.dropped |= {each for each in sending.recipients if each.lower() == named}
            edits.recipients = [each for each in edits.recipients if each.lower() != named]
        elif len(edits.recipients) >= MOST_RECIPIENTS:
            raise MilterFault("it adds too many recipients")
        elif address not in edits.recipients:
            edits.recipients.append(address)

    async def _step(
        self, command: Command, said: bytes, macros: Iterable[tuple[str, str]] = ()
    ) -> Reply | None:
        return self._judged(command, *await self.dialogue.say(command, said, macros))

    def _judged(self, command: Command, response: Response, data: bytes) -> Reply | None:
        """What a response says of a command; notes what it says of what follows."""
        match response:
            case Response.CONTINUE:
                return None
            case Response.ACCEPT if command in (Command.CONNECT, Command.HELO):
                self.connection_passed = True
            case Response.ACCEPT:
                self.message_passed = True
            case Response.DISCARD if command not in (Command.CONNECT, Command.HELO):
                self.message_passed = self.discarded = True
            case Response.REJECT:
                return REJECTED
            case Response.TEMPFAIL:
                return PUT_OFF
            case Response.REPLY_CODE if own := milter.parse_reply(data):
                return own
            case Response.SHUTDOWN:
                return reply.TOO_MANY_CONNECTIONS
            case _:
                raise MilterFault(f"it answers {command.name} by {response.name}")
        return None


class Milter:
    """Filter.

    Args:
        name: of this host.
    """

    def __init__(self, address: MilterAddress, settings: CheckSettings, name: str) -> None:
        self._address = address
        self._settings = settings
        self._name = name
        self._courses: dict[str, _Course] = {}
        self._open = 0

    async def connected(self, sending: Sending) -> Reply | None:
        if not sending.connection:
            return None
        with self._guarded(sending.connection) as fault:
            _, refused = await self._course(sending)
            return refused
        return fault.reply

    async def mail(self, sending: Sending) -> Reply | None:
        if not sending.connection:
            return None
        with self._guarded(sending.connection) as fault:
            known = sending.connection in self._courses
            try:
                return await self._begin(sending)
            except (OSError, EOFError) as error:
                if not known or isinstance(error, TimeoutError):
                    raise
            # It went while the client was silent: it may have been started anew.
            self._close(sending.connection)
            return await self._begin(sending)
        return fault.reply

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        course = self._courses.get(sending.connection)
        if course is None or not course.in_message:
            return None
        with self._guarded(sending.connection) as fault:
            return await course.add(address)
        return fault.reply

    async def message(self, sending: Sending, message: Spool, edits: Edits) -> Opinion:
        # What isn't kept is one for this message alone.
        connection = sending.connection or f"message {id(message)}"
        bodies = edits.bodies
        with self._guarded(connection) as fault:
            course, refused = await self._course(sending, connection)
            if refused is None and not (course.in_message or course.connection_passed):
                refused = await self._catch_up(course, sending)
            opinion = Opinion(refused)
            if refused is None:
                seconds = self._settings.milter_content_seconds
                opinion = await course.finish(sending, message, edits, seconds)
            if not sending.connection:
                self._close(connection)
            junk = opinion.junk or edits.says(self._settings.junk_marks)
            return self._told(replace(opinion, junk=junk))
        # Half a body of somebody's is nobody's to take.
        lost = reply.TRY_LATER if edits.bodies > bodies else None
        return Opinion(fault.reply or lost, finding=self._finding(Result.TEMPERROR, "away"))

    async def ended(self, connection: str) -> None:
        self._close(connection)

    async def _begin(self, sending: Sending) -> Reply | None:
        course, refused = await self._course(sending)
        return refused or await course.begin(sending)

    async def _catch_up(self, course: _Course, sending: Sending) -> Reply | None:
        """Tell what was said while nobody heard. A recipient that is refused now can't be told so:
        the message is, where all of them are.
        """
        if refused := await course.begin(sending):
            return refused
        for address in sending.recipients:
            refused = await course.add(address)
        return refused if sending.recipients and not course.taken and not course.over else None

    async def _course(self, sending: Sending, connection: str = "") -> tuple[_Course, Reply | None]:
        """That of the connection, perhaps a new one, and what is said of the client then."""
        connection = connection or sending.connection
        if (known := self._courses.get(connection)) is not None:
            return known, None
        if self._open >= self._settings.milter_connections:
            raise MilterFault("it has too many connections")
        self._open += 1
        try:
            dialogue = await self._dial()
        except BaseException:
            self._open -= 1
            raise
        course = self._courses[connection] = _Course(
            self._name, dialogue, self._settings.filter_bytes
        )
        await dialogue.negotiate()
        return course, await course.connect(sending)

    async def _dial(self) -> _Dialogue:
        address = self._address
        async with asyncio.timeout(self._settings.milter_connect_seconds):
            if address.path:
                reader, writer = await asyncio.open_unix_connection(address.path, limit=MOST_PACKET)
            else:
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, limit=MOST_PACKET
                )
        return _Dialogue(reader, writer, self._settings.milter_command_seconds)

    def _close(self, connection: str) -> None:
        if (course := self._courses.pop(connection, None)) is not None:
            self._open -= 1
            course.dialogue.close()

    @contextmanager
    def _guarded(self, connection: str) -> Iterator[_Fault]:
        """Ends with what the settings say where the milter is away or talks nonsense."""
        fault = _Fault()
        try:
            yield fault
        except (MilterFault, OSError, EOFError, TimeoutError) as error:
            self._close(connection)
            why = str(error) or type(error).__name__
            log.warning("smtp.milter_failed", milter=self._address.name, why=why)
            OUTCOMES.labels(self._address.name, "failed").inc()
            if self._address.failing is Failing.TEMPFAIL:
                fault.reply = reply.TRY_LATER
        except BaseException:
            # Nobody knows how far it came.
            self._close(connection)
            raise

    def _told(self, opinion: Opinion) -> Opinion:
        outcome, result = "passed", Result.PASS
        if opinion.refused is not None:
            outcome, result = "refused", Result.FAIL
        elif opinion.quiet:
            outcome, result = "discarded", Result.FAIL
        elif opinion.junk:
            outcome, result = "quarantined", Result.POLICY
        OUTCOMES.labels(self._address.name, outcome).inc()
        return replace(opinion, finding=self._finding(result, outcome))

    def _finding(self, result: Result, outcome: str) -> Finding:
        return Finding(METHOD, result, (), f"{self._address.name}: {outcome}")


@dataclass(slots=True)
class _Fault:
    """What is said where a milter is away; None: mail passes."""

    reply: Reply | None = None


def _message_macros(sending: Sending) -> list[tuple[str, str]]:
    """What libmilter's callers call them."""
    return [
        ("i", sending.message_id),
        ("{mail_addr}", sending.sender or ""),
        ("{auth_authen}", sending.identity.address if sending.identity else ""),
    ]
