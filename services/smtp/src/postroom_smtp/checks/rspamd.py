"""Mail is shown to rspamd at its end, by HTTP (POST /checkv2), and its advice taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import h11
from postroom_chassis import logs
from prometheus_client import Counter

from postroom_smtp.checks.edits import Edits
from postroom_smtp.checks.filters import Opinion
from postroom_smtp.checks.settings import CheckSettings, Failing, Spam
from postroom_smtp.ports import Sending
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.authentication import Finding, Result
from postroom_smtp.protocol.fields import split_message
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool

log = logs.logger(__name__)

PORT = 11333  # of rspamd's normal worker
MOST_ANSWER = 1024 * 1024  # octets
READ_BYTES = 64 * 1024
METHOD = "x-rspamd"

MALWARE = Reply(554, "5.7.1", "the message has malware in it")
JUNK = Reply(554, "5.7.1", "the message looks like junk")
LATER = Reply(451, "4.7.1", "not now, try again later")

ACTIONS = Counter("postroom_smtp_rspamd_actions_total", "Messages by rspamd's advice", ["action"])
_KNOWN = frozenset(
    {"no action", "greylist", "add header", "rewrite subject", "soft reject", "reject", "discard"}
)


class RspamdFault(Exception):
    """It says what can't be understood."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What it says of a message.

    Attributes:
        said: what it wants the client to hear; empty: nothing of its own.
        subject: in place of the message's; None: it stays.
        added, removed: fields; a number of 0 stands for all of the name.
    """

    action: str
    score: float = 0.0
    required: float = 0.0
    symbols: tuple[str, ...] = ()
    said: str = ""
    subject: str | None = None
    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[tuple[str, int], ...] = ()


class Rspamd:
    """Filter.

    Args:
        name: of this host.
    """

    def __init__(self, settings: CheckSettings, name: str) -> None:
        parts = urlsplit(settings.rspamd_url)
        self._settings = settings
        self._name = name
        self._host = parts.hostname or ""
        self._port = parts.port or PORT
        self._target = parts.path.rstrip("/") + "/checkv2"

    async def connected(self, sending: Sending) -> Reply | None:
        return None

    async def mail(self, sending: Sending) -> Reply | None:
        return None

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        return None

    async def ended(self, connection: str) -> None: ...

    async def message(self, sending: Sending, message: Spool, edits: Edits) -> Opinion:
        try:
            async with asyncio.timeout(self._settings.rspamd_seconds):
                advice = parse_advice(await self._ask(sending, message, edits))
        except (OSError, EOFError, TimeoutError, RspamdFault, h11.ProtocolError) as error:
            log.warning("smtp.rspamd_failed", why=str(error) or type(error).__name__)
            ACTIONS.labels("failed").inc()
            refused = self._settings.rspamd_failing is Failing.TEMPFAIL
            finding = Finding(METHOD, Result.TEMPERROR, (), "away")
            return Opinion(reply.TRY_LATER if refused else None, finding=finding)
        ACTIONS.labels(advice.action).inc()
        return self._heed(advice, edits)

    def _heed(self, advice: Advice, edits: Edits) -> Opinion:
        # That somebody else found it to be junk is nobody's to say but ours.
        edits.remove(b"X-Spam")
        for name, number in advice.removed:
            _remove(edits, name.encode(), number)
        for name, value in advice.added:
            edits.insert(0, name.encode(), b" " + value.encode())
        comment = f"{advice.action}, {advice.score:.2f} of {advice.required:.2f}"
        malware = [
            symbol
            for symbol in advice.symbols
            if any(fnmatchcase(symbol, each) for each in self._settings.malware_symbols)
        ]
        if malware:
            comment += f", {malware[0]}"
            return Opinion(MALWARE, finding=Finding(METHOD, Result.FAIL, (), comment))
        return self._act(advice, edits, comment)

    def _act(self, advice: Advice, edits: Edits, comment: str) -> Opinion:
        failed = Finding(METHOD, Result.FAIL, (), comment)
        match advice.action:
            case "reject" if self._settings.rspamd_reject is Spam.REFUSE:
                return Opinion(_said(advice, JUNK), finding=failed)
            case "reject" | "add header":
                edits.insert(0, b"X-Spam", b" Yes")
                return Opinion(junk=True, finding=failed)
            case "rewrite subject":
                if advice.subject is not None:
                    edits.change(b"Subject", 0, b" " + advice.subject.encode())
                return Opinion(junk=True, finding=failed)
            case "soft reject" | "greylist":
                finding = Finding(METHOD, Result.TEMPERROR, (), comment)
                return Opinion(_said(advice, LATER), finding=finding)
            case "discard":
                return Opinion(quiet=True, finding=failed)
            case _:
                return Opinion(finding=Finding(METHOD, Result.PASS, (), comment))

    async def _ask(self, sending: Sending, message: Spool, edits: Edits) -> bytes:
        """The body of its answer. Raises OSError, EOFError, RspamdFault, h11.ProtocolError."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            connection = h11.Connection(h11.CLIENT)
            header = b"".join(entry.raw for entry in edits.entries) + b"\r\n"
            size = len(header) + message.size - len(split_message(message.header)[0])
            headers = [(name.encode(), value) for name, value in self._headers(sending)]
            headers.append((b"Content-Length", str(size).encode()))
            request = h11.Request(method="POST", target=self._target, headers=headers)
            writer.write(connection.send(request) or b"")
            async for piece in _content(message, header):
                writer.write(connection.send(h11.Data(piece)) or b"")
                await writer.drain()
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            return await _read_answer(connection, reader)
        finally:
            writer.close()

    def _headers(self, sending: Sending) -> Iterator[tuple[str, bytes]]:
        """What rspamd documents of its protocol: where the message comes from."""
        yield "Host", self._host.encode()
        yield "Connection", b"close"
        if sending.client.address:
            yield "IP", sending.client.address.encode()
        if sending.name:
            yield "Helo", _header(sending.name)
        yield "From", _header(sending.sender or "")
        for address in sending.recipients:
            yield "Rcpt", _header(address)
        if sending.identity is not None:
            yield "User", _header(sending.identity.address)
        if sending.message_id:
            yield "Queue-Id", _header(sending.message_id)
        yield "MTA-Name", self._name.encode()
        if password := self._settings.rspamd_password.get_secret_value():
            yield "Password", _header(password)


