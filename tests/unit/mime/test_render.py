import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import body, bodystructure, envelope, limits, nstring, scan

from tests.harness.corpus import bare_line_breaks, corpus, with_nul
from tests.unit.mime.examples import (
    RFC_2046_MULTIPART,
    RFC_3501_ENVELOPE,
    RFC_3501_HEADER,
    crlf,
)
from tests.unit.mime.strategies import MESSAGES, SCRAPS

ODD = corpus() | bare_line_breaks() | with_nul()

Node = bytes | int | None | list["Node"]


def read_imap(text: bytes) -> Node:
    """Read one value as a client does; fail on what the grammar has not (RFC 3501 section 9)."""
    node, position = _read(text, 0)
    assert position == len(text)
    return node


def _read(text: bytes, position: int) -> tuple[Node, int]:
    if text.startswith(b"(", position):
        return _read_list(text, position + 1)
    if literal := re.compile(rb"\{(\d+)\}\r\n").match(text, position):
        end = literal.end() + int(literal[1])
        assert b"\0" not in text[literal.end() : end]
        return text[literal.end() : end], end
    quoted = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*)"')
    if string := quoted.match(text, position):
        return re.sub(rb"\\(.)", rb"\1", string[1]), string.end()
    atom = re.compile(rb"NIL|\d+").match(text, position)
    assert atom is not None
    return (None if atom[0] == b"NIL" else int(atom[0])), atom.end()


def _read_list(text: bytes, position: int) -> tuple[Node, int]:
    nodes: list[Node] = []
    while not text.startswith(b")", position):
        # Only addresses and the bodies of a multipart follow each other without a space.
        if nodes and not (isinstance(nodes[-1], list) and text.startswith(b"(", position)):
            assert text.startswith(b" ", position)
            position += 1
        node, position = _read(text, position)
        nodes.append(node)
    return nodes, position + 1


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (None, b"NIL"),
        (b"", b'""'),
        (b"NIL", b'"NIL"'),
        (b"a b", b'"a b"'),
        (b'a "b" \\c', b'"a \\"b\\" \\\\c"'),
        (b"tab\tbell\a", b'"tab\tbell\a"'),
        (b"a\0b", b'"ab"'),
        ("ä".encode(), b"{2}\r\n\xc3\xa4"),
        (b"\xff\0", b"{1}\r\n\xff"),
        (b"a\rb", b"{3}\r\na\rb"),
        (b"a\nb", b"{3}\r\na\nb"),
    ],
)
def test_nstring(value: bytes | None, rendered: bytes) -> None:
    assert nstring(value) == rendered


def test_long_strings_are_literals() -> None:
    assert nstring(b"x" * limits.QUOTED_BYTES).startswith(b'"')
    assert nstring(b"x" * (limits.QUOTED_BYTES + 1)).startswith(b"{4097}\r\n")


@given(st.binary(max_size=60))
def test_strings_are_read_back(value: bytes) -> None:
    assert read_imap(nstring(value)) == value.replace(b"\0", b"")


def test_the_envelope_of_rfc_3501() -> None:
    assert envelope(RFC_3501_HEADER) == RFC_3501_ENVELOPE


def test_the_body_of_rfc_3501() -> None:
    raw = RFC_3501_HEADER + b"x" * 76 + b"\r\n" * 92
    assert body(raw, scan(raw)) == (
        b'("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 260 92)'
    )


def addresses_of(rendered: bytes, position: int) -> Node:
    fields = read_imap(rendered)
    assert isinstance(fields, list)
    assert len(fields) == 10
    return fields[position]


