"""The lexical elements (RFC 3501 section 9)."""

from collections.abc import Callable

import pytest
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import Refusal, SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.sequence_set import SequenceSet

Read = Callable[[Cursor], object]


def at(data: bytes) -> Cursor:
    return Cursor(data, 0, Limits(elements=3))


@pytest.mark.parametrize(
    ("read", "data", "value", "left"),
    [
        (Cursor.atom, b"abc def", "abc", b" def"),
        (Cursor.atom, b"a]b", "a", b"]b"),
        (Cursor.astring, b"a]b c", b"a]b", b" c"),
        (Cursor.astring, b"NIL", b"NIL", b""),
        (Cursor.astring, b'"a \\"b\\\\" c', b'a "b\\', b" c"),
        (Cursor.astring, b'""', b"", b""),
        (Cursor.astring, b"{3}\r\n\r\n()", b"\r\n(", b")"),
        (Cursor.string, b'"\xc3\xa9"', "é".encode(), b""),
        (Cursor.nstring, b"nil)", None, b")"),
        (Cursor.nstring, b'"NIL"', b"NIL", b""),
        (Cursor.text, b'"\xc3\xa9"', "é", b""),
        (Cursor.number, b"0123 ", 123, b" "),
        (Cursor.word, b"Body.Peek[", b"BODY.PEEK", b"["),
        (Cursor.sequence_set, b"1:3,* x", SequenceSet.parse(b"1:3,*"), b" x"),
        (Cursor.mailbox, b"inbox/x", "INBOX/x", b""),
        (Cursor.mailbox, b'"&AOk- x"', "é x", b""),
        (Cursor.list_mailbox, b"*&AOk-% x", "*é%", b" x"),
        (Cursor.list_mailbox, b'"a b*"', "a b*", b""),
        (Cursor.flag, b"\\sEEN)", "\\Seen", b")"),
        (Cursor.flag, b"$Forwarded ", "$Forwarded", b" "),
        (Cursor.flag_list, b"()", (), b""),
        (Cursor.flag_list, b"(\\Seen a \\seen)", ("\\Seen", "a"), b""),
        (Cursor.rest, b"all of it", b"all of it", b""),
    ],
)
def test_elements(read: Read, data: bytes, value: object, left: bytes) -> None:
    cursor = at(data)
    assert read(cursor) == value
    assert cursor.rest() == left


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (Cursor.atom, b""),
        (Cursor.atom, b"(a)"),
        (Cursor.atom, b"\x7f"),
        (Cursor.atom, b"\xe9"),
        (Cursor.astring, b'"a'),
        (Cursor.astring, b'"a\\b"'),
        (Cursor.astring, b'"a\r\nb"'),
        (Cursor.astring, b'"a\0b"'),
        (Cursor.astring, b"{3}\r\nab"),
        (Cursor.astring, b"{1}\r\n\0"),
        (Cursor.astring, b"{3}ab"),
        (Cursor.astring, b"{%b}\r\n" % (b"9" * 5000)),
        (Cursor.nstring, b"atom"),
        (Cursor.text, b'"\xe9"'),
        (Cursor.number, b"-1"),
        (Cursor.number, b"9" * 19),
        (Cursor.sequence_set, b"1,,2"),
        (Cursor.sequence_set, b"0"),
        (Cursor.flag, b"\\Recent"),
        (Cursor.flag, b"\\*"),
        (Cursor.flag_list, b"(a  b)"),
        (Cursor.flag_list, b"(a b c d)"),
        (Cursor.flag_list, b"(a"),
        (Cursor.space, b"x"),
        (Cursor.end, b"x"),
    ],
)
def test_faults(read: Read, data: bytes) -> None:
    with pytest.raises(SyntaxFault) as caught:
        read(at(data))
    assert caught.value.refusal is Refusal.BAD


@pytest.mark.parametrize("name", [b"R&D", b'"caf\xc3\xa9"', b"&AGE-"])
def test_a_name_that_is_none_is_refused_by_no(name: bytes) -> None:
    for read in (Cursor.mailbox, Cursor.list_mailbox):
        with pytest.raises(SyntaxFault) as caught:
            read(at(name))
        assert (caught.value.refusal, caught.value.code) == (Refusal.NO, b"CANNOT")


def test_structure() -> None:
    cursor = at(b"(a) b")
    assert cursor.at(b"(a")
    assert not cursor.take(b")")
    assert cursor.list_of(cursor.atom) == ("a",)
    cursor.space()
    cursor.expect(b"b")
    assert cursor.at_end()
    cursor.end()


def test_a_list_that_must_not_be_empty() -> None:
    cursor = at(b"()")
    with pytest.raises(SyntaxFault):
        cursor.list_of(cursor.atom)
