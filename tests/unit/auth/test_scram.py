"""SCRAM as transcripts, and the verifiers that it is checked against."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Failed,
    Malformed,
    NotAuthorized,
    Proven,
)
from postroom_auth.domain.sasl.scram import scram
from postroom_auth.domain.scram import Verifier, made_up, read_verifiers, saslprep, write_verifiers
from postroom_chassis.errors import Kind, PostroomError

from tests.harness.scram import ScramClient

USER = Credential(1, "user@example.org", 0, False, "", 1)
END_POINT = bytes(range(32))
BOUND = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")

# RFC 5802 section 5, RFC 7677 section 3: client, server, client, server.
RFC_5802 = (
    b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
RFC_7677 = (
    b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


class House:
    """Claims of a house with one person, whose password is "pencil"."""

    end_point = END_POINT

    def __init__(
        self, family: str, salt: bytes = b"salt" * 4, offered: tuple[str, ...] = BOUND
    ) -> None:
        self.verifier = Verifier.make(family, Password.prepare("pencil"), salt, 4096)
        self.offered = offered

    async def scram_verifier(self, name: str, family: str) -> Verifier:
        known = name in ("user", "us=e,r")
        return self.verifier if known else made_up(b"key", family, name, 4096)

    async def check_proof(
        self, name: str, verifier: Verifier, auth_message: bytes, proof: bytes
    ) -> Credential:
        if not verifier.is_proved(auth_message, proof):
            raise PostroomError(Kind.UNAUTHENTICATED, "wrong")
        return USER

    def same_person(self, one: str, other: str) -> bool:
        return one.lower() == other.lower()


Begin = Callable[[bytes | None, Claims], Exchange]


async def step(exchange: Exchange, response: bytes) -> bytes | Proven | Failed:
    """The next challenge, or the end."""
    answered = await exchange.asend(response)
    return answered.data if isinstance(answered, Challenge) else answered


async def begun(begin: Begin, initial: bytes | None, house: House) -> tuple[Exchange, object]:
    exchange = begin(initial, house)  # type: ignore[arg-type]
    first = await anext(exchange)
    return exchange, first.data if isinstance(first, Challenge) else first


@pytest.mark.parametrize(
    ("family", "said"), [("SCRAM-SHA-1", RFC_5802), ("SCRAM-SHA-256", RFC_7677)]
)
@pytest.mark.parametrize("asked_first", [False, True])
async def test_the_examples_of_the_rfcs(
    family: str, said: tuple[bytes, ...], asked_first: bool
) -> None:
    client, server, final, verdict = said
    nonce, salt = server.decode().split(",")[:2]
    house = House(family, base64.b64decode(salt[2:]), offered=())
    own_part = nonce.removeprefix(client.decode().partition("n=user,")[2])
    begin = scram(family, nonce=lambda: own_part)
    exchange, told = await begun(begin, None if asked_first else client, house)
    if asked_first:
        assert told == b""
        told = await step(exchange, client)
    assert told == server
    assert await step(exchange, final) == Proven(USER, verdict)


async def end_of(
    client: ScramClient, house: House, *, end_point: bytes | None = None
) -> Proven | Failed:
    """How a client's exchange ends."""
    plus = client.mechanism.endswith("-PLUS")
    begin = scram(client.mechanism.removesuffix("-PLUS"), plus=plus)
    exchange, told = await begun(begin, client.first, house)
    if isinstance(told, bytes):
        told = await step(exchange, client.final(told, end_point=end_point))
    assert isinstance(told, Proven | Failed)
    return told