@pytest.mark.parametrize(
    ("header", "position", "node"),
    [
        ("", 2, None),
        ("From:\n", 2, None),
        ("Subject:\n", 1, b""),
        ("Date:  a\n b \n", 0, b"a b"),
        ("Subject: =?utf-8?Q?=C3=A4?=\n", 1, b"=?utf-8?Q?=C3=A4?="),
        ("In-Reply-To: <a@b>\n <c@d>\n", 8, b"<a@b> <c@d>"),
        ("From: a@b\nSender:\n", 3, [[None, None, b"a", b"b"]]),
        ("From: a@b\nSender: c@d\n", 3, [[None, None, b"c", b"d"]]),
        ("From: a@b\nReply-To: ,\n", 4, [[None, None, b"a", b"b"]]),
        ("To: A <@r:b@c>\n", 5, [[b"A", b"@r", b"b", b"c"]]),
        ("To: lonely\n", 5, [[None, None, b"lonely", b""]]),
        (
            "Cc: G: a@b, c@d;, e@f\n",
            6,
            [
                [None, None, b"G", None],
                [None, None, b"a", b"b"],
                [None, None, b"c", b"d"],
                [None, None, None, None],
                [None, None, b"e", b"f"],
            ],
        ),
        ("Bcc: none:;\n", 7, [[None, None, b"none", None], [None, None, None, None]]),
    ],
)
def test_envelope_fields(header: str, position: int, node: Node) -> None:
    assert addresses_of(envelope(crlf(header + "\n")), position) == node


def test_bodystructure_of_a_multipart() -> None:
    message = scan(RFC_2046_MULTIPART)
    plain = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit"'
    assert body(RFC_2046_MULTIPART, message) == (
        b"((" + plain + b" 80 1)(" + plain + b' 78 2) "mixed")'
    )
    assert bodystructure(RFC_2046_MULTIPART, message) == (
        b"((" + plain + b" 80 1 NIL NIL NIL NIL)(" + plain + b" 78 2 NIL NIL NIL NIL)"
        b' "mixed" ("boundary" "simple boundary") NIL NIL NIL)'
    )


def test_extension_data() -> None:
    raw = crlf(
        'Content-Type: image/png; name="a \\"b\\".png"\nContent-ID: <i@x>\n'
        "Content-Description: d\nContent-Transfer-Encoding: BASE64\nContent-MD5: abc\n"
        "Content-Disposition: INLINE; filename=x\nContent-Language: en\nContent-Location: l\n\nxx"
    )
    message = scan(raw)
    assert bodystructure(raw, message) == (
        b'("image" "png" ("name" "a \\"b\\".png") "<i@x>" "d" "base64" 2'
        b' "abc" ("inline" ("filename" "x")) ("en") "l")'
    )
    assert body(raw, message) == (
        b'("image" "png" ("name" "a \\"b\\".png") "<i@x>" "d" "base64" 2)'
    )


def test_a_nested_message_has_envelope_and_body() -> None:
    raw = crlf("Content-Type: message/rfc822\n\nSubject: in\nFrom: a@b\n\nx\n")
    address = b'((NIL NIL "a" "b"))'
    inner = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'
    assert body(raw, scan(raw)) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 29'
        b' (NIL "in" ' + b" ".join([address] * 3) + b" NIL NIL NIL NIL NIL) " + inner + b" 4)"
    )


@pytest.mark.parametrize(
    ("content", "rendered"),
    [
        ("multipart/mixed", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'),
        (
            "message/rfc822\nContent-Transfer-Encoding: base64",
            b'("application" "octet-stream" NIL NIL NIL "base64" 3)',
        ),
        ("message/delivery-status", b'("message" "delivery-status" NIL NIL NIL "7bit" 3)'),
        ("text/html", b'("text" "html" NIL NIL NIL "7bit" 3 1)'),
    ],
)
def test_leaves(content: str, rendered: bytes) -> None:
    raw = crlf(f"Content-Type: {content}\n\nx\n")
    assert body(raw, scan(raw)) == rendered


def check_grammar(raw: bytes) -> None:
    message = scan(raw)
    header = raw[: message.root.body_start]
    assert len(read_imap(envelope(header)) or []) == 10  # type: ignore[arg-type]
    read_imap(body(raw, message))
    read_imap(bodystructure(raw, message))


@pytest.mark.parametrize("name", ODD)
def test_the_odd_messages_obey_the_grammar(name: str) -> None:
    check_grammar(ODD[name])


@given(SCRAPS | MESSAGES | st.binary(max_size=200))
def test_anything_obeys_the_grammar(raw: bytes) -> None:
    check_grammar(raw)
