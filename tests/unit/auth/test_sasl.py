"""SASL mechanisms as transcripts: what the server asks, what the client says, what comes of it."""

from __future__ import annotations

import pytest
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import Challenge, Malformed, Need, NotAuthorized, Proven
from postroom_auth.domain.sasl.offer import Offer

TIM = Credential(1, "tim@example.org", 0, False, "", 1)


class Everybody:
    """Believes every claim, and keeps it."""

    def __init__(self) -> None:
        self.claims: list[tuple[str, bytes]] = []

    async def check_password(self, name: str, password: Password) -> Credential:
        self.claims.append((name, password.prepared))
        return TIM

    def same_person(self, one: str, other: str) -> bool:
        return one.lower() == other.lower()


async def play(
    mechanism: str, initial: bytes | None, *responses: bytes
) -> tuple[list[bytes], list[tuple[str, bytes]]]:
    """The challenges of an exchange and the claims that it made."""
    everybody = Everybody()
    exchange = MECHANISMS[mechanism].begin(initial, everybody)
    challenges = []
    step = await anext(exchange)
    for response in responses:
        assert isinstance(step, Challenge)
        challenges.append(step.data)
        step = await exchange.asend(response)
    assert step == Proven(TIM)
    return challenges, everybody.claims


async def test_the_examples_of_rfc_4616() -> None:
    assert await play("PLAIN", None, b"\0tim\0tanstaaftanstaaf") == (
        [b""],
        [("tim", b"tanstaaftanstaaf")],
    )


async def test_plain_without_a_round_trip() -> None:
    assert await play("PLAIN", b"\0tim\0tanstaaftanstaaf") == ([], [("tim", b"tanstaaftanstaaf")])
    assert await play("PLAIN", b"TIM\0tim\0x") == ([], [("tim", b"x")])


async def test_acting_for_another_is_not_authorized_and_never_checked() -> None:
    # RFC 4616 section 4, the third example: Kurt asks to act as Ursel.
    with pytest.raises(NotAuthorized):
        await play("PLAIN", b"Ursel\0Kurt\0xipj3plmq")


async def test_login_with_and_without_an_initial_response() -> None:
    asked = [b"Username:", b"Password:"]
    assert await play("LOGIN", None, b"tim", b"secret") == (asked, [("tim", b"secret")])
    assert await play("LOGIN", b"tim", b"secret") == (asked[1:], [("tim", b"secret")])


@pytest.mark.parametrize(
    ("mechanism", "initial", "responses"),
    [
        ("PLAIN", b"", []),
        ("PLAIN", b"tim", []),
        ("PLAIN", b"\0tim", []),
        ("PLAIN", b"\0\0secret", []),
        ("PLAIN", b"\0tim\0", []),
        ("PLAIN", b"\0tim\0secret\0", []),
        ("PLAIN", b"\0tim\0\xff", []),
        ("PLAIN", b"\0tim\0secret\x07", []),
        ("PLAIN", b"\0" + b"t" * 321 + b"\0secret", []),
        ("PLAIN", b"\0tim\0" + b"secret" * 1000, []),
        ("PLAIN", None, [b""]),
        ("LOGIN", b"", []),
        ("LOGIN", b"t\0m", []),
        ("LOGIN", None, [b"tim", b""]),
        ("LOGIN", None, [b"tim", b"\xff"]),
        ("LOGIN", None, [b"t" * 5000]),
    ],
)
async def test_malformed_messages_are_refused_without_showing_them(
    mechanism: str, initial: bytes | None, responses: list[bytes]
) -> None:
    with pytest.raises(Malformed) as refused:
        await play(mechanism, initial, *responses)
    assert "secret" not in str(refused.value)


def test_those_that_reveal_the_password_are_known() -> None:
    revealing = {name for name, row in MECHANISMS.items() if row.reveals_password}
    assert revealing == {"PLAIN", "LOGIN", "X-RPOP", "OAUTHBEARER", "XOAUTH2"}


def names(offer: Offer, *, secure: bool, met: tuple[Need, ...] = ()) -> list[str]:
    return [row.name for row in offer.mechanisms("imap", met, secure=secure)]


@pytest.mark.parametrize(
    ("text", "allow_cleartext", "secure", "clear"),
    [
        ("LOGIN, PLAIN", False, ["PLAIN", "LOGIN"], []),
        ("LOGIN,PLAIN", True, ["PLAIN", "LOGIN"], ["PLAIN", "LOGIN"]),
        ("LOGIN:tls,PLAIN", True, ["PLAIN", "LOGIN"], ["PLAIN"]),
        ("LOGIN:clear,PLAIN", False, ["PLAIN", "LOGIN"], ["LOGIN"]),
    ],
)
def test_what_is_offered_with_and_without_tls(
    text: str, allow_cleartext: bool, secure: list[str], clear: list[str]
) -> None:
    offer = Offer.parse(text, allow_cleartext=allow_cleartext)
    assert names(offer, secure=True) == secure
    assert names(offer, secure=False) == clear


@pytest.mark.parametrize("text", ["MAGIC", "plain", "PLAIN:ssl", "PLAIN:tls:clear"])
def test_what_can_not_be_offered(text: str) -> None:
    with pytest.raises(ValueError, match=r"mechanism|ends in"):
        Offer.parse(text, allow_cleartext=False)
