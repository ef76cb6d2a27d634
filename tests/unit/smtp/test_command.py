"""The arguments of MAIL, RCPT and AUTH."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.command import (
    POSTMASTER,
    Mail,
    SaslStart,
    parse_auth,
    parse_mail,
    parse_rcpt,
)
from postroom_smtp.protocol.path import NULL, Path
from postroom_smtp.protocol.reply import Refused

A = Path("a", "b.example")


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        ("FROM:<a@b.example>", Mail(A)),
        ("from: <a@b.example> ", Mail(A)),
        ("FROM:<>", Mail(NULL)),
        ("FROM:<a@b.example> SIZE=42  body=8bitmime", Mail(A, size=42)),
        ("FROM:<a@b.example> smtputf8 BODY=7BIT", Mail(A, smtputf8=True)),
        ("FROM:<ä@b.example> SMTPUTF8", Mail(Path("ä", "b.example"), smtputf8=True)),
        ("FROM:<a@b.example> AUTH=c+40d.example", Mail(A)),
        ("FROM:<a@b.example> AUTH=<>", Mail(A)),
    ],
)
def test_mail(argument: str, mail: Mail) -> None:
    assert parse_mail(argument, extended=True, signing_in=True) == mail


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (None, "501 5.5.4"),
        ("<a@b.example>", "501 5.5.4"),
        ("FROM:", "501 5.1.7"),
        ("FROM:<a@b.example> =1", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=-1", "501 5.5.4"),
        ("FROM:<a@b.example> BODY", "501 5.5.4"),
        ("FROM:<a@b.example> AUTH=<>", "555 5.5.4"),
        ("FROM:<a@b.example> X-Y=Z", "555 5.5.4"),
        ("FROM:<ä@b.example>", "553 5.6.7"),
    ],
)
def test_mail_that_is_refused(argument: str | None, reply: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_mail(argument, extended=True, signing_in=False)
    assert str(refused.value.reply).startswith(reply + " ")


def test_without_ehlo_there_are_no_parameters() -> None:
    assert parse_mail("FROM:<a@b.example>", extended=False, signing_in=False) == Mail(A)
    with pytest.raises(Refused, match="555"):
        parse_mail("FROM:<a@b.example> SIZE=1", extended=False, signing_in=False)


def test_rcpt() -> None:
    assert parse_rcpt("TO:<a@b.example>", extended=True) == A
    assert parse_rcpt("to: <PostMaster>", extended=True) == POSTMASTER
    for argument in (None, "TO:<>", "TO:<postmaster", "TO:<a@b.example> NOTIFY=NEVER", "TO:a"):
        with pytest.raises(Refused):
            parse_rcpt(argument, extended=True)


def test_auth() -> None:
    assert parse_auth("plain") == SaslStart("PLAIN", None)
    assert parse_auth("PLAIN  AGEAYg==") == SaslStart("PLAIN", "AGEAYg==")
    for argument in (None, "", "a b c", "ÄÖ", "X" * 21):
        with pytest.raises(Refused):
            parse_auth(argument)


@given(st.text(max_size=60), st.booleans())
def test_any_text_is_read_or_refused(text: str, extended: bool) -> None:
    for argument in (text, f"FROM:<a@b.example>{text}", f"TO:<a@b.example>{text}"):
        try:
            parse_mail(argument, extended=extended, signing_in=True)
        except Refused:
            pass
        try:
            parse_rcpt(argument, extended=extended)
        except Refused:
            pass
