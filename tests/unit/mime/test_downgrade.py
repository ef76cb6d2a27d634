"""What readers see who know ASCII headers alone (RFC 6857)."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime.downgrade import Downgrade, downgrade_header
from postroom_mime.parameters import decode_param, parse_disposition
from postroom_mime.words import decode_words

MESSAGE = """\
From: Jörg <jörg@example.org>
Subject: Grüße
Content-Type: multipart/mixed; boundary="one"

Not a part: ä
--one
Content-Type: multipart/alternative; boundary="two"

--two
Content-Disposition: attachment; filename="größer.txt"

Subject: ä stays, as this is a body
--two--
--one
Content-Type: message/global

Subject: ü

body ü
--one--
Subject: ä stays
""".replace("\n", "\r\n").encode()

SEEN = """\
From: =?utf-8?b?SsO2cmcgPGrDtnJnQGV4YW1wbGUub3JnPg==?= :;
Subject: =?utf-8?b?R3LDvMOfZQ==?=
Content-Type: multipart/mixed; boundary="one"

Not a part: ä
--one
Content-Type: multipart/alternative; boundary="two"

--two
Content-Disposition: attachment;
 filename*=utf-8''gr%C3%B6%C3%9Fer.txt

Subject: ä stays, as this is a body
--two--
--one
Content-Type: message/global

Subject: =?utf-8?b?w7w=?=

body ü
--one--
Subject: ä stays
""".replace("\n", "\r\n").encode()


def downgrade(*pieces: bytes) -> bytes:
    passing = Downgrade()
    return b"".join(passing.feed(piece) for piece in pieces) + passing.end()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 100, 10_000])
def test_headers_are_rewritten_at_every_level_however_the_message_arrives(size: int) -> None:
    pieces = [MESSAGE[start : start + size] for start in range(0, len(MESSAGE), size)]
    assert downgrade(*pieces) == SEEN


@pytest.mark.parametrize(
    ("field", "seen"),
    [
        ("Subject: plain", "Subject: plain"),
        ("To: Zoë <zoe@example.org>", "To: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>"),
        ("To: ann@bücher.example", "To: ann@xn--bcher-kva.example"),
        ("To: ä@example.org", "To: =?utf-8?b?PMOkQGV4YW1wbGUub3JnPg==?= :;"),
        (
            'Cc: "B, C" <b@example.org>, ä <a@example.org>',
            'Cc: "B, C" <b@example.org>,\n =?utf-8?b?w6Q=?= <a@example.org>',
        ),
        (
            "Cc: Group: a@example.org, ä@example.org;, b@example.org",
            "Cc: Group: a@example.org;,\n =?utf-8?b?PMOkQGV4YW1wbGUub3JnPg==?= :;,\n b@example.org",
        ),
        ("Message-ID: <ä@x>", "Downgraded-Message-ID: =?utf-8?b?PMOkQHg+?="),
        ("Received: by ä", "Downgraded-Received: =?utf-8?b?Ynkgw6Q=?="),
        ("X-Any: früher", "X-Any: =?utf-8?q?fr=C3=BCher?="),
        ('Content-Type: a/b; name="ä"; x=y', "Content-Type: a/b;\n name*=utf-8''%C3%A4;\n x=\"y\""),
        ("ä: a field name is ASCII", "ä: a field name is ASCII"),
    ],
)
def test_a_field(field: str, seen: str) -> None:
    header = f"{field}\r\n\r\n".encode()
    assert downgrade_header(header).decode() == seen.replace("\n", "\r\n") + "\r\n\r\n"


def test_octets_that_are_no_utf_8_stay() -> None:
    header = b"Subject: caf\xe9\r\nTo: \xc3\xa9 <e@example.org>\r\n\r\n"
    assert downgrade_header(header).startswith(b"Subject: caf\xe9\r\nTo: =?utf-8?")


def test_a_long_subject_is_folded_and_reads_the_same() -> None:
    subject = "Überlänge " * 40
    seen = downgrade_header(f"Subject: {subject}\r\n\r\n".encode())
    assert max(map(len, seen.split(b"\r\n"))) <= 76
    assert decode_words(seen.partition(b": ")[2].replace(b"\r\n", b"")) == subject.strip()


def test_a_long_parameter_is_continued_and_reads_the_same() -> None:
    name = "Überlänge" * 40 + ".txt"
    seen = downgrade_header(f'Content-Disposition: inline; filename="{name}"\r\n\r\n'.encode())
    assert max(map(len, seen.split(b"\r\n"))) <= 110
    parsed = parse_disposition(seen.partition(b": ")[2].replace(b"\r\n", b""))
    assert parsed is not None
    assert decode_param(parsed[1], "filename") == name


def test_another_reader_understands_it() -> None:
    parsed = message_from_bytes(downgrade(MESSAGE), policy=SMTP)
    assert parsed["Subject"] == "Grüße"
    assert [part.get_filename() for part in parsed.walk() if part.get_filename()] == ["größer.txt"]


def test_a_header_that_is_too_large_stays_and_little_is_held_back() -> None:
    passing = Downgrade()
    line = "X-Ä: ä\r\n".encode() * 1000
    sent = b"".join(passing.feed(line) for _ in range(100))
    assert len(sent) > 60 * len(line)
    assert sent + passing.end() == line * 100


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_pass(data: bytes, size: int) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert downgrade(*pieces) == downgrade(data)
    if data.isascii():
        assert downgrade(data) == data


@given(
    st.lists(
        st.sampled_from(
            [b"--one", b"--one--", b"--", b"-", b"\r\n", b"\n", b"\xc3\xa4", b"a: \xc3\xa4", b" "]
        )
    ),
    st.integers(1, 20),
)
def test_any_parts_pass(words: list[bytes], size: int) -> None:
    data = b'Content-Type: multipart/mixed; boundary="one"\r\n\r\n' + b"".join(words)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert downgrade(*pieces) == downgrade(data)
