import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import (
    body,
    bodystructure,
    decode_structure,
    derive,
    envelope,
    scan,
)

from tests.harness.corpus import bare_line_breaks, corpus, with_nul
from tests.unit.mime.examples import RFC_2046_MULTIPART, RFC_3501_ENVELOPE, RFC_3501_HEADER, crlf
from tests.unit.mime.strategies import MESSAGES, SCRAPS

ODD = corpus() | bare_line_breaks() | with_nul()


def test_the_message_of_rfc_3501() -> None:
    derived = derive(RFC_3501_HEADER + b"Hello.\r\n")
    assert derived.size == len(RFC_3501_HEADER) + 8
    assert derived.header == RFC_3501_HEADER
    assert derived.envelope == RFC_3501_ENVELOPE
    assert derived.message_id == "B27397-0100000@cac.washington.edu"
    assert derived.references == ()
    assert derived.base_subject == "IMAP4REV1 WG MTG SUMMARY AND MINUTES"
    assert not derived.is_reply_or_forward
    assert derived.sent_at == 837_595_405
    assert (derived.from_, derived.to, derived.cc) == ("GRAY", "IMAP", "MINUTES")
    assert derived.display_from == "TERRY GRAY"
    assert derived.display_to == "IMAP@CAC.WASHINGTON.EDU"
    assert derived.preview == "Hello."
    assert not derived.has_attachment


def test_an_empty_message() -> None:
    derived = derive(b"")
    assert (derived.size, derived.header, derived.message_id) == (0, b"", None)
    assert (derived.base_subject, derived.sent_at, derived.from_) == ("", None, "")


def test_threading() -> None:
    derived = derive(
        crlf(
            "References: <a@b>\n <c@d>\nIn-Reply-To: <e@f>\nSubject: Re: [l] =?utf-8?Q?=C3=A4?=\n\n"
        )
    )
    assert derived.references == ("a@b", "c@d")
    assert derived.base_subject == "A\u0308"
    assert derived.is_reply_or_forward


@pytest.mark.parametrize(
    ("field", "mailbox", "display"),
    [
        ("", "", ""),
        (",", "", ""),
        ("a@b, c@d", "A", "A@B"),
        ('"B, C" <a@b>', "A", "B, C"),
        ("=?utf-8?Q?=C3=B6?= <a@b>", "A", "O\u0308"),
        ("a@b (Comment)", "A", "COMMENT"),
        ("lonely", "LONELY", "LONELY"),
        ("My friends: a@b;", "MY FRIENDS", "MY FRIENDS"),
    ],
)
def test_sort_keys(field: str, mailbox: str, display: str) -> None:
    derived = derive(crlf(f"From: {field}\nTo: {field}\nCc: {field}\n\n"))
    assert (derived.from_, derived.to, derived.cc) == (mailbox,) * 3
    assert (derived.display_from, derived.display_to) == (display,) * 2


@pytest.mark.parametrize(
    ("header", "has_attachment"),
    [
        ("", False),
        ("Content-Type: text/html\n", False),
        ("Content-Disposition: attachment\n", True),
        ("Content-Disposition: inline\n", False),
        ("Content-Type: text/csv; name=a.csv\n", True),
        ("Content-Type: application/pdf\n", True),
        ("Content-Type: message/rfc822\n", True),
        ("Content-Type: image/png\nContent-ID: <a@b>\n", False),
        ("Content-Type: image/png\n", True),
        ("Content-Type: application/pgp-signature; name=signature.asc\n", False),
    ],
)
def test_has_attachment(header: str, has_attachment: bool) -> None:
    inside = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n{header}\nx\n--b--\n"
    assert derive(crlf(inside)).has_attachment is has_attachment
    assert derive(crlf(header + "\nx\n")).has_attachment is has_attachment


def check(raw: bytes) -> None:
    """What `derive` gives is what its parts give, and can be stored."""
    derived = derive(raw)
    message = scan(raw)
    assert decode_structure(derived.structure) == message
    assert derived.size == len(raw)
    assert raw.startswith(derived.header)
    assert derived.envelope == envelope(derived.header)
    assert derived.body == body(raw, message)
    assert derived.bodystructure == bodystructure(raw, message)
    texts = [derived.message_id or "", derived.base_subject, derived.preview]
    texts += [derived.from_, derived.to, derived.cc, derived.display_from, derived.display_to]
    for text in [*texts, *derived.references]:
        assert "\0" not in text
        text.encode()


@pytest.mark.parametrize("name", ODD)
def test_the_odd_messages(name: str) -> None:
    check(ODD[name])


def test_rfc_2046() -> None:
    check(RFC_2046_MULTIPART)


@given(SCRAPS | MESSAGES | st.binary(max_size=300))
def test_anything(raw: bytes) -> None:
    check(raw)
