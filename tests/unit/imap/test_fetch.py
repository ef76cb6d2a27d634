"""FETCH and its items (RFC 3501 section 6.4.5)."""

import pytest
from postroom_imap.protocol.commands import (
    BodySection,
    Fetch,
    FetchAttribute,
    FetchItems,
    Partial,
    SectionForm,
    SectionText,
)
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import Request, parse_command

from tests.unit.imap.wire import command_of

FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)


def items_of(items: bytes, verb: bytes = b"FETCH") -> FetchItems:
    command = command_of(b"a %b 1 %b\r\n" % (verb, items))
    assert isinstance(command, Fetch), command
    return command.items


def section_of(item: bytes) -> BodySection:
    (section,) = items_of(item).sections
    return section


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (b"fast", FAST),
        (b"ALL", (*FAST, FetchAttribute.ENVELOPE)),
        (b"FULL", (*FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY)),
        (b"UID", (FetchAttribute.UID,)),
        (b"(flags Uid flags)", (FetchAttribute.FLAGS, FetchAttribute.UID)),
        (b"(BODY BODYSTRUCTURE)", (FetchAttribute.BODY, FetchAttribute.BODYSTRUCTURE)),
        (b"RFC822.SIZE", (FetchAttribute.RFC822_SIZE,)),
    ],
)
def test_attributes(text: bytes, items: tuple[FetchAttribute, ...]) -> None:
    assert items_of(text) == FetchItems(items)
    assert items_of(text).attributes == frozenset(items)


def test_uid_fetch_always_tells_the_uid() -> None:
    assert items_of(b"FAST", b"UID FETCH").items == (FetchAttribute.UID, *FAST)
    given = (FetchAttribute.FLAGS, FetchAttribute.UID)
    assert items_of(b"(FLAGS UID)", b"UID FETCH").items == given
    assert items_of(b"FLAGS").items == (FetchAttribute.FLAGS,)


@pytest.mark.parametrize(
    ("text", "part", "section", "label"),
    [
        (b"BODY[]", (), SectionText.WHOLE, b"BODY[]"),
        (b"body[header]", (), SectionText.HEADER, b"BODY[HEADER]"),
        (b"BODY[TEXT]", (), SectionText.TEXT, b"BODY[TEXT]"),
        (b"BODY[1]", (1,), SectionText.WHOLE, b"BODY[1]"),
        (b"BODY[1.2.33]", (1, 2, 33), SectionText.WHOLE, b"BODY[1.2.33]"),
        (b"BODY[4.1.MIME]", (4, 1), SectionText.MIME, b"BODY[4.1.MIME]"),
        (b"BODY[3.header]", (3,), SectionText.HEADER, b"BODY[3.HEADER]"),
        (b"BODY[3.TEXT]", (3,), SectionText.TEXT, b"BODY[3.TEXT]"),
    ],
)
def test_sections(text: bytes, part: tuple[int, ...], section: SectionText, label: bytes) -> None:
    assert section_of(text) == BodySection(part, section, (), None, False, label)


def test_peek_and_partial() -> None:
    section = section_of(b"BODY.PEEK[1]<0.2048>")
    assert section == BodySection(
        (1,), SectionText.WHOLE, (), Partial(0, 2048), True, b"BODY[1]<0>"
    )


@pytest.mark.parametrize(
    ("text", "section"),
    [
        (
            b"BINARY.PEEK[1.2]<5.10>",
            BodySection(
                (1, 2),
                SectionText.WHOLE,
                (),
                Partial(5, 10),
                True,
                b"BINARY[1.2]<5>",
                SectionForm.DECODED,
            ),
        ),
        (
            b"binary[]",
            BodySection((), SectionText.WHOLE, (), None, False, b"BINARY[]", SectionForm.DECODED),
        ),
        (
            b"BINARY.SIZE[3]",
            BodySection(
                (3,),
                SectionText.WHOLE,
                (),
                None,
                True,
                b"BINARY.SIZE[3]",
                SectionForm.DECODED_SIZE,
            ),
        ),
    ],
)
def test_binary(text: bytes, section: BodySection) -> None:
    assert section_of(text) == section


