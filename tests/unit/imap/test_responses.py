"""Responses as they go on the wire."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_imap.protocol.commands import (
    BodySection,
    Fetch,
    FetchAttribute,
    FetchItem,
    StatusItem,
)
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.flag import ANY_KEYWORD, SYSTEM_FLAGS
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.responses import codes, mailboxes, messages, searching, status, strings
from postroom_imap.protocol.sequence_set import SequenceSet

from tests.unit.imap.wire import command_of


def items_of(text: bytes) -> tuple[FetchItem, ...]:
    command = command_of(b"a FETCH 1 %b\r\n" % text)
    assert isinstance(command, Fetch)
    return command.items.items


class TestStrings:
    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            (b"", b'""'),
            (b"abc", b"abc"),
            (b"a]b", b"a]b"),
            (b"a b", b'"a b"'),
            (b'a"\\', b'"a\\"\\\\"'),
            (b"nil", b'"nil"'),
            (b"(x)", b'"(x)"'),
            (b"a\r\nb", b"{4}\r\na\r\nb"),
            (b"\xe9", b"{1}\r\n\xe9"),
            (b"x " * 600, b"{1200}\r\n" + b"x " * 600),
        ],
    )
    def test_astring(self, value: bytes, wire: bytes) -> None:
        assert strings.astring(value) == wire

    def test_nstring(self) -> None:
        assert strings.nstring(None) == b"NIL"
        assert strings.nstring(b"NIL") == b'"NIL"'

    @given(st.binary().filter(lambda value: b"\0" not in value))
    def test_what_is_written_can_be_read(self, value: bytes) -> None:
        for write, read in (
            (strings.astring, Cursor.astring),
            (strings.string, Cursor.string),
            (strings.literal, Cursor.string),
            (strings.nstring, Cursor.nstring),
        ):
            cursor = Cursor(write(value), 0, Limits())
            assert read(cursor) == value
            assert cursor.at_end()

    @given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.booleans())
    def test_mailbox_names_can_be_read(self, name: str, utf8: bool) -> None:
        wire = strings.mailbox("x" + name, utf8)
        assert Cursor(wire, 0, Limits(utf8_names=utf8)).mailbox() == normalize("NFC", "x" + name)

    def test_announcement(self) -> None:
        assert strings.literal_announcement(5) + b"12345" == strings.literal(b"12345")

    def test_flags(self) -> None:
        assert strings.flag_list([]) == b"()"
        assert strings.flag_list(["\\Seen", "$Fwd"]) == b"(\\Seen $Fwd)"


class TestStatus:
    def test_tagged(self) -> None:
        assert status.ok(b"a", "done") == b"a OK done\r\n"
        assert status.no(b"a", "none", codes.NONEXISTENT) == b"a NO [NONEXISTENT] none\r\n"
        assert status.bad(b"a", "what") == b"a BAD what\r\n"

    def test_untagged(self) -> None:
        assert status.untagged_ok("ready", b"ALERT") == b"* OK [ALERT] ready\r\n"
        assert status.untagged_no("warning") == b"* NO warning\r\n"
        assert status.untagged_bad("what") == b"* BAD what\r\n"
        assert status.bye("later") == b"* BYE later\r\n"
        assert status.preauth("hello") == b"* PREAUTH hello\r\n"

    def test_continuations(self) -> None:
        assert status.continuation("idling") == b"+ idling\r\n"
        assert status.sasl_challenge(b"") == b"+ \r\n"
        assert status.sasl_challenge(b"x" * 90) == b"+ " + b"eHh4" * 30 + b"\r\n"

    def test_capabilities(self) -> None:
        assert status.capability(["IMAP4rev1", "IDLE"]) == b"* CAPABILITY IMAP4rev1 IDLE\r\n"
        assert status.enabled(["CONDSTORE"]) == b"* ENABLED CONDSTORE\r\n"
        assert status.enabled([]) == b"* ENABLED\r\n"


class TestCodes:
    @pytest.mark.parametrize(
        ("code", "wire"),
        [
            (codes.capability(["IMAP4rev1", "ID"]), b"CAPABILITY IMAP4rev1 ID"),
            (codes.permanent_flags(["\\Seen", ANY_KEYWORD]), b"PERMANENTFLAGS (\\Seen \\*)"),
            (codes.uid_next(4392), b"UIDNEXT 4392"),
            (codes.uid_validity(3857529045), b"UIDVALIDITY 3857529045"),
            (codes.unseen(12), b"UNSEEN 12"),
            # RFC 4315 section 3
            (codes.append_uid(38505, SequenceSet.of([3955])), b"APPENDUID 38505 3955"),
            (
                codes.copy_uid(38505, [304, 319, 320], [3956, 3957, 3958]),
                b"COPYUID 38505 304,319:320 3956:3958",
            ),
            (codes.copy_uid(1, [5, 3, 4], [1, 2, 3]), b"COPYUID 1 5,3:4 1:3"),
        ],
    )
    def test_with_values(self, code: bytes, wire: bytes) -> None:
        assert code == wire


class TestMailboxes:
    def test_list(self) -> None:
        line = mailboxes.list_response("Entwürfe", ["\\HasNoChildren", "\\Drafts"], utf8=False)
        assert line == b'* LIST (\\HasNoChildren \\Drafts) "/" Entw&APw-rfe\r\n'
        assert mailboxes.list_response("a b", utf8=False) == b'* LIST () "/" "a b"\r\n'
        assert mailboxes.lsub_response("INBOX", utf8=False) == b'* LSUB () "/" INBOX\r\n'
        assert mailboxes.delimiter_response() == b'* LIST (\\Noselect) "/" ""\r\n'
        assert mailboxes.delimiter_response("LSUB") == b'* LSUB (\\Noselect) "/" ""\r\n'

    def test_status(self) -> None:
        values = {StatusItem.MESSAGES: 231, StatusItem.UIDNEXT: 44292}
        line = mailboxes.status_response("blurdybloop", values, utf8=False)
        assert line == b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n"

    def test_what_select_tells(self) -> None:
        flags = mailboxes.flags_response(SYSTEM_FLAGS)
        assert flags == b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
        assert mailboxes.exists(23) == b"* 23 EXISTS\r\n"
        assert mailboxes.recent(5) == b"* 5 RECENT\r\n"

    def test_namespace(self) -> None:
        assert mailboxes.namespace_response() == b'* NAMESPACE (("" "/")) NIL NIL\r\n'
        line = mailboxes.namespace_response(("",), ("Users/",), ("A/", "B/"))
        assert line == b'* NAMESPACE (("" "/")) (("Users/" "/")) (("A/" "/")("B/" "/"))\r\n'

    def test_id(self) -> None:
        assert mailboxes.id_response({}) == b"* ID NIL\r\n"
        line = mailboxes.id_response({"name": "Postroom", "vendor": None})
        assert line == b'* ID ("name" "Postroom" "vendor" NIL)\r\n'


class TestMessages:
    def test_template(self) -> None:
        template = messages.fetch_template((FetchAttribute.UID, FetchAttribute.FLAGS))
        rows = [(1, 7, b"(\\Seen)"), (2, 9, b"()")]
        assert b"".join([template % row for row in rows]) == (
            b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n* 2 FETCH (UID 9 FLAGS ())\r\n"
        )

    def test_template_of_every_kind(self) -> None:
        items = items_of(b"(RFC822.SIZE INTERNALDATE BODY[HEADER.FIELDS (%d)]<3.9> RFC822)"
                         .replace(b"%d", b'"%d"'))  # fmt: skip
        row = (3, 44827, b'" 1-Jan-1970 00:00:00 +0000"', b'"x"', strings.literal(b"a\r\n"))
        assert messages.fetch_template(items) % row == (
            b'* 3 FETCH (RFC822.SIZE 44827 INTERNALDATE " 1-Jan-1970 00:00:00 +0000"'
            b' BODY[HEADER.FIELDS ("%d")]<3> "x" RFC822 {3}\r\na\r\n)\r\n'
        )

    def test_parts(self) -> None:
        (section,) = items_of(b"BODY.PEEK[1]")
        assert isinstance(section, BodySection)
        parts = [messages.fetch_part(FetchAttribute.UID, b"7"), messages.fetch_part(section, b'""')]
        assert messages.fetch_response(2, parts) == b'* 2 FETCH (UID 7 BODY[1] "")\r\n'

    def test_flags(self) -> None:
        assert messages.fetch_flags(2, b"(x)") == b"* 2 FETCH (FLAGS (x))\r\n"
        assert messages.fetch_uid_flags(2, 7, b"()") == b"* 2 FETCH (UID 7 FLAGS ())\r\n"

    def test_search(self) -> None:
        assert searching.search_response([2, 84, 882]) == b"* SEARCH 2 84 882\r\n"
        assert searching.search_response([]) == b"* SEARCH\r\n"

    def test_expunge(self) -> None:
        assert messages.expunge(44) == b"* 44 EXPUNGE\r\n"