async def _content(message: Spool, header: bytes) -> AsyncIterator[bytes]:
    """The message with the fields that it has by now."""
    yield header
    skipped = len(split_message(message.header)[0])
    async for piece in message.pieces():
        if rest := piece[skipped:]:
            yield rest
        skipped = max(0, skipped - len(piece))


async def _read_answer(connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    answer = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(READ_BYTES))
            case h11.Response(status_code=status) if status != 200:
                raise RspamdFault(f"it answers {status}")
            case h11.Data(data=data):
                answer += data
                if len(answer) > MOST_ANSWER:
                    raise RspamdFault("it says too much")
            case h11.EndOfMessage():
                return bytes(answer)
            case h11.ConnectionClosed() | h11.PAUSED:
                raise RspamdFault("it says nothing")
            case _:
                continue


def parse_advice(answer: bytes) -> Advice:
    """The JSON of /checkv2. Raises RspamdFault."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise RspamdFault("its answer isn't JSON") from error
    if not isinstance(said, dict) or _text(said.get("action")) not in _KNOWN:
        raise RspamdFault("its answer advises nothing")
    subject = said.get("subject")
    changes = _mapping(said.get("milter"))
    return Advice(
        said["action"],
        _number(said.get("score")),
        _number(said.get("required_score")),
        tuple(_mapping(said.get("symbols"))),
        _text(_mapping(said.get("messages")).get("smtp_message")),
        _text(subject) if isinstance(subject, str) else None,
        tuple(_added(_mapping(changes.get("add_headers")))),
        tuple(_removed(_mapping(changes.get("remove_headers")))),
    )


def _added(headers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each is a value, a value in an object, or several of these."""
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            text = value.get("value") if isinstance(value, dict) else value
            if isinstance(text, str):
                yield name, _encodable(text)


def _removed(headers: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, number in headers.items():
        if isinstance(number, int):
            yield _encodable(name), number


def _remove(edits: Edits, name: bytes, number: int) -> None:
    """Take a field away: 1 is the first, -1 the last, 0 all."""
    if number < 0:
        there = sum(entry.name.lower() == name.lower() for entry in edits.entries)
        number += there + 1
        if number <= 0:
            return
    edits.remove(name, number - 1 if number else None)


def _said(advice: Advice, otherwise: Reply) -> Reply:
    """A reply in its words, if it has some."""
    if not advice.said:
        return otherwise
    text = "".join(each if " " <= each <= "~" else "?" for each in advice.said)[:400]
    return Reply(otherwise.code, otherwise.enhanced, text)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        return 0.0


def _text(value: Any) -> str:
    return _encodable(value) if isinstance(value, str) else ""


def _encodable(text: str) -> str:
    """Without halves of characters, which JSON can have."""
    return text.encode("utf-8", "replace").decode()


def _header(text: str) -> bytes:
    """A value of HTTP's, in which nothing ends it."""
    return "".join(each if each.isprintable() else "?" for each in text).strip().encode()
