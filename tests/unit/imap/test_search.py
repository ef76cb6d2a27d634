"""SEARCH: every key of RFC 3501 section 6.4.4, charsets, bounds."""

from datetime import date

import pytest
from postroom_imap.protocol.commands.result_options import (
    EVERYTHING,
    PartialRange,
    ResultOption,
    ResultOptions,
    parse_partial_range,
)
from postroom_imap.protocol.commands.search import Search
from postroom_imap.protocol.commands.search_keys import (
    AllKey,
    AndKey,
    DateField,
    DateKey,
    DateRelation,
    EmailIdKey,
    FilterKey,
    FlagKey,
    FuzzyKey,
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
    ThreadIdKey,
    UidKey,
    WithinKey,
)
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.sequence_set import SAVED_RESULT, SequenceSet

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
        (b"EMAILID M7-12", EmailIdKey("M7-12")),
        (b"FUZZY (SUBJECT x SEEN)", FuzzyKey(AndKey((HeaderKey("subject", "x"), SEEN)))),
        (b"FROM Smith", HeaderKey("from", "Smith")),
        (b'HEADER X-Spam ""', HeaderKey("x-spam", "")),
        (b"KEYWORD $Fwd", FlagKey("$Fwd")),
        (b"LARGER 4096", SizeKey(SizeRelation.LARGER, 4096)),
        (b"NEW", AndKey((RecentKey(), UNSEEN))),
        (b"NOT SEEN", NotKey(SEEN)),
        (b"OLD", NotKey(RecentKey())),
        (b"OLDER 604800", WithinKey(older=True, seconds=604_800)),
        (b'ON "1-Feb-1994"', DateKey(DateField.INTERNAL, DateRelation.ON, DAY)),
        (b"OR SEEN RECENT", OrKey((SEEN, RecentKey()))),
        (b"RECENT", RecentKey()),
        (b"seen", SEEN),
        (b"SAVEDBEFORE 1-Feb-1994", DateKey(DateField.SAVED, DateRelation.BEFORE, DAY)),
        (b"SAVEDATESUPPORTED", AllKey()),
        (b"FILTER On-The-Road", FilterKey("on-the-road")),
        (b"SAVEDON 1-Feb-1994", DateKey(DateField.SAVED, DateRelation.ON, DAY)),
        (b"SAVEDSINCE 1-Feb-1994", DateKey(DateField.SAVED, DateRelation.SINCE, DAY)),
        (b"SENTBEFORE 01-feb-1994", DateKey(DateField.SENT, DateRelation.BEFORE, DAY)),
        (b"SENTON 1-Feb-1994", DateKey(DateField.SENT, DateRelation.ON, DAY)),
        (b"SENTSINCE 1-Feb-1994", DateKey(DateField.SENT, DateRelation.SINCE, DAY)),
        (b"SINCE 1-Feb-1994", DateKey(DateField.INTERNAL, DateRelation.SINCE, DAY)),
        (b"SMALLER 1", SizeKey(SizeRelation.SMALLER, 1)),
        (b"SUBJECT {3+}\r\nx\ry", HeaderKey("subject", "x\ry")),
        (b"TEXT x", TextKey(TextScope.TEXT, "x")),
        (b"THREADID T7-12", ThreadIdKey("T7-12")),
        (b"TO x", HeaderKey("to", "x")),
        (b"UID 1:*", UidKey(SequenceSet.parse(b"1:*"))),
        (b"UNANSWERED", FlagKey("\\Answered", present=False)),
        (b"UNDELETED", FlagKey("\\Deleted", present=False)),
        (b"UNDRAFT", FlagKey("\\Draft", present=False)),
        (b"UNFLAGGED", FlagKey("\\Flagged", present=False)),
        (b"UNKEYWORD x", FlagKey("x", present=False)),
        (b"UNSEEN", UNSEEN),
        (b"YOUNGER 1", WithinKey(older=False, seconds=1)),
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


def test_an_unknown_charset_is_for_the_handler_to_refuse() -> None:
    assert search(b'CHARSET X-FROB TEXT "\xe9"').charset == "X-FROB"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"RETURN () ALL", EVERYTHING),
        (b"return (min max) ALL", ResultOptions(frozenset({ResultOption.MIN, ResultOption.MAX}))),
        (b"RETURN (SAVE SAVE) ALL", ResultOptions(frozenset({ResultOption.SAVE}))),
        (
            b"RETURN (COUNT PARTIAL 20:11) ALL",
            ResultOptions(frozenset({ResultOption.COUNT}), PartialRange(b"20:11", 11, 20)),
        ),
        (
            b"RETURN (PARTIAL -1:-100) ALL",
            ResultOptions(frozenset(), PartialRange(b"-1:-100", 1, 100, last=True)),
        ),
    ],
)
def test_result_options(text: bytes, result: ResultOptions) -> None:
    assert search(text).result == result


@pytest.mark.parametrize(
    ("wire", "places"),
    [
        (b"1:3", [1, 2, 3]),
        (b"8:12", [8, 9, 10]),
        (b"11:12", []),
        (b"-1:-3", [8, 9, 10]),
        (b"-9:-12", [1, 2]),
        (b"-11:-12", []),
    ],
)
def test_partial_ranges(wire: bytes, places: list[int]) -> None:
    partial = parse_partial_range(Cursor(wire, 0, Limits()))
    assert list(range(1, 11))[partial.slice_of(10)] == places


def test_what_was_saved() -> None:
    assert search(b"$ SMALLER 4096").program == AndKey(
        (SequenceKey(SAVED_RESULT), SizeKey(SizeRelation.SMALLER, 4096))
    )
    assert search(b"UID $").program == UidKey(SAVED_RESULT)


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
        b"RETURN ALL",
        b"RETURN (ALL)",
        b"RETURN (ALL FROB) ALL",
        b"RETURN (PARTIAL) ALL",
        b"RETURN (PARTIAL 1:*) ALL",
        b"RETURN (PARTIAL 0:1) ALL",
        b"RETURN (PARTIAL -1:1) ALL",
        b"RETURN (PARTIAL 1:4294967296) ALL",
        b"RETURN (PARTIAL 1:10 ALL) ALL",
        b"RETURN (PARTIAL 1:10 PARTIAL 1:10) ALL",
        b"$,1",
        b"OLDER 0",
        b"OLDER 4294967296",
        b"YOUNGER x",
        b"FUZZY",
        b"EMAILID",
        b"RETURN (RELEVANCY) SUBJECT x",
        b"FUZZY " * 101 + b"SEEN",
        b"$Junk",
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
