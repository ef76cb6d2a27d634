"""Signing in at other servers."""

from __future__ import annotations

import base64

import pytest
from postroom_smtp.protocol import sasl
from postroom_smtp.protocol.sasl import Credentials, choose


def decoded(text: str | None) -> bytes:
    assert text is not None
    return base64.b64decode(text)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_best_one_is_chosen() -> None:
    someone = Credentials("user", "pencil")
    chosen = choose(frozenset({"LOGIN", "PLAIN", "SCRAM-SHA-256", "GSSAPI"}), someone)
    assert chosen is not None
    assert chosen[0] == "SCRAM-SHA-256"
    assert choose(frozenset({"GSSAPI"}), someone) is None
    assert "pencil" not in repr(someone)


def test_scram_as_the_rfc_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7677 section 3."""
    monkeypatch.setattr(sasl.secrets, "token_urlsafe", lambda _: "rOprNGfwEbeRWgbNEkqO")
    chosen = choose(frozenset({"SCRAM-SHA-256"}), Credentials("user", "pencil"))
    assert chosen is not None
    _, exchange = chosen
    assert decoded(next(exchange)) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    said = exchange.send(encoded(f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()))
    assert decoded(said).decode() == (
        f"c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert exchange.send(encoded(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) == ""


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=another,s=AA==,i=4096",
        b"r={nonce},s=AA==,i=0",
        b"r={nonce},s=AA==,i=999999999999",
        b"r={nonce},s=AA==,i=x",
        b"r={nonce},i=1",
        b"\xff",
    ],
)
def test_what_is_no_scram(challenge: bytes) -> None:
    chosen = choose(frozenset({"SCRAM-SHA-256"}), Credentials("user", "pencil"))
    assert chosen is not None
    _, exchange = chosen
    nonce = decoded(next(exchange)).rpartition(b"r=")[2]
    with pytest.raises((ValueError, KeyError)):
        exchange.send(encoded(challenge.replace(b"{nonce}", nonce + b"x")))


def test_a_server_that_does_not_know_the_password() -> None:
    chosen = choose(frozenset({"SCRAM-SHA-256"}), Credentials("user", "pencil"))
    assert chosen is not None
    _, exchange = chosen
    nonce = decoded(next(exchange)).rpartition(b"r=")[2]
    exchange.send(encoded(b"r=" + nonce + b"x,s=AA==,i=1"))
    with pytest.raises(ValueError, match="doesn't know"):
        exchange.send(encoded(b"v=AAAA"))
