"""aiosmtpd behind one door: its command loop and simple commands, on our connections.

From the library come the loop that reads commands and finds their methods, and HELP, NOOP and RSET.
The rest is ours, for these reasons (aiosmtpd 1.4.6):

* its protocol is an asyncio protocol of its own, without limits per address, PROXY with TLS facts,
  deadlines in every state or a drain: here it reads and writes a postroom Connection;
* a line that ends with LF alone is a command to it, and a client that closes its side loses the
  replies it waits for;
* the limits of its command lines are kept by the class and grow with every connection;
* DATA costs it a loop per line, and lines of more than 1,001 octets are refused;
* parameters that it doesn't know, the null reverse-path's forms and source routes want a grammar,
  AUTH a framing that knows no mechanism;
* most of its replies have no enhanced status code (RFC 2034);
* its constructor looks at every attribute of the class, which takes 0.4 ms: so one is constructed,
  and copied for each connection.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar, cast

from aiosmtpd import smtp as aiosmtpd
from aiosmtpd.smtp import syntax
from postroom_chassis import logs
from postroom_chassis.net.connection import Connection, Draining, TimedOut
from postroom_chassis.net.stream import ByteStream, EndOfStream, LineTooLong, Reader

from postroom_smtp.inquiries import Inquiries
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.command import (
    COMMAND_LIMIT,
    SASL_LIMIT,
    Rcpt,
    parse_auth,
    parse_chunk,
    parse_mail,
    parse_mailbox,
    parse_node,
    parse_rcpt,
    parse_substitute,
    parse_url,
)
from postroom_smtp.protocol.keyword import Keyword
from postroom_smtp.protocol.reply import Refused, Reply
from postroom_smtp.receiving import Receiving
from postroom_smtp.session import Session
from postroom_smtp.settings import Role, SmtpSettings

log = logs.logger(__name__)

T = TypeVar("T")

# What the library's own replies mean in RFC 3463's terms.
ENHANCED = {
    250: "2.0.0",
    500: "5.5.2",
    501: "5.5.4",
    502: "5.5.1",
    503: "5.5.1",
}
MOST_VERB = 20  # octets
# RFC 2033 section 4.1: LMTP has a greeting of its own, and none of SMTP's.
_ABSENT = {
    Role.MX: frozenset({"LHLO"}),
    Role.SUBMISSION: frozenset({"LHLO"}),
    Role.LMTP: frozenset({"HELO", "EHLO"}),
}
# What must be answered before the next command comes (RFC 2920 section 3.1, RFC 3207 section 4,
# RFC 4954 section 4): what is there already was written by whoever doesn't listen.
_IN_TURN = frozenset({b"EHLO", b"HELO", b"DATA", b"STAR", b"AUTH"})
_AHEAD_BYTES = 16 * 1024  # of a pipeline, in which recipients are looked for


class _Over(ConnectionResetError):
    """The dialogue has ended; the library lets this one through."""


class _LongestLines(dict[str, int]):
    """Limits of lines by verb: asked for whatever clients say, and keeps nothing of it."""

    def __missing__(self, verb: str) -> int:
        return COMMAND_LIMIT


class _Verbs(dict[str, Any]):
    """Methods by verb; one for all verbs that there aren't."""

    def get(self, verb: str, default: Any = None) -> Any:
        return self[verb] if verb in self else self["?"]


