"""Messages converted for transports that take less than they have (RFC 6152, RFC 3030)."""

from __future__ import annotations

import re
import time
from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from postroom_mime import decode_pieces, scan
from postroom_mime.conversion import Conversion, Domain, Survey, Unconvertible
from postroom_mime.structure import Part

from tests.unit.mime.examples import crlf
from tests.unit.mime.fuzz import mutants
from tests.unit.mime.strategies import MESSAGES, SCRAPS

SEVEN, EIGHT = Domain.SEVEN_BIT, Domain.EIGHT_BIT


def convert(raw: bytes, domain: Domain = SEVEN, size: int = 0) -> bytes:
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)] if size else [raw]
    survey = Survey(domain)
    for piece in pieces:
        survey.feed(piece)
    conversion = Conversion(survey.end())
    return b"".join(map(conversion.feed, pieces)) + conversion.end()


# What becomes of leaves.

MESSAGE = """\
From: ann@example.org
Subject: hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=one
Content-Transfer-Encoding: 8bit

--one
Content-Transfer-Encoding: 8bit
Content-Type: text/plain; charset=utf-8

Grüße = 1 \nund mehr, was niemanden verwundert
--one
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding:
 8bit
Content-Disposition: inline

Всего хорошего!
--one
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

MIME-Version: 1.0
Subject: within

Tschüß, und auf ein baldiges Wiedersehen
--one
Content-Type: text/plain

plain
--one--
"""

SEEN = """\
From: ann@example.org
Subject: hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=one
Content-Transfer-Encoding: 7bit

--one
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe =3D 1=20\nund mehr, was niemanden verwundert
--one
Content-Type: text/plain; charset=utf-8
Content-Disposition: inline
Content-Transfer-Encoding: base64

0JLRgdC10LPQviDRhdC+0YDQvtGI0LXQs9C+IQ==
--one
Content-Type: message/rfc822
Content-Transfer-Encoding: 7bit

MIME-Version: 1.0
Subject: within
Content-Transfer-Encoding: quoted-printable

Tsch=C3=BC=C3=9F, und auf ein baldiges Wiedersehen
--one
Content-Type: text/plain

plain
--one--
"""


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 50])
def test_each_leaf_gets_an_encoding_however_the_message_arrives(size: int) -> None:
    assert convert(crlf(MESSAGE), size=size) == crlf(SEEN)


def test_a_transport_that_takes_eight_bits_has_what_is_binary_encoded_alone() -> None:
    raw = crlf(
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
        "Content-Transfer-Encoding: binary\n\n--b\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: binary\n\nGrüße\n--b\n"
        "Content-Type: image/png\nContent-Transfer-Encoding: binary\n\n@\n--b--\n"
    )
    binary = b"\x89PNG\r\n\x1a\n\0\xff" + b"x" * 1_000
    seen = convert(raw.replace(b"@", binary), EIGHT)
    expected = raw.replace(b"image/png\r\nContent-Transfer-Encoding: binary", b"@@").replace(
        b"binary", b"8bit"
    )
    expected = expected.replace(b"@@", b"image/png\r\nContent-Transfer-Encoding: base64")
    assert re.sub(rb"iVBOR[A-Za-z0-9+/=\r\n]*=", b"@", seen) == expected
    assert leaves(seen)[1] == binary


@pytest.mark.parametrize(
    ("body", "domain", "encoding"),
    [
        (b"\xfc\r\n", EIGHT, None),
        (b"plain\r\n", SEVEN, None),
        (b"plain text and one \xfc\r\n", SEVEN, "quoted-printable"),
        (b"\xfc\xfc\xfc\xfc\r\n", SEVEN, "base64"),
        (b"a\0b\r\n", SEVEN, "base64"),
        (b"a\0b\r\n", EIGHT, "base64"),
        (b"a\nb\r\n", EIGHT, "base64"),
        (b"a\rb\r\n", EIGHT, "base64"),
        (b"a\r", EIGHT, "base64"),
        (b"a" * 998 + b"\r\n", EIGHT, None),
        (b"a" * 998, EIGHT, None),
        (b"a" * 999 + b"\r\n", EIGHT, "base64"),
        (b"a" * 999, EIGHT, "base64"),
        (b"\r\n" + b"a" * 500 + b"\r\n" + b"a" * 999 + b"\r\n", EIGHT, "base64"),
        ((b"a" * 998 + b"\r\n") * 3, EIGHT, None),
        (b"a" * 5_000, SEVEN, "base64"),
    ],
)
@pytest.mark.parametrize("named", ["7bit", "8bit", "binary"])
def test_the_octets_count_and_not_what_is_said_of_them(
    body: bytes, domain: Domain, encoding: str | None, named: str
) -> None:
    header = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: " + named.encode() + b"\r\n\r\n"
    raw = header + body
    seen = scan(convert(raw, domain)).root
    allowed = {SEVEN: ["7bit"], EIGHT: ["7bit", "8bit"]}[domain]
    assert seen.encoding == encoding or (encoding is None and seen.encoding in allowed)
    assert leaves(convert(raw, domain)) == [body]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoding_that_is_broken_is_put_on_anew(encoding: str) -> None:
    raw = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n"
    raw += b"SGVs\xffbG8=\r\n"
    seen = convert(raw)
    assert scan(seen).root.encoding == "base64"
    assert leaves(seen) == leaves(raw)
    whole = raw.replace(b"\xff", b"")
    assert convert(whole) == whole
    one_line = raw.replace(b"\xff", b"bG8" * 600)
    assert leaves(convert(one_line)) == leaves(one_line)


