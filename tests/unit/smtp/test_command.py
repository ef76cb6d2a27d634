"""The arguments of MAIL, RCPT and AUTH."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.command import (
    POSTMASTER,
    Mail,
    Rcpt,
    SaslStart,
    parse_auth,
    parse_mail,
    parse_rcpt,
)
from postroom_smtp.protocol.envelope import Body, Request
from postroom_smtp.protocol.keyword import NOTHING_OFFERED, Keyword, Offer
from postroom_smtp.protocol.path import NULL, Path
from postroom_smtp.protocol.reply import Refused

A = Path("a", "b.example")
UMLAUT = Path("ä", "b.example")
NOW = 1_000_000_000
ALL: Offer = frozenset(Keyword)
SOME: Offer = frozenset({Keyword.SIZE, Keyword.EIGHT_BIT, Keyword.SMTPUTF8})


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        ("FROM:<a@b.example>", Mail(A)),
        ("from: <a@b.example> ", Mail(A)),
        ("FROM:<>", Mail(NULL)),
        ("FROM:<a@b.example> SIZE=42  body=8bitmime", Mail(A, 42, Request(body=Body.EIGHT_BIT))),
        ("FROM:<a@b.example> smtputf8 BODY=7BIT", Mail(A, request=Request(smtputf8=True))),
        (
            "FROM:<ä@b.example> SMTPUTF8",
            Mail(Path("ä", "b.example"), request=Request(smtputf8=True)),
        ),
        ("FROM:<a@b.example> AUTH=c+40d.example", Mail(A)),
        ("FROM:<a@b.example> AUTH=<>", Mail(A)),
    ],
)
def test_mail(argument: str, mail: Mail) -> None:
    assert parse_mail(argument, ALL, NOW) == mail


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
        parse_mail(argument, SOME, NOW)
    assert str(refused.value.reply).startswith(reply + " ")


def test_without_ehlo_there_are_no_parameters() -> None:
    assert parse_mail("FROM:<a@b.example>", NOTHING_OFFERED, NOW) == Mail(A)
    with pytest.raises(Refused, match="555"):
        parse_mail("FROM:<a@b.example> SIZE=1", NOTHING_OFFERED, NOW)


def test_rcpt() -> None:
    assert parse_rcpt("TO:<a@b.example>", ALL) == Rcpt(A)
    assert parse_rcpt("to: <PostMaster>", ALL) == Rcpt(POSTMASTER)
    for argument in (None, "TO:<>", "TO:<postmaster", "TO:<a@b.example> NOTIFY=NEVER", "TO:a"):
        with pytest.raises(Refused):
            parse_rcpt(argument, SOME)


def test_auth() -> None:
    assert parse_auth("plain") == SaslStart("PLAIN", None)
    assert parse_auth("PLAIN  AGEAYg==") == SaslStart("PLAIN", "AGEAYg==")
    for argument in (None, "", "a b c", "ÄÖ", "X" * 21):
        with pytest.raises(Refused):
            parse_auth(argument)


@given(st.text(max_size=60), st.sampled_from([ALL, SOME, NOTHING_OFFERED]))
def test_any_text_is_read_or_refused(text: str, offered: Offer) -> None:
    for argument in (text, f"FROM:<a@b.example>{text}", f"TO:<a@b.example>{text}"):
        try:
            parse_mail(argument, offered, NOW)
        except Refused:
            pass
        try:
            parse_rcpt(argument, offered)
        except Refused:
            pass
