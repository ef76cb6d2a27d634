"""CRAM-MD5, APOP and RPOP as transcripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import Challenge, Exchange, Malformed, Need, Proven
from postroom_auth.domain.sasl.offer import Offer
from postroom_auth.domain.sasl.shared_secret import cram_md5, new_challenge
from postroom_auth.domain.shared_secret import SecretKind

TIM = Credential(1, "tim@example.org", 0, False, "", 1)
TIMESTAMP = b"<1896.697170952@dbc.mtview.ca.us>"


class Refused(Exception):
    pass


class Keeper:
    """Knows one secret, and keeps what was claimed of it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.claims: list[tuple[SecretKind, str]] = []

    async def check_password(self, name: str, password: Password) -> Credential:
        raise AssertionError("no password is claimed")

    async def check_secret(
        self, kind: SecretKind, name: str, fits: Callable[[bytes], bool]
    ) -> Credential:
        self.claims.append((kind, name))
        if not fits(self._secret):
            raise Refused
        return TIM

    def same_person(self, one: str, other: str) -> bool:
        return one == other


async def answered(exchange: Exchange, response: bytes) -> tuple[bytes, Challenge | Proven]:
    asked = await anext(exchange)
    assert isinstance(asked, Challenge)
    return asked.data, await exchange.asend(response)


def example(keeper: Keeper) -> Exchange:
    """RFC 2195 section 2's challenge."""
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    return cram_md5(None, keeper, lambda: challenge)


async def test_the_example_of_rfc_2195() -> None:
    keeper = Keeper(b"tanstaaftanstaaf")
    asked, end = await answered(example(keeper), b"tim b913a602c7eda7a495b4e6e7334d3890")
    assert asked == b"<1896.697170952@postoffice.reston.mci.net>"
    assert end == Proven(TIM)
    assert keeper.claims == [(SecretKind.CRAM_MD5, "tim")]


async def test_cram_md5_with_another_secret_or_another_challenge_is_refused() -> None:
    said = b"tim b913a602c7eda7a495b4e6e7334d3890"
    with pytest.raises(Refused):
        await answered(example(Keeper(b"another")), said)
    # What was heard once proves nothing in the next exchange.
    with pytest.raises(Refused):
        await answered(cram_md5(None, Keeper(b"tanstaaftanstaaf")), said)


async def test_a_name_may_hold_spaces_and_a_digest_capitals() -> None:
    keeper = Keeper(b"tanstaaftanstaaf")
    _, end = await answered(example(keeper), b"tim two B913A602C7EDA7A495B4E6E7334D3890")
    assert end == Proven(TIM)
    assert keeper.claims == [(SecretKind.CRAM_MD5, "tim two")]


def test_challenges_are_never_the_same() -> None:
    challenges = {new_challenge() for _ in range(1000)}
    assert len(challenges) == 1000
    assert all(one.startswith(b"<") and one.endswith(b"@postroom>") for one in challenges)


async def test_the_example_of_rfc_1939() -> None:
    keeper = Keeper(b"tanstaaf")
    said = TIMESTAMP + b"\0mrose\0c4c9334bac560ecc979e58001b3e22fb"
    assert await anext(MECHANISMS["X-APOP"].begin(said, keeper)) == Proven(TIM)
    assert keeper.claims == [(SecretKind.APOP, "mrose")]


async def test_apop_with_another_timestamp_is_refused() -> None:
    said = b"<1.2@x>\0mrose\0c4c9334bac560ecc979e58001b3e22fb"
    with pytest.raises(Refused):
        await anext(MECHANISMS["X-APOP"].begin(said, Keeper(b"tanstaaf")))


async def test_rpop() -> None:
    keeper = Keeper(b"abcde-fghij")
    assert await anext(MECHANISMS["X-RPOP"].begin(b"ann\0abcde-fghij", keeper)) == Proven(TIM)
    with pytest.raises(Refused):
        await anext(MECHANISMS["X-RPOP"].begin(b"ann\0abcde", keeper))


@pytest.mark.parametrize(
    ("mechanism", "initial"),
    [
        ("X-APOP", None),
        ("X-APOP", b""),
        ("X-APOP", b"<1.2@x>\0mrose"),
        ("X-APOP", b"1.2@x\0mrose\0c4c9334bac560ecc979e58001b3e22fb"),
        ("X-APOP", b"<>\0mrose\0c4c9334bac560ecc979e58001b3e22fb"),
        ("X-APOP", b"<1.2@x>\0\0c4c9334bac560ecc979e58001b3e22fb"),
        ("X-APOP", b"<1.2@x>\0mrose\0c4c9334bac560ecc979e58001b3e22f"),
        ("X-APOP", b"<1.2@x>\0mrose\0g4c9334bac560ecc979e58001b3e22fb"),
        ("X-APOP", b"<1.2@x>\0" + b"m" * 321 + b"\0c4c9334bac560ecc979e58001b3e22fb"),
        ("X-APOP", b"<1.2@x>\0\xff\0c4c9334bac560ecc979e58001b3e22fb"),
        ("X-RPOP", None),
        ("X-RPOP", b"ann"),
        ("X-RPOP", b"ann\0"),
        ("X-RPOP", b"\0id"),
        ("X-RPOP", b"ann\0" + b"x" * 5000),
        ("CRAM-MD5", b""),
        ("CRAM-MD5", b"tim b913a602c7eda7a495b4e6e7334d3890"),
    ],
)
async def test_what_breaks_the_syntax_is_never_checked(
    mechanism: str, initial: bytes | None
) -> None:
    keeper = Keeper(b"tanstaaf")
    with pytest.raises(Malformed):
        await anext(MECHANISMS[mechanism].begin(initial, keeper))
    assert keeper.claims == []


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"tim",
        b" b913a602c7eda7a495b4e6e7334d3890",
        b"tim b913a602c7eda7a495b4e6e7334d389",
        b"tim b913a602c7eda7a495b4e6e7334d3890 ",
        b"tim \xff",
        b"t\0m b913a602c7eda7a495b4e6e7334d3890",
        b"x" * 5000,
    ],
)
async def test_a_response_that_is_none_is_never_checked(response: bytes) -> None:
    keeper = Keeper(b"tanstaaftanstaaf")
    with pytest.raises(Malformed):
        await answered(example(keeper), response)
    assert keeper.claims == []


def test_none_is_offered_unless_an_operator_says_so() -> None:
    everything = frozenset(Need)
    usual = Offer.parse("", allow_cleartext=False)
    names = {row.name for row in usual.mechanisms("pop3", everything, secure=True)}
    assert not names & {"CRAM-MD5", "X-APOP", "X-RPOP"}


def test_apop_and_rpop_are_of_pop3_and_none_goes_without_a_key() -> None:
    offer = Offer.parse("CRAM-MD5,X-APOP,X-RPOP", allow_cleartext=False)

    def names(protocol: str, *met: Need, secure: bool = True) -> list[str]:
        return [row.name for row in offer.mechanisms(protocol, met, secure=secure)]

    assert names("pop3", Need.SECRETS_KEY) == ["CRAM-MD5", "X-APOP", "X-RPOP"]
    assert names("imap", Need.SECRETS_KEY) == ["CRAM-MD5"]
    assert names("smtp", Need.SECRETS_KEY) == ["CRAM-MD5"]
    assert names("pop3") == []
    # An id that is shown is no safer than a password.
    assert names("pop3", Need.SECRETS_KEY, secure=False) == ["CRAM-MD5", "X-APOP"]