def test_a_message_that_says_nothing_of_mime_says_it_then() -> None:
    assert convert(crlf("Subject: x\n\nGrüße aus der Ferne\n")) == crlf(
        "Subject: x\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n"
        "Gr=C3=BC=C3=9Fe aus der Ferne\n"
    )
    assert convert(crlf("\nGrüße\n")).startswith(b"MIME-Version: 1.0\r\nContent-Transfer")
    plain = crlf("Subject: x\n\nplain\n")
    assert convert(plain) == plain


def test_of_a_message_within_it_is_said_there() -> None:
    seen = convert(crlf("Content-Type: message/rfc822\n\nSubject: x\n\nGrüße\n"))
    assert seen.startswith(crlf("Content-Type: message/rfc822\n\nSubject: x\nMIME-Version: 1.0\n"))


def test_what_stands_round_parts_is_left_out_where_it_can_not_be_sent() -> None:
    raw = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n@\n--b\n\nä\n--b--\n@\n"
    seen = convert(crlf(raw.replace("@", "für niemand")))
    assert seen.endswith(b"--b--\r\n")
    assert b"\r\n\r\n\r\n--b\r\n" in seen
    assert convert(crlf(raw.replace("@", "for nobody"))).count(b"for nobody") == 2


def test_an_internationalised_message_within_is_encoded_whole() -> None:
    """RFC 6532 section 3.7."""
    raw = crlf(
        "MIME-Version: 1.0\nContent-Type: message/global\n\nSubject: Grüße, Ann\n\nand much text\n"
    )
    seen = convert(raw)
    assert scan(seen).root.encoding == "quoted-printable"
    assert leaves(seen) == [crlf("Subject: Grüße, Ann\n\nand much text\n")]


def test_no_encoding_makes_a_delimiter() -> None:
    """Neither by a line break nor by an escape."""
    header = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary={}\n\n--{}\n\n"
    broken = crlf(header.format('"bb"', "bb") + "ä" + "x" * 69 + "--bb\n--bb--\n")
    assert b"=\r\n=2D-bb\r\n--bb--" in convert(broken)
    escaped = crlf(header.format('"b=3D"', "b=3D") + "ä, and much else\n--b=\n--b=3D--\n")
    assert b"\r\n=2D-b=3D\r\n--b=3D--" in convert(escaped)
    for raw in (broken, escaped):
        assert leaves(convert(raw)) == leaves(raw)


# What can't be converted.

SIGNED = """\
MIME-Version: 1.0
Content-Type: multipart/signed; boundary=b; micalg=pgp-sha256;
 protocol="application/pgp-signature"
Content-Transfer-Encoding: 8bit

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

@
--b
Content-Type: application/pgp-signature

signature
--b--
"""
MIXED = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\nä\n--o\n"


