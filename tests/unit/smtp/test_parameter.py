"""The parameters of MAIL and RCPT, read by their tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol import parameter
from postroom_smtp.protocol.command import Mail, Rcpt, parse_mail, parse_rcpt
from postroom_smtp.protocol.envelope import Body, Notify, Request, Return
from postroom_smtp.protocol.keyword import Keyword, Offer
from postroom_smtp.protocol.path import Path
from postroom_smtp.protocol.reply import Refused

A = Path("a", "b.example")
NOW = 1_000_000_000
ALL: Offer = frozenset(Keyword)

MAIL = [
    ("SIZE=0", Mail(A)),
    ("SIZE=18446744073709551615", Mail(A, 2**64 - 1)),
    ("BODY=BinaryMime", Mail(A, request=Request(body=Body.BINARY))),
    ("RET=HDRS", Mail(A, request=Request(ret=Return.HEADERS))),
    ("ENVID=a+2Bb", Mail(A, request=Request(envid="a+b"))),
    ("REQUIRETLS", Mail(A, request=Request(require_tls=True))),
    ("HOLDFOR=60", Mail(A, request=Request(hold_until=NOW + 60))),
    ("HOLDUNTIL=2001-09-09T01:47:40Z", Mail(A, request=Request(hold_until=NOW + 60))),
    ("HOLDUNTIL=2001-09-09t03:47:40+02:00", Mail(A, request=Request(hold_until=NOW + 60))),
    ("BY=-1;N", Mail(A, request=Request(deliver_by=NOW - 1))),
    ("BY=1;RT", Mail(A, request=Request(deliver_by=NOW + 1, by_returns=True))),
    ("MT-PRIORITY=-9", Mail(A, request=Request(priority=-9))),
    ("SOLICIT=A:b,c.d:E", Mail(A, solicits=frozenset({"a:b", "c.d:e"}))),
    (
        "HOLDFOR=60 BY=61;R  SIZE=7",
        Mail(A, 7, Request(hold_until=NOW + 60, deliver_by=NOW + 61, by_returns=True)),
    ),
    ("XVERP", Mail(A, verp="+=")),
    ("XVERP=-=", Mail(A, verp="-=")),
]
RCPT = [
    ("NOTIFY=NEVER", Rcpt(A, notify=frozenset({Notify.NEVER}))),
    ("notify=success,Delay", Rcpt(A, notify=frozenset({Notify.SUCCESS, Notify.DELAY}))),
    ("ORCPT=rfc822;a+40b", Rcpt(A, "rfc822;a@b")),
    ("ORCPT=X400;/S=a+3Db".replace("=a", "+3Da"), Rcpt(A, "x400;/S=a=b")),
    ("ORCPT=utf-8;\\x{FC}@b", Rcpt(A, "utf-8;\u00fc@b")),
]


@pytest.mark.parametrize(("text", "mail"), MAIL)
def test_of_mail(text: str, mail: Mail) -> None:
    assert parse_mail(f"FROM:<a@b.example> {text}", ALL, NOW) == mail


@pytest.mark.parametrize(("text", "rcpt"), RCPT)
def test_of_rcpt(text: str, rcpt: Rcpt) -> None:
    assert parse_rcpt(f"TO:<a@b.example> {text}", ALL) == rcpt


@pytest.mark.parametrize("text", [text for text, _ in MAIL])
def test_each_is_there_only_where_its_keyword_is_offered(text: str) -> None:
    name = text.partition("=")[0]
    offered = ALL - {parameter.MAIL[name].keyword}
    with pytest.raises(Refused, match=r"^555 5\.5\.4 "):
        parse_mail(f"FROM:<a@b.example> {text}", offered, NOW)


def test_every_parameter_is_tried() -> None:
    tried = {word.partition("=")[0].upper() for text, _ in MAIL + RCPT for word in text.split()}
    assert tried >= (set(parameter.MAIL) | set(parameter.RCPT)) - {"SMTPUTF8", "AUTH"}


VALUES = st.text(st.characters(codec="utf-8", exclude_characters=" "), max_size=40)


@given(st.lists(st.tuples(st.sampled_from([*parameter.MAIL, *parameter.RCPT]), VALUES), max_size=4))
def test_any_value_is_read_or_refused(words: list[tuple[str, str]]) -> None:
    text = " ".join(f"{name}={value}" for name, value in words)
    for read in (
        lambda: parse_mail(f"FROM:<a@b.example> {text}", ALL, NOW),
        lambda: parse_rcpt(f"TO:<a@b.example> {text}", ALL),
    ):
        try:
            read()
        except Refused:
            pass