@pytest.mark.parametrize("family", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
async def test_bound_to_the_channel(family: str) -> None:
    client = ScramClient(f"{family}-PLUS", "user", "pencil", END_POINT)
    proven = await end_of(client, House(family))
    assert isinstance(proven, Proven)
    assert client.trusts(proven.additional_data)


async def test_names_with_commas_and_equal_signs() -> None:
    client = ScramClient("SCRAM-SHA-256", "us=e,r", "pencil")
    assert b"n=us=3De=2Cr," in client.first
    assert isinstance(await end_of(client, House("SCRAM-SHA-256")), Proven)


async def test_acting_for_oneself_and_for_another() -> None:
    house = House("SCRAM-SHA-256")
    for authzid in ("user", "USER"):
        client = ScramClient("SCRAM-SHA-256", "user", "pencil", authzid=authzid)
        assert isinstance(await end_of(client, house), Proven)
    with pytest.raises(NotAuthorized):
        await end_of(ScramClient("SCRAM-SHA-256", "user", "pencil", authzid="boss"), house)


@pytest.mark.parametrize(("name", "password"), [("user", "pen"), ("nobody", "pencil")])
async def test_a_wrong_proof_ends_the_exchange_at_once(name: str, password: str) -> None:
    with pytest.raises(PostroomError):
        await end_of(ScramClient("SCRAM-SHA-256", name, password), House("SCRAM-SHA-256"))


# RFC 5802 section 6.


async def test_another_certificate_was_seen() -> None:
    client = ScramClient("SCRAM-SHA-256-PLUS", "user", "pencil", END_POINT)
    failed = await end_of(client, House("SCRAM-SHA-256"), end_point=bytes(32))
    assert isinstance(failed, Failed)
    assert failed.data == b"e=channel-bindings-dont-match"
    assert isinstance(failed.why, NotAuthorized)


async def test_who_was_kept_from_seeing_channel_binding_is_told() -> None:
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", flag="y")
    failed = await end_of(client, House("SCRAM-SHA-256"))
    assert isinstance(failed, Failed)
    assert failed.data == b"e=server-does-support-channel-binding"
    assert isinstance(failed.why, NotAuthorized)
    # Where there is none to offer, it is a client like any other.
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", flag="y")
    assert isinstance(await end_of(client, House("SCRAM-SHA-256", offered=BOUND[1:])), Proven)


@pytest.mark.parametrize(
    ("mechanism", "flag", "told"),
    [
        ("SCRAM-SHA-256", "p=tls-server-end-point", b"e=channel-binding-not-supported"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique", b"e=unsupported-channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter", b"e=unsupported-channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "n", b"e=other-error"),
        ("SCRAM-SHA-256-PLUS", "y", b"e=other-error"),
    ],
)
async def test_a_flag_that_does_not_fit_the_mechanism(
    mechanism: str, flag: str, told: bytes
) -> None:
    client = ScramClient(mechanism, "user", "pencil", END_POINT, flag=flag)
    failed = await end_of(client, House("SCRAM-SHA-256"))
    assert isinstance(failed, Failed)
    assert failed.data == told
    assert isinstance(failed.why, Malformed)


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (b"", b"e=other-error"),
        (b"user", b"e=other-error"),
        (b"n,,n=user", b"e=other-error"),
        (b"n,,n=user,r=", b"e=other-error"),
        (b"n,,n=user,r=\xc3\xa9", b"e=other-error"),
        (b"n,,n=user,r=" + b"x" * 600, b"e=other-error"),
        (b"n,user,n=user,r=x", b"e=other-error"),
        (b"z,,n=user,r=x", b"e=other-error"),
        (b"p=,,n=user,r=x", b"e=other-error"),
        (b"n,,m=more,n=user,r=x", b"e=extensions-not-supported"),
        (b"n,,n=,r=x", b"e=invalid-username-encoding"),
        (b"n,,n=us=er,r=x", b"e=invalid-username-encoding"),
        (b"n,,n=us\0er,r=x", b"e=invalid-username-encoding"),
        (b"n,,n=" + b"u" * 400 + b",r=x", b"e=invalid-username-encoding"),
        (b"n,a=us=er,n=user,r=x", b"e=invalid-username-encoding"),
        (b"n,,n=\xff,r=x", b"e=invalid-encoding"),
        (b"n,,n=user,r=x" * 1000, b"e=invalid-encoding"),
    ],
)
async def test_a_first_message_that_can_not_be_read(first: bytes, told: bytes) -> None:
    _, failed = await begun(scram("SCRAM-SHA-256"), first, House("SCRAM-SHA-256"))
    assert isinstance(failed, Failed)
    assert failed.data == told
    assert isinstance(failed.why, Malformed)
    assert "user" not in str(failed.why)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda final: b"", b"e=other-error"),
        (lambda final: final.replace(b"c=biws", b"c=eSws"), b"e=channel-bindings-dont-match"),
        (lambda final: final.replace(b"c=biws", b"c=biw"), b"e=invalid-encoding"),
        (lambda final: final.replace(b",r=", b",r=x"), b"e=other-error"),
        (lambda final: final.partition(b",p=")[0], b"e=other-error"),
        (lambda final: final + b",x=y", b"e=other-error"),
        (lambda final: final + b"=", b"e=invalid-encoding"),
        (lambda final: final * 100, b"e=invalid-encoding"),
    ],
)
async def test_a_last_message_that_can_not_be_read(
    changed: Callable[[bytes], bytes], told: bytes
) -> None:
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    exchange, second = await begun(
        scram("SCRAM-SHA-256"), client.first, House("SCRAM-SHA-256", offered=())
    )
    assert isinstance(second, bytes)
    failed = await step(exchange, changed(client.final(second)))
    assert isinstance(failed, Failed)
    assert failed.data == told