def test_what_is_signed_stays_as_it_is_where_others_are_converted() -> None:
    signed = SIGNED.removeprefix("MIME-Version: 1.0\n").replace("@", "hello")
    seen = convert(crlf(MIXED + signed + "--o--\n"))
    # What is said of the whole isn't signed.
    assert crlf(signed).replace(b"Encoding: 8bit", b"Encoding: 7bit", 1)[-200:] in seen
    assert b"\r\n\r\n=C3=A4\r\n" in seen or b"w6Q=" in seen


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (SIGNED.replace("@", "Grüße"), "signed"),
        (MIXED + SIGNED.replace("@", "Grüße") + "--o--\n", "signed"),
        (SIGNED.replace("@", "hello").replace("\n--b\n", "\nGrüße\n--b\n", 1), "signed"),
        (SIGNED.replace("@", "hello").replace("signature\n-", "ä\n-"), "signed"),
        ("Subject: Grüße\n\ntext\n", "header"),
        ("Subject: x\n\nNo: ä".replace("\n\n", "\n"), "header"),
        ("Subject: a\rb\n\nä\n", "header"),
        ("Subject: a\0b\n\nä\n", "header"),
        (MIXED + "Subject: ä\n\n--o--\n", "header"),
        ("Content-Type: message/rfc822\n\nSubject: ä\n\n", "header"),
        ("Content-Type: message/partial; id=a; number=1; total=2\n\nä\n", "partial"),
        ("Content-Type: message/external-body; access-type=x\n\nContent-ID: ä\n", "external"),
        ("Content-Type: message/delivery-status\n\nStatus: ä\n", "delivery-status"),
        ("Content-Type: multipart/mixed\n\nä\n", "no parts"),
        ("Content-Type: multipart/mixed; boundary=b\n\nä\n", "no parts"),
        ("Content-Transfer-Encoding: x-uuencode\n\nä\n", "isn't known"),
        ("Content-Type: multipart/mixed; boundary*=x''%E4\n\n--\xe4\n\nä\n", "header"),
        ("Subject: " + "x" * 300_000 + "\n\nä\n", "too long"),
    ],
)
def test_what_can_not_be_converted(raw: str, why: str) -> None:
    octets = raw.replace("\n", "\r\n").replace("--\xe4", "\udce4").encode(errors="surrogateescape")
    with pytest.raises(Unconvertible, match=why):
        convert(octets.replace(b"\r\n\xe4", b"\r\n--\xe4"))


def test_a_delimiter_with_a_bare_newline_is_not_guessed_at() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\n\r\n\xe4\r\n--b--\r\n"
    with pytest.raises(Unconvertible):
        convert(raw, EIGHT)


def test_a_header_may_have_eight_bits_where_they_are_taken() -> None:
    raw = "Subject: Grüße\r\n\r\n\0".encode()
    assert convert(raw, EIGHT).startswith("Subject: Grüße\r\n".encode())


# What holds for all.


def leaves(raw: bytes) -> list[bytes]:
    """What the leaves are, their encodings taken off."""
    return [_decoded(raw, part) for part in scan(raw).walk() if _is_leaf(part)]


def _is_leaf(part: Part) -> bool:
    return part.type != "multipart" and (not part.children or part.subtype == "global")


def _decoded(raw: bytes, part: Part) -> bytes:
    return b"".join(decode_pieces(raw[part.body_start : part.body_end], part.encoding))


def bodies(raw: bytes) -> list[bytes]:
    """All that isn't header."""
    parts = list(scan(raw).walk())
    return [raw[part.body_start : part.body_end] for part in parts if not part.children]


def check(raw: bytes, domain: Domain, size: int = 0) -> bool:
    """Whether it was converted."""
    try:
        seen = convert(raw, domain)
    except Unconvertible:
        return False
    assert convert(raw, domain, size) == seen
    assert convert(seen, domain) == seen
    if domain is SEVEN:
        assert seen.isascii()
    assert b"\0" not in seen
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", seen)
    for body in bodies(seen):
        assert all(len(line) <= 998 for line in body.split(b"\r\n"))
    if not any(part.subtype == "global" for part in scan(raw).walk()):
        assert leaves(seen) == leaves(raw)
    return True


DOMAINS = st.sampled_from(Domain)
SIZES = st.integers(1, 60) | st.just(5_000)

_OCTETS = st.lists(
    st.sampled_from(
        [
            *(b"\r\n", b"\r\n", b" ", b"\t", b".", b"=", b"-", b"--b1", b"--b1--", b"\xc3\xa4"),
            *(b"text ", b"x" * 70, b"x" * 900, b"From ", b"\xff", b"\0", b"\n", b"\r"),
        ]
    )
    | st.binary(max_size=5),
    max_size=30,
).map(b"".join)
_ENCODINGS = st.sampled_from(["", "7bit", "8bit", "binary", "base64", "quoted-printable"])
_TYPES = st.sampled_from(["", "text/plain; charset=utf-8", "image/png", "application/x"])


