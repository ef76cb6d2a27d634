"""Arguments of GETMETADATA and SETMETADATA."""

import pytest
from postroom_imap.protocol.commands import GetMetadata, SetMetadata
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.responses.metadata import (
    changed_metadata_response,
    metadata_response,
)

from tests.unit.imap.wire import command_of

BOTH = ("/shared/comment", "/private/comment")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (b'"INBOX" (/shared/comment /private/comment)', GetMetadata("INBOX", BOTH)),
        (b'(MAXSIZE 1024) "INBOX" /shared/comment', GetMetadata("INBOX", BOTH[:1], 0, 1024)),
        # As the examples of RFC 5464 have it, unlike its grammar.
        (b'inbox (MAXSIZE 1024) ("/Shared/comment")', GetMetadata("INBOX", BOTH[:1], 0, 1024)),
        (b"inbox (DEPTH 1) (/private/filters)", GetMetadata("INBOX", ("/private/filters",), 1)),
        (
            b'(depth INFINITY) "" (/private "/shared")',
            GetMetadata("", ("/private", "/shared"), None),
        ),
        (b"x (/shared/a /shared/A)", GetMetadata("x", ("/shared/a",))),
    ],
)
def test_get(arguments: bytes, command: GetMetadata) -> None:
    assert command_of(b"a GETMETADATA %b\r\n" % arguments) == command


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (b'(/private/comment "My comment")', (("/private/comment", b"My comment"),)),
        (b"(/private/comment NIL)", (("/private/comment", None),)),
        (b'(/private/comment "NIL")', (("/private/comment", b"NIL"),)),
        (b"(/shared/x {3+}\r\na\r\n)", (("/shared/x", b"a\r\n"),)),
        (b"(/shared/x ~{3+}\r\na\0\xff)", (("/shared/x", b"a\0\xff"),)),
        (
            b'(/shared/vendor/v/x "1" /private/X "2")',
            (("/shared/vendor/v/x", b"1"), ("/private/x", b"2")),
        ),
    ],
)
def test_set(arguments: bytes, values: tuple[tuple[str, bytes | None], ...]) -> None:
    command = command_of(b"a SETMETADATA INBOX %b\r\n" % arguments)
    assert command == SetMetadata("INBOX", values)


@pytest.mark.parametrize(
    "line",
    [
        b"GETMETADATA x",
        b"GETMETADATA x /other/x",
        b"GETMETADATA x /shared/x/",
        b"GETMETADATA x /shared//x",
        b"GETMETADATA x shared",
        b'GETMETADATA x "/shared/a*"',
        b'GETMETADATA x "/shared/%"',
        b'GETMETADATA x "/shared/\xc3\xa4"',
        b"GETMETADATA (DEPTH 2) x /shared/x",
        b"GETMETADATA (DEPTH) x /shared/x",
        b"GETMETADATA (MAXSIZE x) x /shared/x",
        b"GETMETADATA (FROB 1) x /shared/x",
        b"SETMETADATA x (/private NIL)",
        b"SETMETADATA x (/private/vendor/x NIL)",
        b"SETMETADATA x (/private/x)",
        b"SETMETADATA x ()",
        b"SETMETADATA x /private/x NIL",
        b"SETMETADATA x (/private/x {1+}\r\n\0)",
        b"SETMETADATA x (/private/x y)",
    ],
)
def test_what_can_t_be(line: bytes) -> None:
    assert isinstance(command_of(b"a " + line + b"\r\n"), InvalidCommand)


def test_responses() -> None:
    values = [
        ("/shared/a", None),
        ("/private/b c", b'"'),
        ("/private/d", b"\0"),
        ("/private/e", b""),
    ]
    assert metadata_response("", values, utf8=False) == (
        b'* METADATA "" (/shared/a NIL "/private/b c" "\\"" '
        b'/private/d ~{1}\r\n\0 /private/e "")\r\n'
    )
    changed = changed_metadata_response(
        "INBOX", ["/shared/comment", "/private/comment"], utf8=False
    )
    assert changed == b"* METADATA INBOX /shared/comment /private/comment\r\n"