class Smtpd(aiosmtpd.SMTP):
    """The library's SMTP, of which `serve` makes one for each connection.

    Args:
        settings: limits and times.
    """

    command_size_limit = COMMAND_LIMIT
    _hello = "EHLO"

    # What `serve` sets.
    _mail: Session
    _receiving: Receiving
    _inquiries: Inquiries
    _connection: Connection

    def __init__(self, settings: SmtpSettings) -> None:
        super().__init__(
            None,
            hostname=settings.hostname,
            ident="ESMTP Postroom",
            data_size_limit=settings.message_bytes,
            enable_SMTPUTF8=True,
            command_call_limit=None,
        )
        self._settings = settings
        self._errors = 0
        self.command_size_limits = _LongestLines({"AUTH": SASL_LIMIT})

    async def serve(self, session: Session) -> None:
        """Speak SMTP on a session's connection until one side has enough."""
        dialogue = copy.copy(self)
        absent = _ABSENT[session.role]
        dialogue._smtp_methods = _Verbs(
            {
                verb: getattr(dialogue, f"smtp_{verb}")
                for verb in self._smtp_methods
                if verb not in absent
            }
        )
        dialogue._smtp_methods["?"] = dialogue.unknown
        dialogue._mail = session
        dialogue._receiving = Receiving(session)
        dialogue._inquiries = Inquiries(session)
        dialogue._connection = session.connection
        dialogue._reader = cast(Any, dialogue)
        dialogue._writer = cast(Any, session.connection)
        dialogue.transport = cast(Any, session.connection)
        dialogue.session = aiosmtpd.Session(dialogue.loop)
        if session.role is Role.LMTP:
            dialogue.__ident__, dialogue._hello = "LMTP Postroom", "LHLO"
        try:
            await dialogue._welcome()
            await dialogue._handle_client()
        except _Over:
            pass

    async def _welcome(self) -> None:
        """Before the greeting: those who can't wait for it are no mail servers."""
        mail = self._mail
        if (seconds := mail.waiting_time) and await self._hears(seconds):
            await self._end(reply.EARLY_TALKER)
        elif seconds:
            mail.has_waited()
        if refused := await mail.welcome():
            await self._end(refused)

    async def _hears(self, seconds: float) -> bool:
        """Whether the client says something within a time in which it should say nothing."""
        try:
            async with asyncio.timeout(seconds):
                await self._read(_anything(self._connection.stream), 2 * seconds + 60.0, True)
        except TimeoutError:
            return False
        except Draining:
            await self._end(reply.GOING_DOWN)
        return True

    # What the library calls.

    async def readuntil(self) -> bytes:
        """The next command line; replies to what isn't one."""
        while True:
            try:
                line = await self._read_line(boundary=self._may_end)
            except LineTooLong:
                await self._say(reply.BAD_SYNTAX)
            except Draining:
                if self._may_end:
                    await self._end(self._mail.farewell or reply.GOING_DOWN)
            else:
                # A lone CR or LF is what command smuggling is made of (RFC 5321 section 2.3.8).
                if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
                    await self._say(reply.BAD_SYNTAX)
                elif len(line[:-2].partition(b" ")[0]) > MOST_VERB:
                    await self._say(reply.NO_COMMAND)
                else:
                    if len(self._connection.stream) and self._out_of_turn(line):
                        await self._end(reply.OUT_OF_TURN)
                    return line

    def _out_of_turn(self, line: bytes) -> bool:
        """Whether a stranger has said more than it may before it is answered."""
        return line[:4].upper() in _IN_TURN and self._mail.stranger

    @property
    def _may_end(self) -> bool:
        """Whether the wait for a command may be ended: a service that goes down lets the
        transaction under way come to its end, one whose client may act no longer doesn't."""
        mail = self._mail
        between = mail.transaction is None or not self._connection.draining
        return between or mail.farewell is not None

    async def push(self, status: str | bytes) -> None:
        """Send a reply: a whole one of ours, or the library's with an enhanced code put in."""
        text = status if isinstance(status, str) else status.decode("utf-8", "replace")
        code = int(text[:3])
        if text[4:6] not in ("2.", "4.", "5.") and code in ENHANCED and text[3] == " ":
            text = f"{code} {ENHANCED[code]} {text[4:]}"
        await self._count(code)
        await self._send(text)

    async def _say(self, said: Reply) -> None:
        """Send a reply of ours."""
        if said.code >= 500:
            await self._count(said.code)
        await self._send(str(said))

    async def _count(self, code: int) -> None:
        """Errors are counted, and end the dialogue where they are too many."""
        self._errors += code >= 500
        if self._errors >= self._settings.errors:
            await self._end(reply.TOO_MANY_ERRORS)

    async def handle_exception(self, error: Exception) -> str:
        log.exception("smtp.command_failed", exc_info=error)
        return str(reply.TRY_LATER)

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Deadlines are the connection's."""

    def _set_rset_state(self) -> None:
        self._mail.abandon()

    # Commands.

    async def unknown(self, _arg: str | None) -> None:
        await self._say(reply.NO_COMMAND)

    @syntax("HELO hostname")
    async def smtp_HELO(self, hostname: str | None) -> None:
        if await self._greeted(hostname, extended=False):
            await self._send(f"250 {self.hostname}")

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str | None) -> None:
        if await self._greeted(hostname, extended=True):
            lines = [self.hostname, *await self._mail.extensions()]
            marks = ["-"] * (len(lines) - 1) + [" "]
            await self._send(
                "\r\n".join(f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True))
            )

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, hostname: str | None) -> None:
        await self.smtp_EHLO(hostname)

    @syntax("MAIL FROM:<reverse-path>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:
        if await self.check_helo_needed(self._hello):
            return
        if self._connection.draining and self._mail.transaction is None:
            await self._end(self._mail.farewell or reply.GOING_DOWN)
        await self._answer(self._begin(arg))

    @syntax("RCPT TO:<forward-path>", extended=" [SP <rcpt-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:
        await self._answer(self._add(arg))

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        transaction = self._mail.transaction
        if arg:
            await self._say(reply.BAD_ARGUMENTS)
        elif transaction is None or not transaction.accepted or not transaction.takes_data:
            await self._say(reply.BAD_SEQUENCE)
        else:
            await self._send("354 end with <CRLF>.<CRLF>")
            await self._answer_content(self._receiving.data(transaction))

    @syntax("BDAT chunk-size [LAST]")
    async def smtp_BDAT(self, arg: str | None) -> None:
        try:
            chunk = parse_chunk(arg)
        except Refused:
            # What follows would be read as commands, and may be anything.
            await self._end(reply.BAD_CHUNK)
        await self._answer_content(self._receiving.chunk(chunk))

    @syntax("BURL imap-url [LAST]")
    async def smtp_BURL(self, arg: str | None) -> None:
        if Keyword.BURL not in self._mail.offered:
            await self._say(reply.NOT_OFFERED)
        else:
            await self._answer_content(self._read_url(arg))

    @syntax("ETRN domain")
    async def smtp_ETRN(self, arg: str | None) -> None:
        if await self.check_helo_needed(self._hello):
            return
        await self._answer(self._hasten(arg))

    @syntax("XCLIENT attribute=value...")
    async def smtp_XCLIENT(self, arg: str | None) -> None:
        mail = self._mail
        if not mail.may_substitute:
            await self._say(reply.NOT_OFFERED)
        elif mail.transaction is not None:
            await self._say(reply.BAD_SEQUENCE)
        else:
            try:
                said = parse_substitute(arg)
            except Refused as refused:
                await self._say(refused.reply)
                return
            await mail.substitute(said)
            self.session = aiosmtpd.Session(self.loop)
            if mail.name:
                self.session.host_name = mail.name
                self.session.extended_smtp = mail.extended
            if unwelcome := await mail.welcome():
                await self._end(unwelcome)
            await self._send(f"220 {self.hostname} {self.__ident__}")

    @syntax("AUTH <mechanism> [initial-response]")
    async def smtp_AUTH(self, arg: str | None) -> None:
        if await self.check_helo_needed(self._hello):
            return
        await self._answer(self._sign_in(arg))

    @syntax("STARTTLS")
    async def smtp_STARTTLS(self, arg: str | None) -> None:
        tls = self._mail.house.tls
        if arg:
            await self._say(reply.BAD_ARGUMENTS)
        elif self._connection.tls is not None:
            await self._say(reply.BAD_SEQUENCE)
        elif tls is None:
            await self._say(reply.NO_TLS)
        else:
            await self._send(str(reply.TLS_READY))
            await self._connection.start_tls(tls)
            self._mail.forget()
            self.session = aiosmtpd.Session(self.loop)

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, arg: str | None) -> None:
        await self._answer(self._verify(arg))

    @syntax("EXPN <address>")
    async def smtp_EXPN(self, arg: str | None) -> None:
        try:
            *others, last = await self._expand(arg)
        except Refused as refused:
            others, last = [], refused.reply
        for one in others:
            await self._send(f"{one.code}-{one.enhanced} {one.text}")
        await self._say(last)

    @syntax("QUIT")
    async def smtp_QUIT(self, arg: str | None) -> None:
        if arg:
            await self._say(reply.BAD_ARGUMENTS)
        else:
            await self._end(reply.GOOD_BYE)

    # Their parts.

    async def _greeted(self, name: str | None, *, extended: bool) -> bool:
        if not name or not name.isprintable() or " " in name:
            await self._say(reply.BAD_ARGUMENTS)
            return False
        self._mail.greet(name, extended=extended)
        if self.session is not None:
            self.session.host_name = name
            self.session.extended_smtp = extended
        return True

    async def _begin(self, arg: str | None) -> Reply:
        mail = self._mail
        return await mail.begin(parse_mail(arg, mail.offered, int(time.time())))

    async def _add(self, arg: str | None) -> Reply:
        transaction, stream = self._mail.transaction, self._connection.stream
        if transaction is None or transaction.reception is not None:
            return reply.BAD_SEQUENCE
        recipient = parse_rcpt(arg, self._mail.offered)
        if len(stream) and not transaction.knows(recipient):
            if others := self._recipients_ahead():
                await transaction.look_ahead([recipient, *others])
        answer = await transaction.add(recipient)
        if stream.peek(4).upper() != b"RCPT":
            transaction.forget_ahead()
        return answer

    def _recipients_ahead(self) -> list[Rcpt]:
        """Recipients whose commands have come already, right behind the one in hand."""
        found = []
        *lines, _ = self._connection.stream.peek(_AHEAD_BYTES).split(b"\r\n")
        for line in lines:
            verb, _, argument = line.partition(b" ")
            if verb.upper() != b"RCPT":
                break
            try:
                text = argument.strip().decode("utf-8", "surrogateescape")
                found.append(parse_rcpt(text, self._mail.offered))
            except Refused:
                continue  # it will be told when its turn comes
        return found

    async def _read_url(self, arg: str | None) -> Sequence[Reply]:
        return await self._receiving.url(parse_url(arg))

    async def _hasten(self, arg: str | None) -> Reply:
        return await self._inquiries.hasten(parse_node(arg))

    async def _verify(self, arg: str | None) -> Reply:
        if not arg:
            raise Refused(reply.BAD_ARGUMENTS)
        if not self._mail.house.settings.vrfy:
            return reply.NOT_SAID
        return await self._inquiries.verify(parse_mailbox(arg))

    async def _expand(self, arg: str | None) -> Sequence[Reply]:
        if not self._mail.house.settings.expn:
            raise Refused(reply.NOT_OFFERED)
        return await self._inquiries.expand(parse_mailbox(arg or ""))

    async def _sign_in(self, arg: str | None) -> Reply:
        return await self._mail.sign_in(parse_auth(arg), self._ask)

    async def _ask(self, challenge: str) -> bytes:
        await self._send(f"334 {challenge}")
        try:
            line = await self._read_line()
        except LineTooLong as error:
            raise Refused(reply.BAD_SYNTAX) from error
        return line.removesuffix(b"\r\n")

    async def _answer(self, work: Awaitable[Reply | Sequence[Reply]]) -> None:
        """Say what comes of a command, and end the dialogue where the session is over."""
        try:
            said = await work
        except Refused as refused:
            said = refused.reply
        except (TimedOut, EndOfStream) as gone:
            await self._lose(gone)
            raise
        if isinstance(said, Reply):
            last = said
        else:
            *others, last = said
            for one in others:
                await self._send(str(one))
        if self._mail.over:
            await self._end(last)
        await self._say(last)

    async def _answer_content(self, work: Awaitable[Reply | Sequence[Reply]]) -> None:
        """The same of content. An error of ours ends the dialogue: nobody knows how much of it has
        been read, and the rest is anybody's commands.
        """
        try:
            await self._answer(work)
        except ConnectionError:
            raise
        except Exception:
            log.exception("smtp.content_failed")
            await self._end(reply.FAILED)

    async def _read_line(self, *, boundary: bool = False) -> bytes:
        """A line with its end. Raises LineTooLong (the line is gone then) and Draining."""
        stream, seconds = self._connection.stream, self._settings.command_seconds
        try:
            return await self._read(stream.read_line(SASL_LIMIT), seconds, boundary)
        except LineTooLong:
            await self._read(stream.discard_line(), seconds)
            raise

    async def _read(self, reader: Reader[T], seconds: float, boundary: bool = False) -> T:
        try:
            return await self._connection.read(reader, seconds, boundary=boundary)
        except (TimedOut, EndOfStream) as gone:
            await self._lose(gone)
            raise

    async def _send(self, text: str) -> None:
        connection = self._connection
        connection.write(text.encode("utf-8", "replace") + b"\r\n")
        if connection.congested or connection.closed:
            try:
                await connection.drain()
            except TimedOut as gone:
                raise _Over from gone

    async def _lose(self, gone: Exception) -> None:
        """The client has gone, or is told to."""
        if isinstance(gone, TimedOut):
            await self._end(reply.TIMED_OUT)
        raise _Over from gone

    async def _end(self, last: Reply) -> None:
        await self._send(str(last))
        raise _Over


def _anything(stream: ByteStream) -> Reader[None]:
    """Wait until there is something, and leave it there. Raises EndOfStream."""
    while not len(stream):
        if stream.ended:
            raise EndOfStream
        yield