def _written(kind: str, encoding: str, body: bytes) -> bytes:
    fields = [f"Content-Type: {kind}"] * bool(kind)
    fields += [f"Content-Transfer-Encoding: {encoding}"] * bool(encoding)
    return "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body


@st.composite
def _multiparts(draw: st.DrawFn, parts: st.SearchStrategy[bytes]) -> bytes:
    boundary = draw(st.sampled_from([b"b1", b"b2", b"b=3D", b"b1--"]))
    around = st.sampled_from([b"", b"for nobody\r\n", b"\xff\r\n", b"x" * 1_200])
    body = draw(around)
    for part in draw(st.lists(parts, max_size=3)):
        body += b"\r\n--" + boundary + b"\r\n" + part
    if draw(st.booleans()):
        body += b"\r\n--" + boundary + b"--\r\n" + draw(around)
    encoding = draw(st.sampled_from(["", "8bit", "binary"]))
    return _written(f'multipart/mixed; boundary="{boundary.decode()}"', encoding, body)


@st.composite
def _within(draw: st.DrawFn, parts: st.SearchStrategy[bytes]) -> bytes:
    return _written("message/rfc822", draw(st.sampled_from(["", "8bit", "binary"])), draw(parts))


_PARTS = st.recursive(
    st.builds(_written, _TYPES, _ENCODINGS, _OCTETS),
    lambda parts: _multiparts(parts) | _within(parts),
    max_leaves=6,
)
BINARY = st.builds(bytes.__add__, st.sampled_from([b"", b"MIME-Version: 1.0\r\n"]), _PARTS)


@given(BINARY, DOMAINS, SIZES)
@example(_written("", "8bit", b"\xff" + b"x" * 74 + b" \r\n"), SEVEN, 1)
def test_a_message_reads_the_same_and_can_be_sent(raw: bytes, domain: Domain, size: int) -> None:
    check(raw, domain, size)


@given(MESSAGES, DOMAINS, SIZES)
def test_well_formed_messages_are_converted(raw: bytes, domain: Domain, size: int) -> None:
    assert check(raw, domain, size)


@given(MESSAGES)
def test_another_reader_finds_the_same(raw: bytes) -> None:
    def read(octets: bytes) -> list[object]:
        parts = message_from_bytes(octets, policy=SMTP).walk()
        return [part.get_payload(decode=True) for part in parts if not part.is_multipart()]

    assert read(convert(raw)) == read(raw)


@given(SCRAPS, DOMAINS, SIZES)
def test_heaps_of_scraps(raw: bytes, domain: Domain, size: int) -> None:
    check(raw, domain, size)


@pytest.mark.parametrize("seed", range(4))
def test_mutants(seed: int) -> None:
    converted = sum(check(raw, SEVEN, 7) + check(raw, EIGHT, 60) for raw in mutants(300, seed))
    assert converted > 200


# Bounds.

PART = b"--b\r\nContent-Type: text/plain\r\n\r\n\xc3\xa4\r\n"
HEADER = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        HEADER + PART * 9_000,
        HEADER + PART + b"--c\r\n" * 90_000,
        HEADER + PART + b"-" * 4_000_000,
        HEADER + PART + b"\r\n" * 2_000_000,
        HEADER + PART + b"\n" * 4_000_000,
        HEADER + PART + b"=" * 4_000_000,
        HEADER + PART + b"\r" * 4_000_000,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (each, each)
            for each in range(90)
        )
        + b"\r\n"
        + b"--c\r\n" * 90_000
        + b"\xc3\xa4\r\n" * 100_000,
        b"Content-Type: message/rfc822\r\n\r\n" * 90 + b"\r\n\xc3\xa4",
    ],
    ids=["parts", "hyphens", "a rule", "lines", "LF", "escapes", "CR", "depth", "messages"],
)
def test_time_is_bounded(raw: bytes) -> None:
    began = time.process_time()
    assert check(raw, SEVEN, 65_536)
    assert time.process_time() - began < 20


def test_messages_within_messages() -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\n" * 9_000
    began = time.process_time()
    assert convert(raw + b"\r\n\xc3\xa4").startswith(raw)
    assert time.process_time() - began < 20


def test_little_is_held_back() -> None:
    survey = Survey(SEVEN)
    survey.feed(HEADER + PART)
    lines = "Grüße\r\n".encode() * 10_000
    for _ in range(10):
        survey.feed(lines)
    conversion = Conversion(survey.end())
    conversion.feed(HEADER + PART)
    for _ in range(10):
        assert len(conversion.feed(lines)) > len(lines)