async def test_extensions_that_may_be_ignored_are() -> None:
    house = House("SCRAM-SHA-256", offered=())
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    client.bare += ",x=more"
    assert isinstance(await end_of(client, house), Proven)


async def test_an_authzid_that_is_empty_is_none() -> None:
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    client.header = "n,a=,"
    assert isinstance(await end_of(client, House("SCRAM-SHA-256")), Proven)


async def test_what_was_said_once_proves_nothing_again() -> None:
    house = House("SCRAM-SHA-256", offered=())
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    exchange, second = await begun(scram("SCRAM-SHA-256"), client.first, house)
    assert isinstance(second, bytes)
    final = client.final(second)
    assert isinstance(await step(exchange, final), Proven)
    again, other = await begun(scram("SCRAM-SHA-256"), client.first, house)
    assert other != second
    assert isinstance(await step(again, final), Failed)


MESSAGES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.from_regex(
        rb"(n|y|p=[a-z-]{0,9}),(a=.{0,9})?,(m=.{0,3},)?n=.{0,9},r=.{0,20}", fullmatch=True
    ),
    st.from_regex(rb"c=[A-Za-z0-9+/=]{0,20},r=.{0,20},p=[A-Za-z0-9+/=]{0,20}", fullmatch=True),
)


@given(first=MESSAGES, final=MESSAGES, plus=st.booleans())
async def test_garbage_never_proves_anything(first: bytes, final: bytes, plus: bool) -> None:
    begin = scram("SCRAM-SHA-256", plus=plus)
    try:
        exchange, told = await begun(begin, first, HOUSE)
        if isinstance(told, bytes):
            told = await step(exchange, final)
    except (NotAuthorized, PostroomError):
        return
    assert isinstance(told, Failed)
    assert told.data.startswith(b"e=")


HOUSE = House("SCRAM-SHA-256")


# Verifiers.


@given(
    password=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1),
    salt=st.binary(min_size=16, max_size=16),
)
def test_verifiers_are_stored_as_rfc_5803_has_them(password: str, salt: bytes) -> None:
    made = [
        Verifier.make(family, Password.prepare(password), salt, 1)
        for family in ("SCRAM-SHA-1", "SCRAM-SHA-256")
    ]
    stored = write_verifiers(iter(made))
    assert read_verifiers(stored) == {verifier.family: verifier for verifier in made}
    assert "stored_key" not in repr(made[0])


def test_the_form_in_which_a_verifier_is_stored() -> None:
    verifier = Verifier("SCRAM-SHA-1", 4096, b"salt", b"stored", b"server")
    assert str(verifier) == "SCRAM-SHA-1$4096:c2FsdA==$c3RvcmVk:c2VydmVy"


@pytest.mark.parametrize("stored", ["x", "SCRAM-SHA-1$x:$:", "SCRAM-MD5$4096:YQ==$YQ==:YQ=="])
def test_what_is_no_verifier(stored: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_verifiers(stored)
    assert read_verifiers("") == {}


def test_what_is_made_up_is_the_same_every_time_and_proves_nothing() -> None:
    made = made_up(b"key", "SCRAM-SHA-256", "nobody", 4096)
    assert made == made_up(b"key", "SCRAM-SHA-256", "nobody", 4096)
    others = [
        made_up(b"other key", "SCRAM-SHA-256", "nobody", 4096),
        made_up(b"key", "SCRAM-SHA-256", "somebody", 4096),
        made_up(b"key", "SCRAM-SHA-1", "nobody", 4096),
    ]
    assert len({other.salt for other in others} | {made.salt}) == 4
    real = Verifier.make("SCRAM-SHA-256", Password.prepare("x"), b"s" * 16, 1)
    for one, other in (
        (made.salt, real.salt),
        (made.stored_key, real.stored_key),
        (made.server_key, real.server_key),
    ):
        assert len(one) == len(other)


@pytest.mark.parametrize(
    ("typed", "prepared"),
    [
        ("pencil", "pencil"),
        ("I\u00adX", "IX"),  # RFC 4013 section 3
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0627\u0031", "\u0627\u0031"),  # neither way: as it was typed
        ("\u00ad", "\u00ad"),
        ("\ue000", "\ue000"),
        ("\u05d0\u05d1", "\u05d0\u05d1"),
    ],
)
def test_passwords_are_prepared_as_clients_do(typed: str, prepared: str) -> None:
    assert saslprep(Password.prepare(typed)) == prepared.encode()