@pytest.mark.parametrize(
    "text", [b"BINARY", b"BINARY[1.MIME]", b"BINARY[TEXT]", b"BINARY.SIZE[1]<0.1>"]
)
def test_binary_is_of_whole_parts(text: bytes) -> None:
    assert isinstance(command_of(b"a FETCH 1 " + text + b"\r\n"), InvalidCommand)


def test_header_fields() -> None:
    section = section_of(b'BODY[HEADER.FIELDS (From "To" {2+}\r\nCc)]')
    assert section.fields == ("From", "To", "Cc")
    assert section.text is SectionText.HEADER_FIELDS
    assert section.label == b"BODY[HEADER.FIELDS (From To Cc)]"


def test_other_header_fields() -> None:
    section = section_of(b'BODY.PEEK[2.HEADER.FIELDS.NOT ("a%b")]<5.1>')
    assert section.text is SectionText.HEADER_FIELDS_NOT
    assert section.label == b'BODY[2.HEADER.FIELDS.NOT ("a%b")]<5>'


def test_the_older_names() -> None:
    whole, header, text = items_of(b"(RFC822 RFC822.HEADER RFC822.TEXT)").sections
    assert (whole.text, whole.peek, whole.label) == (SectionText.WHOLE, False, b"RFC822")
    assert (header.text, header.peek, header.label) == (
        SectionText.HEADER,
        True,
        b"RFC822.HEADER",
    )
    assert (text.text, text.peek, text.label) == (SectionText.TEXT, False, b"RFC822.TEXT")


@pytest.mark.parametrize(
    ("text", "sets_seen"),
    [
        (b"BODY[]", True),
        (b"(BODY.PEEK[] RFC822.TEXT)", True),
        (b"(FLAGS BODY.PEEK[])", False),
        (b"RFC822.HEADER", False),
        (b"FULL", False),
    ],
)
def test_what_sets_seen(text: bytes, sets_seen: bool) -> None:
    assert items_of(text).sets_seen is sets_seen


def test_equal_requests_share_their_items() -> None:
    limits = Limits()
    first, second = (
        parse_command(b"a UID FETCH %d (FLAGS BODY.PEEK[])" % uid, limits, State.SELECTED)
        for uid in (1, 2)
    )
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert isinstance(first.command, Fetch)
    assert isinstance(second.command, Fetch)
    assert first.command.items is second.command.items


def test_a_long_request_is_read_as_well() -> None:
    names = [b"X-Field-%d" % number for number in range(100)]
    section = section_of(b"BODY.PEEK[HEADER.FIELDS (%b)]" % b" ".join(names))
    assert section.fields == tuple(name.decode() for name in names)


def test_too_many_sections() -> None:
    def fetch(sections: int) -> bytes:
        items = b" ".join(b"BODY.PEEK[%d]" % number for number in range(1, sections + 1))
        return b"a FETCH 1 (FLAGS UID %b)\r\n" % items

    assert isinstance(command_of(fetch(100)), Fetch)
    refusal = command_of(fetch(101))
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply().startswith(b"a NO [LIMIT] ")


@pytest.mark.parametrize(
    "items",
    [
        b"",
        b"FROB",
        b"()",
        b"(FLAGS",
        b"(FLAGS  UID)",
        b"FLAGS UID",
        b"(FAST)",
        b"FLAGS[]",
        b"BODY.PEEK",
        b"BODY[",
        b"BODY[FROB]",
        b"BODY[0]",
        b"BODY[1.]",
        b"BODY[.1]",
        b"BODY[1..2]",
        b"BODY[1MIME]",
        b"BODY[.TEXT]",
        b"BODY[MIME]",
        b"BODY[TEXT.1]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b'BODY[HEADER.FIELDS ("a b")]',
        b'BODY[HEADER.FIELDS ("\xe9")]',
        b"BODY[HEADER (From)]",
        b"BODY[]<0>",
        b"BODY[]<0.0>",
        b"BODY[]<-1.5>",
        b"BODY[]<1.%b>" % (b"9" * 5000),
        b"BODY[%b]" % b".".join([b"1"] * 101),
        b"BODY[%b]" % (b"9" * 11),
        b"(%b)" % b" ".join(b"BODY[%d]" % n for n in range(1, 1002)),
    ],
)
def test_wrong(items: bytes) -> None:
    refusal = command_of(b"a FETCH 1 " + items + b"\r\n")
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply().startswith(b"a BAD ")
