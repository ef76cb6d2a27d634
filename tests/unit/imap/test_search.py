"""SEARCH: every key of RFC 3501 section 6.4.4, charsets, bounds."""

from datetime import date

import pytest
from postroom_imap.protocol.commands.search import Search
from postroom_imap.protocol.commands.search_keys import (
    AllKey,
    AndKey,
    DateField,
    DateKey,
    DateRelation,
    FlagKey,
    HeaderKey,
    NotKey,
    OrKey,
    RecentKey,
    SearchKey,
    SequenceKey,
    SizeKey,
    SizeRelation,
    TextKey,
    TextScope,
    UidKey,
)
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.sequence_set import SequenceSet

from tests.unit.imap.wire import command_of

DAY = date(1994, 2, 1)
SEEN, UNSEEN = FlagKey("\\Seen"), FlagKey("\\Seen", present=False)


def search(arguments: bytes) -> Search:
    command = command_of(b"a SEARCH " + arguments + b"\r\n")
    assert isinstance(command, Search), command
    return command


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", AllKey()),
        (b"ANSWERED", FlagKey("\\Answered")),
        (b"BCC x", HeaderKey("bcc", "x")),
        (b"BEFORE 1-Feb-1994", DateKey(DateField.INTERNAL, DateRelation.BEFORE, DAY)),
        (b'BODY "a b"', TextKey(TextScope.BODY, "a b")),
        (b"CC x", HeaderKey("cc", "x")),
        (b"DELETED", FlagKey("\\Deleted")),
        (b"DRAFT", FlagKey("\\Draft")),
        (b"FLAGGED", FlagKey("\\Flagged")),
        (b"FROM Smith", HeaderKey("from", "Smith")),
        (b'HEADER X-Spam ""', HeaderKey("x-spam", "")),
        (b"KEYWORD $Fwd", FlagKey("$Fwd")),
        (b"LARGER 4096", SizeKey(SizeRelation.LARGER, 4096)),
        (b"NEW", AndKey((RecentKey(), UNSEEN))),
        (b"NOT SEEN", NotKey(SEEN)),
        (b"OLD", NotKey(RecentKey())),
        (b'ON "1-Feb-1994"', DateKey(DateField.INTERNAL, DateRelation.ON, DAY)),
        (b"OR SEEN RECENT", OrKey((SEEN, RecentKey()))),
        (b"RECENT", RecentKey()),
        (b"seen", SEEN),
        (b"SENTBEFORE 01-feb-1994", DateKey(DateField.SENT, DateRelation.BEFORE, DAY)),
        (b"SENTON 1-Feb-1994", DateKey(DateField.SENT, DateRelation.ON, DAY)),
        (b"SENTSINCE 1-Feb-1994", DateKey(DateField.SENT, DateRelation.SINCE, DAY)),
        (b"SINCE 1-Feb-1994", DateKey(DateField.INTERNAL, DateRelation.SINCE, DAY)),
        (b"SMALLER 1", SizeKey(SizeRelation.SMALLER, 1)),
        (b"SUBJECT {3+}\r\nx\ry", HeaderKey("subject", "x\ry")),
        (b"TEXT x", TextKey(TextScope.TEXT, "x")),
        (b"TO x", HeaderKey("to", "x")),
        (b"UID 1:*", UidKey(SequenceSet.parse(b"1:*"))),
        (b"UNANSWERED", FlagKey("\\Answered", present=False)),
        (b"UNDELETED", FlagKey("\\Deleted", present=False)),
        (b"UNDRAFT", FlagKey("\\Draft", present=False)),
        (b"UNFLAGGED", FlagKey("\\Flagged", present=False)),
        (b"UNKEYWORD x", FlagKey("x", present=False)),
        (b"UNSEEN", UNSEEN),
        (b"2,4:*", SequenceKey(SequenceSet.parse(b"2,4:*"))),
        (b"*", SequenceKey(SequenceSet.parse(b"*"))),
        (b"(SEEN)", SEEN),
        (b"(SEEN RECENT)", AndKey((SEEN, RecentKey()))),
    ],
)
def test_every_key(text: bytes, key: SearchKey) -> None:
    assert search(text) == Search(False, None, key)


def test_rfc_3501_example() -> None:
    program = search(b'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"').program
    since = DateKey(DateField.INTERNAL, DateRelation.SINCE, DAY)
    assert program == AndKey((FlagKey("\\Flagged"), since, NotKey(HeaderKey("from", "Smith"))))


def test_alternatives_are_flat() -> None:
    keys = search(b"OR OR FROM a FROM b OR FROM c (OR FROM d FROM e)").program
    assert keys == OrKey(tuple(HeaderKey("from", letter) for letter in "abcde"))


def test_uid_search() -> None:
    assert command_of(b"a UID SEARCH ALL\r\n") == Search(True, None, AllKey())


@pytest.mark.parametrize(
    ("arguments", "charset", "text"),
    [
        (b'CHARSET UTF-8 TEXT "\xc3\xa9"', "UTF-8", "é"),
        (b'charset "iso-8859-1" TEXT {1+}\r\n\xe9', "ISO-8859-1", "é"),
        (b"CHARSET US-ASCII TEXT e", "US-ASCII", "e"),
        (b"CHARSET KOI8-R TEXT {1+}\r\n\xc1", "KOI8-R", "а"),
        (b"TEXT {2+}\r\n\xc3\xa9", None, "é"),
    ],
)
def test_charsets(arguments: bytes, charset: str | None, text: str) -> None:
    assert search(arguments) == Search(False, charset, TextKey(TextScope.TEXT, text))


def test_an_unknown_charset() -> None:
    refusal = command_of(b"a SEARCH CHARSET X-FROB TEXT x\r\n")
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply().startswith(b"a NO [BADCHARSET (US-ASCII UTF-8 ")


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b"FROB",
        b"()",
        b"(SEEN",
        b"SEEN)",
        b"SEEN  RECENT",
        b"NOT",
        b"OR SEEN",
        b"BODY",
        b"BODY ",
        b"SINCE yesterday",
        b"SINCE 30-Feb-1994",
        b"LARGER x",
        b"KEYWORD \\Seen",
        b"UID x",
        b"0",
        b"HEADER x",
        b'HEADER "\xe9" x',
        b"CHARSET UTF-8",
        b"CHARSET UTF-8 ",
        b'CHARSET UTF-8 TEXT "\xe9"',
        b'CHARSET US-ASCII TEXT "\xe9"',
        b'TEXT "\xe9"',
        b"NOT " * 101 + b"SEEN",
        b"(" * 101 + b"SEEN" + b")" * 101,
        b"OR SEEN " * 101 + b"SEEN",
        b"(" * 60_000,
        b" ".join([b"SEEN"] * 2001),
    ],
)
def test_wrong(arguments: bytes) -> None:
    refusal = command_of(b"a SEARCH " + arguments + b"\r\n")
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply().startswith(b"a BAD ")


def test_as_deep_and_as_many_as_the_limits_allow() -> None:
    deep = search(b"NOT " * 100 + b"SEEN").program
    assert isinstance(deep, NotKey)
    many = search(b" ".join([b"SEEN"] * 2000)).program
    assert isinstance(many, AndKey)
    assert len(many.keys) == 2000
