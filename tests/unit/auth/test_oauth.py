"""OAUTHBEARER and XOAUTH2 as transcripts."""

from __future__ import annotations

import json

import pytest
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Failed,
    Malformed,
    NotAuthorized,
    Proven,
    TokenRefused,
)

USER = Credential(1, "user@example.com", 0, False, "", 1)
CONFIGURATION = "https://example.com/.well-known/openid-configuration"
TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


class Issuer:
    """Knows one token, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def check_token(self, name: str, token: str) -> Proven:
        self.asked.append((name, token))
        if token != TOKEN:
            raise TokenRefused("invalid_token", "example_scope", CONFIGURATION)
        return Proven(USER, until=7)

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


def begin(mechanism: str, initial: bytes | None, issuer: Issuer) -> object:
    return MECHANISMS[mechanism].begin(initial, issuer)  # type: ignore[arg-type]


# RFC 7628 section 4.1, with and without SASL-IR (sections 4.1 and 4.2 write it for IMAP and SMTP).
FIRST = (
    b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
    b"auth=Bearer " + TOKEN.encode() + b"\x01\x01"
)


@pytest.mark.parametrize(
    ("mechanism", "first"),
    [
        ("OAUTHBEARER", FIRST),
        ("OAUTHBEARER", FIRST.replace(b"Bearer", b"bearer")),
        ("OAUTHBEARER", b"y" + FIRST[1:]),
        ("XOAUTH2", b"user=user@example.com\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"),
    ],
)
async def test_a_good_token(mechanism: str, first: bytes) -> None:
    for initial in (first, None):
        issuer = Issuer()
        exchange = begin(mechanism, initial, issuer)
        step = await anext(exchange)  # type: ignore[call-overload]
        if initial is None:
            assert step == Challenge(b"")
            step = await exchange.asend(first)  # type: ignore[attr-defined]
        assert step == Proven(USER, until=7)
        assert issuer.asked == [("user@example.com", TOKEN)]


async def test_names_are_unescaped() -> None:
    issuer = Issuer()
    first = FIRST.replace(b"user@", b"us=3Der=2C@")
    assert await anext(begin("OAUTHBEARER", first, issuer))  # type: ignore[call-overload]
    assert issuer.asked == [("us=er,@example.com", TOKEN)]


async def test_a_name_may_be_left_to_the_token() -> None:
    issuer = Issuer()
    first = b"n,,\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    assert await anext(begin("OAUTHBEARER", first, issuer))  # type: ignore[call-overload]
    assert issuer.asked == [("", TOKEN)]


async def test_a_bad_token_is_explained() -> None:
    # RFC 7628 section 4.3: an empty token, the document, ^A, the failure.
    exchange = begin("OAUTHBEARER", b"n,a=user@example.com,\x01auth=\x01\x01", Issuer())
    step = await anext(exchange)  # type: ignore[call-overload]
    assert isinstance(step, Failed)
    assert isinstance(step.why, NotAuthorized)
    assert json.loads(step.data) == {
        "status": "invalid_token",
        "scope": "example_scope",
        "openid-configuration": CONFIGURATION,
    }


async def test_xoauth2_explains_in_its_own_words() -> None:
    first = b"user=user@example.com\x01auth=Bearer old\x01\x01"
    exchange = begin("XOAUTH2", first, Issuer())
    step = await anext(exchange)  # type: ignore[call-overload]
    assert isinstance(step, Failed)
    assert isinstance(step.why, NotAuthorized)
    assert json.loads(step.data) == {"status": "401", "schemes": "bearer", "scope": "example_scope"}


@pytest.mark.parametrize(
    ("mechanism", "first"),
    [
        ("OAUTHBEARER", b"n,a=user@example.com\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"x,,\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,a=\x00,\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,a==,\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01 \x01\x01"),
        ("XOAUTH2", b"auth=Bearer x\x01\x01"),
        ("XOAUTH2", b"user=\x01auth=Bearer x\x01\x01"),
        ("XOAUTH2", b"user=u\x01auth=x\x01\x01"),
        ("XOAUTH2", b"user=u\x01auth=Bearer x\x01"),
        ("XOAUTH2", b"user=u\x01\x01auth=Bearer x\x01\x01"),
    ],
)
async def test_what_is_malformed(mechanism: str, first: bytes) -> None:
    with pytest.raises(Malformed):
        await anext(begin(mechanism, first, Issuer()))  # type: ignore[call-overload]
