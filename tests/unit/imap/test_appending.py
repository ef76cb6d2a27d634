"""The messages of APPEND and REPLACE as they come: steps, literals, and what is wrong."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom_chassis.net.stream import EndOfStream
from postroom_imap.protocol.appending import (
    AppendReader,
    CommandEnd,
    MessageEnd,
    MessageStart,
    Step,
    Text,
    Url,
)
from postroom_imap.protocol.commands import AnnotationSetting, Append, Literal, Noop, Replace
from postroom_imap.protocol.date_time import DateTime
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.reading import READY, discard_message
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import Request

from tests.unit.imap.wire import Client, drive

SMALL = Limits(line=64, literals=20, discard=200, sasl_line=64)
PLAIN = MessageStart((), None)


def steps(client: Client, head: Request) -> Iterator[Step]:
    """The steps of a command whose head was read; its literals are read past."""
    command = head.command
    assert isinstance(command, Append | Replace)
    rest, most = (command.messages, 5) if isinstance(command, Append) else (command.message, 1)

    def hear(data: bytes) -> None:
        client.heard += data

    reader = AppendReader(client.stream, client.limits, hear, head.tag, rest, most)
    while True:
        step = drive(client.stream, reader.step())
        yield step
        if isinstance(step, CommandEnd | InvalidCommand):
            return
        if isinstance(step, Text):
            drive(client.stream, discard_message(client.stream, step.literal.size))


def told(data: bytes, limits: Limits | None = None) -> tuple[list[Step], Client]:
    """What the reader makes of a command."""
    client = Client(limits)
    client.stream.feed(data)
    head = client.sends()
    if isinstance(head, InvalidCommand):
        return [head], client
    return list(steps(client, head)), client


def test_one_message() -> None:
    heard, client = told(b"A003 APPEND saved-messages (\\Seen) {3+}\r\nabc\r\nz NOOP\r\n")
    literal = Literal(3, synchronizing=False)
    assert heard == [MessageStart(("\\Seen",), None), Text(literal), MessageEnd(), CommandEnd()]
    assert client.sends() == Request(b"z", Noop())


def test_a_whole_head() -> None:
    line = b'a APPEND "&AOk-t&AOk-" (\\seen $Fwd) "17-Jul-1996 02:44:25 -0700" ~{9999999999}\r\n'
    client = Client()
    head = client.sends(line)
    assert isinstance(head, Request)
    assert isinstance(head.command, Append)
    assert head.command.mailbox == "été"
    found = steps(client, head)
    date = DateTime(837_596_665, -420)
    assert next(found) == MessageStart(("\\Seen", "$Fwd"), date)
    assert next(found) == Text(Literal(9_999_999_999, synchronizing=True, eight_bit=True))
    assert client.heard == b""  # whether it may come is for the session to say


def test_a_mailbox_as_a_literal() -> None:
    heard, client = told(b"a APPEND {5}\r\ninbox {1+}\r\nx\r\n")
    assert heard == [PLAIN, Text(Literal(1, synchronizing=False)), MessageEnd(), CommandEnd()]
    assert client.heard == READY


def test_several_messages() -> None:
    heard, _ = told(b"a APPEND x {1+}\r\na (\\Draft) {2+}\r\nbc\r\n")
    first, second = (Text(Literal(size, synchronizing=False)) for size in (1, 2))
    draft = MessageStart(("\\Draft",), None)
    assert heard == [PLAIN, first, MessageEnd(), draft, second, MessageEnd(), CommandEnd()]


def test_a_catenation() -> None:
    heard, client = told(
        b"a APPEND x CATENATE (URL /a/;UID=1 TEXT {2+}\r\nbc URL {10}\r\n/a/;UID=22 TEXT ~{1+}"
        b'\r\nd URL "/b/;UID=3") (\\Seen) CATENATE (URL "/c/;UID=4")\r\n'
    )
    assert heard == [
        PLAIN,
        Url(b"/a/;UID=1"),
        Text(Literal(2, synchronizing=False)),
        Url(b"/a/;UID=22"),
        Text(Literal(1, synchronizing=False, eight_bit=True)),
        Url(b"/b/;UID=3"),
        MessageEnd(),
        MessageStart(("\\Seen",), None),
        Url(b"/c/;UID=4"),
        MessageEnd(),
        CommandEnd(),
    ]
    assert client.heard == READY


def test_annotations() -> None:
    """RFC 5257 section 4.7: literals among them are values, and asked for as such."""
    heard, client = told(
        b'a APPEND x (\\Seen) ANNOTATION (/comment (value.priv "{1}")) {1+}\r\nx'
        b" annotation (/comment (value.priv {4}\r\n{1}x value.shared ~{1+}\r\n\0)"
        b" {11+}\r\n/altsubject (value.priv NIL)) {1+}\r\ny\r\n"
    )
    text = Text(Literal(1, synchronizing=False))
    first = MessageStart(("\\Seen",), None, (AnnotationSetting("/comment", False, b"{1}"),))
    second = MessageStart(
        (),
        None,
        (
            AnnotationSetting("/comment", False, b"{1}x"),
            AnnotationSetting("/comment", True, b"\0"),
            AnnotationSetting("/altsubject", False, None),
        ),
    )
    assert heard == [first, text, MessageEnd(), second, text, MessageEnd(), CommandEnd()]
    assert client.heard == READY


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (
            b"ANNOTATION (/comment (value.priv {99+}\r\n" + b"x" * 99 + b")) {1+}\r\nx\r\n",
            b"TOOBIG",
        ),
        (b"ANNOTATION (/comment (value {1+}\r\nx)) {1+}\r\nx\r\n", None),
        (b"ANNOTATION {1+}\r\nx {1+}\r\nx\r\n", None),
        (b"ANNOTATION (/comment (value.priv NIL)){1+}\r\nx\r\n", None),
    ],
)
def test_annotations_that_can_not_be(data: bytes, code: bytes | None) -> None:
    heard, client = told(b"a APPEND x " + data, SMALL)
    (refusal,) = heard
    assert isinstance(refusal, InvalidCommand)
    assert refusal.code == code
    assert client.heard == b""


def test_utf8_data() -> None:
    heard, _ = told(b"a APPEND x UTF8 (~{3+}\r\nabc)\r\n")
    text = Text(Literal(3, synchronizing=False, eight_bit=True))
    assert heard == [PLAIN, text, MessageEnd(), CommandEnd()]


def test_a_replacement() -> None:
    client = Client()
    assert client.sends(b"a REPLACE * {6+}\r\nDrafts (\\Seen) {312}\r\n") == Request(
        b"a", Replace(False, None, "Drafts", b" (\\Seen) {312}")
    )
    assert client.sends(b"a UID REPLACE 2000 Drafts {350}\r\n") == Request(
        b"a", Replace(True, 2000, "Drafts", b" {350}")
    )


def test_a_replacement_is_one_message() -> None:
    heard, client = told(b"a REPLACE 4 Drafts {1+}\r\nx {2+}\r\nyz\r\nz NOOP\r\n")
    assert heard[-1] == InvalidCommand(b"a", "Unexpected text after the message")
    assert client.sends() == Request(b"z", Noop())


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (b"APPEND x (\\Recent) {8+}\r\nb NOOP\r\n", "No such system flag can be set"),
        (b'APPEND x "30-Feb-1996 02:44:25 -0700" {1}', "Not a valid date-time"),
        (b"APPEND x", "Expected a space"),
        (b"APPEND x (\\Seen)", "Expected a space"),
        (b"APPEND x y}", "Expected a literal"),
        (b"APPEND x {1}{2+}\r\nab", "Expected a literal"),
        (b"APPEND x {8+}\r\nb NOOP\r\n x", "Expected a literal"),
        (b"APPEND x {1+}\r\na y {2+}\r\nbc", "Expected a literal"),
        (b"APPEND x UTF8 ({1+}\r\na)", "Expected a literal"),
        (b"APPEND x UTF8 (~{1+}\r\na", "Expected )"),
        (b"APPEND x CATENATE ()", "Expected a keyword"),
        (b"APPEND x CATENATE (FILE y)", "Expected TEXT or URL"),
        (b"APPEND x CATENATE (URL y", "Expected a space"),
        (b"APPEND x CATENATE (TEXT y)", "Expected a literal"),
        (b"APPEND x CATENATE (TEXT {1+}\r\na TEXT {1+}\r\nb)c", "Expected a space"),
        (b"REPLACE 0 x {1+}\r\na", "No message has the number 0"),
        (b"REPLACE 1:2 x {1+}\r\na", "Expected a space"),
    ],
)
def test_what_is_wrong_is_read_to_its_end(command: bytes, text: str) -> None:
    heard, client = told(b"a " + command + b"\r\nz NOOP\r\n")
    last = heard[-1]
    assert isinstance(last, InvalidCommand)
    assert (last.tag, last.text) == (b"a", text)
    assert client.sends() == Request(b"z", Noop())


def test_a_long_line_after_a_message() -> None:
    heard, client = told(b"a APPEND x {1+}\r\na" + b"x" * 100 + b"\r\nz NOOP\r\n", SMALL)
    assert heard[-1] == InvalidCommand(b"a", "The command is too long", b"TOOBIG")
    assert client.sends() == Request(b"z", Noop())


def test_a_large_url() -> None:
    heard, client = told(b"a APPEND x CATENATE (URL {21}\r\nz NOOP\r\n", SMALL)
    assert heard[-1] == InvalidCommand(b"a", "The literals are too large", b"TOOBIG")
    assert client.sends() == Request(b"z", Noop())


FRAGMENTS = st.sampled_from(
    [b" ", b"(", b")", b"{1+}\r\n", b"{1}\r\n", b"~{2+}\r\n", b"CATENATE", b"TEXT", b"URL", b"UTF8",
     b"\\Seen", b'"', b"x", b"/a/;UID=1", b"\r\n", b"\0", b"\xff", b"{99999+}\r\n"]
)  # fmt: skip


@given(st.lists(FRAGMENTS | st.binary(max_size=4), max_size=40))
@settings(max_examples=300, deadline=None)
def test_nothing_raises(noise: list[bytes]) -> None:
    client = Client(SMALL, State.SELECTED)
    client.stream.feed(b"a APPEND x " + b"".join(noise) + b"\r\n")
    client.stream.feed_eof()
    try:
        head = client.sends()
        if isinstance(head, Request) and isinstance(head.command, Append):
            list(steps(client, head))
    except EndOfStream:
        pass
