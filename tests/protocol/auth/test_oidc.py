"""People who bear a token: an issuer of the test's own, by real HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from joserfc.jwk import ECKey, OctKey
from postroom.auth.v1 import account_pb2, authentication_pb2, credential_pb2
from postroom_chassis.errors import Kind
from postroom_chassis.tickets import TicketVerifier, read_verification_keys

from tests.harness.oidc import (
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    CONFIGURATION,
    Oidc,
    rsa_key,
    running_oidc,
)
from tests.protocol.auth.house import House, opened, refused
from tests.protocol.auth.test_every_mechanism import last_entry, set_app_passwords_only

ANN = "ann@example.org"
SECRET = "Annas Geheimnis"
SECONDS = 1.0
MARGIN = 2.0
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")


@pytest.fixture
def oidc() -> Iterator[Oidc]:
    with running_oidc() as running:
        yield running


def issuer(oidc: Oidc, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "oidc",
        "domains": ["example.org"],
        "issuer": oidc.issuer,
        "audience": [AUDIENCE],
        "scopes": ["mail"],
        "seconds": SECONDS,
        "again_seconds": 0.001,
        "clock_skew_seconds": 5,
        **changes,
    }


def introspecting(oidc: Oidc, **changes: Any) -> dict[str, Any]:
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return issuer(oidc, check="introspection", **client, **changes)


@asynccontextmanager
async def a_house(
    certificates: Path, url: str, *issuers: dict[str, Any], **settings: Any
) -> AsyncIterator[House]:
    """A service with issuers, Ann and Bob at the first one's domain, and its own people."""
    directories = {f"office{number}": one for number, one in enumerate(issuers)}
    settings = {"directory_seconds": 0, "throttle_account_failures": 100, **settings}
    settings = {"throttle_network_failures": 1000, **settings}
    async with opened(certificates, url, directories=directories, **settings) as house:
        await house.add_domain("example.org")
        await house.add_domain("example.com")
        await house.add_account(ANN, SECRET)
        await house.add_account("bob@example.org")
        await house.add_account("eve@example.com", "eves secret")
        yield house


@pytest.fixture
async def oidc_house(certificates: Path, sqlite_url: str, oidc: Oidc) -> AsyncIterator[House]:
    async with a_house(certificates, sqlite_url, issuer(oidc)) as house:
        yield house


def bearer(token: str, name: str = ANN, mechanism: str = "OAUTHBEARER") -> bytes:
    """What a client says first."""
    if mechanism == "XOAUTH2":
        return f"user={name}\x01auth=Bearer {token}\x01\x01".encode()
    authzid = f"a={name}" if name else ""
    return f"n,{authzid},\x01host=localhost\x01port=143\x01auth=Bearer {token}\x01\x01".encode()


async def sign_in(house: House, token: str, name: str = ANN, **client: Any) -> str:
    _, ticket = await house.exchange("OAUTHBEARER", initial=bearer(token, name), **client)
    return ticket.address


async def told(house: House, first: bytes, mechanism: str = "OAUTHBEARER") -> dict[str, Any]:
    """The document that a client is told whose token is refused; its next word ends it."""
    call = house.authentication().Authenticate()
    client = authentication_pb2.Client(protocol="imap", address="192.0.2.1", secure=True)
    start = authentication_pb2.AuthenticateRequest.Start(
        mechanism=mechanism, initial_response=first, client=client
    )
    await call.write(authentication_pb2.AuthenticateRequest(start=start))
    document = (await call.read()).challenge
    await call.write(
        authentication_pb2.AuthenticateRequest(response=b"\x01" if mechanism[0] == "O" else b"")
    )
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
    answer: dict[str, Any] = json.loads(document)
    return answer


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(
    "word",
    [{"response": b"\x01"}, {"response": b""}, {"response": b"anything"}, {"cancel": True}],
    ids=str,
)
async def test_whatever_the_client_says_to_the_error_its_token_was_wrong(
    oidc_house: House, mechanism: str, word: dict[str, Any]
) -> None:
    call = oidc_house.authentication().Authenticate()
    start = authentication_pb2.AuthenticateRequest.Start(
        mechanism=mechanism,
        initial_response=bearer("wrong", ANN, mechanism),
        client=authentication_pb2.Client(protocol="imap", address="192.0.2.1", secure=True),
    )
    await call.write(authentication_pb2.AuthenticateRequest(start=start))
    assert json.loads((await call.read()).challenge)["status"]
    await call.write(authentication_pb2.AuthenticateRequest(**word))
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
    assert (await last_entry(oidc_house, 1)).outcome == "UNAUTHENTICATED"


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_who_bears_a_token_signs_in(oidc_house: House, oidc: Oidc, mechanism: str) -> None:
    first = bearer(oidc.token("Ann@Example.ORG"), ANN, mechanism)
    for initial, responses in ((first, ()), (None, (first,))):
        _, ticket = await oidc_house.exchange(mechanism, *responses, initial=initial)
        assert ticket.address == ANN


async def test_a_token_says_itself_who_bears_it(oidc_house: House, oidc: Oidc) -> None:
    assert await sign_in(oidc_house, oidc.token(ANN), "") == ANN


async def test_mechanisms_for_tokens_need_an_issuer_and_tls(
    oidc_house: House, certificates: Path, tmp_path: Path
) -> None:
    assert set(MECHANISMS) <= set(await oidc_house.mechanisms())
    assert not set(MECHANISMS) & set(await oidc_house.mechanisms(secure=False))
    async with opened(certificates, f"sqlite:///{tmp_path}/none.sqlite3") as house:
        assert not set(MECHANISMS) & set(await house.mechanisms())


async def test_a_refused_token_is_answered_with_why(oidc_house: House, oidc: Oidc) -> None:
    # RFC 7628 section 3.2.2.
    assert await told(oidc_house, bearer(oidc.token(ANN, aud="others"))) == {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": oidc.issuer + CONFIGURATION,
    }
    weak = await told(oidc_house, bearer(oidc.token(ANN, scope="openid")))
    assert weak["status"] == "insufficient_scope"
    # RFC 7628 section 4.3: a client that has no token asks by showing none.
    none = await told(oidc_house, b"n,a=ann@example.org,\x01auth=\x01\x01")
    assert none["openid-configuration"] == oidc.issuer + CONFIGURATION
    assert await told(oidc_house, bearer("x.y.z", ANN, "XOAUTH2"), "XOAUTH2") == {
        "status": "401",
        "schemes": "bearer",
        "scope": "mail",
    }


NOW = int(time.time())
HUGE = 10**400


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "others"},
        {"aud": ["others", "more"]},
        {"aud": None},
        {"aud": {"postroom": 1}},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": NOW - 100},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": -HUGE},
        {"nbf": NOW + 3600},
        {"iat": NOW + 3600},
        {"email": None},
        {"email": "nobody@example.org"},
        {"email": "bob@example.org"},
        {"email": "eve@example.com"},
        {"email": [ANN]},
        {"email": "no address"},
        {"email_verified": False},
        {"scope": None},
        {"scope": "mailbox"},
        {"scope": {"mail": 1}},
    ],
    ids=str,
)
async def test_a_token_of_something_else_is_refused(
    oidc_house: House, oidc: Oidc, claims: dict[str, Any]
) -> None:
    token = oidc.token(**{"address": ANN, **claims})
    document = await told(oidc_house, bearer(token))
    assert document["status"] in ("invalid_token", "insufficient_scope")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["others", AUDIENCE]},
        {"scope": None, "scp": ["mail"]},
        {"scope": None, "scp": "read mail"},
        {"exp": NOW + 3600.5},
        {"exp": HUGE},
        {"email_verified": None},
    ],
    ids=str,
)
async def test_a_token_that_is_written_otherwise_is_good(
    oidc_house: House, oidc: Oidc, claims: dict[str, Any]
) -> None:
    assert await sign_in(oidc_house, oidc.token(ANN, **claims)) == ANN


async def test_clocks_may_differ_by_as_much_as_is_set(oidc_house: House, oidc: Oidc) -> None:
    now = int(time.time())
    assert await sign_in(oidc_house, oidc.token(ANN, exp=now - 1)) == ANN
    assert await sign_in(oidc_house, oidc.token(ANN, nbf=now + 3, iat=now + 3)) == ANN


async def test_what_nobody_has_signed_is_refused(oidc_house: House, oidc: Oidc) -> None:
    good = oidc.token(ANN)
    head, body, signature = good.split(".")

    def part(document: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    public = oidc.key.as_dict(private=False)
    stranger = ECKey.generate_key("P-256", {"kid": oidc.key.kid})
    # The well-known trick: the public key taken for a shared secret.
    shared = OctKey.import_key(json.dumps(public), {"kid": oidc.key.kid})
    header = {"alg": "ES256", "kid": oidc.key.kid}
    for token in (
        f"{part({'alg': 'none'})}.{body}.",
        f"{part({**header, 'alg': 'none'})}.{body}.{signature}",
        f"{part({**header, 'jwk': public})}.{body}.",
        f"{head}.{part({'email': ANN})}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{part({**header, 'crit': ['b64']})}.{body}.{signature}",
        f"{part({**header, 'kid': 7})}.{body}.{signature}",
        f"{part(list('abc'))}.{body}.{signature}",
        f"{'e30' * 2000}.{body}.{signature}",
        "a.b.c",
        "ey.ey.ey",
        "opaque",
        oidc.token(ANN, key=stranger),
        oidc.token(ANN, key=rsa_key()),
        oidc.token(ANN, key=shared, header={"alg": "HS256"}),
    ):
        assert (await told(oidc_house, bearer(token)))["status"] == "invalid_token"
    assert await sign_in(oidc_house, good) == ANN


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\x01",
        b"n,,",
        b"n,,\x01",
        b"n,a=ann@example.org,\x01auth=Bearer x",
        b"n,a=ann@example.org,\x01auth=Basic x\x01\x01",
        b"n,a=ann@example.org,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
        b"n,a=ann=example.org,\x01auth=Bearer x\x01\x01",
        b"n,a=ann@example.org,\x01auth=Bearer \xff\x01\x01",
        b"n,a=ann@example.org,\x01auth=Bearer x y\x01\x01",
        b"p=tls-unique,,\x01auth=Bearer x\x01\x01",
        b"n,,\x01auth=Bearer " + b"x" * 10_000 + b"\x01\x01",
        b"user=ann@example.org\x01auth=Bearer x\x01\x01",
    ],
    ids=str,
)
async def test_what_is_no_message_is_refused(oidc_house: House, first: bytes) -> None:
    error = await refused(oidc_house.exchange("OAUTHBEARER", initial=first))
    assert error.kind is Kind.INVALID


async def test_a_new_key_is_fetched_when_it_is_seen(oidc_house: House, oidc: Oidc) -> None:
    old = oidc.token(ANN)
    assert await sign_in(oidc_house, old) == ANN
    oidc.rotate()
    assert await sign_in(oidc_house, oidc.token(ANN)) == ANN
    assert oidc.asked["/keys"] == 2
    # The key is the issuer's no more.
    assert (await told(oidc_house, bearer(old)))["status"] == "invalid_token"


async def test_keys_of_both_kinds_and_those_of_no_use(oidc_house: House, oidc: Oidc) -> None:
    oidc.extra_keys = [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared"},
        {"kty": "unheard of", "kid": "x"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {**ECKey.generate_key("P-256").as_dict(private=False), "use": "enc", "kid": "enc"},
    ]
    oidc.keys.append(rsa_key())
    assert await sign_in(oidc_house, oidc.token(ANN, key=oidc.keys[-1])) == ANN
    assert await sign_in(oidc_house, oidc.token(ANN, header={"kid": None})) == ANN
    header = {"kid": "shared", "alg": "HS256"}
    token = oidc.token(ANN, key=OctKey.import_key(b"secret" * 5), header=header)
    assert (await told(oidc_house, bearer(token)))["status"] == "invalid_token"


async def test_a_hundred_at_once_fetch_once_and_are_no_guesses(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    few = {"throttle_account_failures": 2, "throttle_network_failures": 2}
    async with a_house(certificates, sqlite_url, issuer(oidc), **few) as house:
        token = oidc.token(ANN)
        await asyncio.gather(*(sign_in(house, token) for _ in range(100)))
        assert (oidc.asked["/keys"], oidc.asked[CONFIGURATION]) == (1, 1)


async def test_unknown_keys_are_looked_for_no_oftener_than_is_set(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    async with a_house(certificates, sqlite_url, issuer(oidc, again_seconds=600)) as house:
        assert await sign_in(house, oidc.token(ANN)) == ANN
        for _ in range(20):
            # The issuer may have changed its key meanwhile: nothing can be said yet.
            unknown = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4)})
            attempt = sign_in(house, oidc.token(ANN, key=unknown))
            assert (await refused(attempt)).kind is Kind.UNAVAILABLE
        assert oidc.asked["/keys"] == 1
        assert await sign_in(house, oidc.token(ANN)) == ANN


async def test_an_outage_is_survived_by_who_needs_no_new_key(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    async with a_house(certificates, sqlite_url, issuer(oidc, keys_seconds=0.001)) as house:
        assert await sign_in(house, oidc.token(ANN)) == ANN
        oidc.kill()
        assert await sign_in(house, oidc.token(ANN)) == ANN
        oidc.rotate()
        assert (await refused(sign_in(house, oidc.token(ANN)))).kind is Kind.UNAVAILABLE
        oidc.start()
        async with asyncio.timeout(30):
            while oidc.asked["/keys"] < 2:  # the next fetch begins no sooner than is set
                await asyncio.gather(sign_in(house, oidc.token(ANN)), return_exceptions=True)
        assert await sign_in(house, oidc.token(ANN)) == ANN


async def test_keys_that_are_too_old_serve_no_more(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    short = issuer(oidc, keys_seconds=0.001, stale_seconds=0.001)
    async with a_house(certificates, sqlite_url, short) as house:
        assert await sign_in(house, oidc.token(ANN)) == ANN
        oidc.kill()
        assert (await refused(sign_in(house, oidc.token(ANN)))).kind is Kind.UNAVAILABLE
        oidc.start()


@pytest.mark.parametrize("check", ["keys", "introspection"])
async def test_an_issuer_that_is_silent_puts_off_its_own_people_alone(
    certificates: Path, sqlite_url: str, oidc: Oidc, check: str
) -> None:
    ours = introspecting(oidc) if check == "introspection" else issuer(oidc)
    with running_oidc() as other:
        theirs = issuer(other, domains=["example.com"])
        async with a_house(certificates, sqlite_url, ours, theirs) as house:
            oidc.talks.clear()
            began = time.monotonic()
            attempts = [refused(sign_in(house, oidc.token(ANN))) for _ in range(20)]
            errors = await asyncio.gather(*attempts)
            assert {error.kind for error in errors} == {Kind.UNAVAILABLE}
            assert all(error.temporary for error in errors)
            assert time.monotonic() - began < SECONDS + MARGIN
            eve = other.token("eve@example.com")
            assert await sign_in(house, eve, "eve@example.com") == "eve@example.com"
            assert (await house.login(ANN, SECRET)).address == ANN  # her password is ours
            oidc.talks.set()
            token = oidc.token(ANN) if check == "keys" else oidc.opaque_token(ANN)
            assert await sign_in(house, token) == ANN


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": None},
        {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://127.0.0.1:1/nobody"},
    ],
    ids=str,
)
async def test_an_issuer_that_is_set_up_wrongly_is_away(
    oidc_house: House, oidc: Oidc, changes: dict[str, Any]
) -> None:
    oidc.changes = changes
    assert (await refused(sign_in(oidc_house, oidc.token(ANN)))).kind is Kind.UNAVAILABLE


async def test_an_endless_document_is_not_read_to_its_end(
    oidc_house: House, oidc: Oidc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "answer", lambda *_: b"[" * 50_000_000)
    assert (await refused(sign_in(oidc_house, oidc.token(ANN)))).kind is Kind.UNAVAILABLE
    monkeypatch.setattr(oidc, "answer", lambda *_: b"[" * 500_000)
    assert (await refused(sign_in(oidc_house, oidc.token(ANN)))).kind is Kind.UNAVAILABLE


async def test_each_issuer_speaks_for_its_domains_alone(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    with running_oidc() as other:
        theirs = issuer(other, domains=["example.com"])
        async with a_house(certificates, sqlite_url, issuer(oidc), theirs) as house:
            for name in (ANN, ""):
                document = await told(house, bearer(other.token(ANN), name))
                assert document["status"] == "invalid_token"
            assert await sign_in(house, oidc.token(ANN), "") == ANN


async def test_introspection(certificates: Path, database_url: str, oidc: Oidc) -> None:
    async with a_house(certificates, database_url, introspecting(oidc)) as house:
        token = oidc.opaque_token(ANN)
        for name in (ANN, ""):
            assert await sign_in(house, token, name) == ANN
        await asyncio.gather(*(sign_in(house, token) for _ in range(20)))
        assert oidc.asked["/introspection"] == 1  # remembered, as a keyed hash
        assert await sign_in(house, oidc.opaque_token(ANN, aud=None, client_id=AUDIENCE)) == ANN
        for wrong in (
            "unheard-of",
            oidc.opaque_token(ANN, active="true"),
            oidc.opaque_token(ANN, aud="others"),
            oidc.opaque_token(ANN, aud=None),
            oidc.opaque_token(ANN, aud=None, client_id="others"),
            oidc.opaque_token(ANN, iss="https://elsewhere.example"),
            oidc.opaque_token(ANN, exp=NOW - 100),
            oidc.opaque_token("bob@example.org"),
        ):
            assert (await told(house, bearer(wrong)))["status"] == "invalid_token"


async def test_a_revoked_token_is_good_for_as_long_as_answers_are_remembered(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    ours = introspecting(oidc, introspected_seconds=0)
    async with a_house(certificates, sqlite_url, ours) as house:
        token = oidc.opaque_token(ANN)
        assert await sign_in(house, token) == ANN
        oidc.opaque[token]["active"] = False
        assert (await told(house, bearer(token)))["status"] == "invalid_token"


async def test_an_issuer_that_doesnt_know_us_is_away(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    ours = {**introspecting(oidc), "client_secret": "another"}
    async with a_house(certificates, sqlite_url, ours) as house:
        error = await refused(sign_in(house, oidc.opaque_token(ANN)))
        assert error.kind is Kind.UNAVAILABLE


async def test_a_jwt_may_have_to_be_signed_and_known(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    ours = {**introspecting(oidc), "check": "both"}
    async with a_house(certificates, sqlite_url, ours) as house:
        token = oidc.token(ANN)
        assert (await told(house, bearer(token)))["status"] == "invalid_token"
        known = oidc.token(ANN, exp=int(time.time()) + 30)
        oidc.opaque[known] = {"active": True}
        _, ticket = await house.exchange("OAUTHBEARER", initial=bearer(known))
        assert ticket.expires_at <= time.time() + 30 + 5


async def test_no_ticket_outlives_its_token(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    ours = issuer(oidc, clock_skew_seconds=0)
    async with a_house(certificates, sqlite_url, ours) as house:
        expires = int(time.time()) + 2
        short, long = oidc.token(ANN, exp=expires), oidc.token(ANN, exp=expires + 3600)
        _, ticket = await house.exchange("OAUTHBEARER", initial=bearer(short))
        assert ticket.expires_at == expires
        renewed = await house.renew(ticket.token)
        assert renewed.expires_at == expires
        verifier = TicketVerifier(
            read_verification_keys([(certificates / "ticket.pub").read_bytes()])
        )
        assert verifier.verify(renewed.token).until == expires
        _, other = await house.exchange("OAUTHBEARER", initial=bearer(long))
        assert other.expires_at > expires
        await asyncio.sleep(expires + 0.1 - time.time())
        assert (await refused(house.renew(ticket.token))).kind is Kind.EXPIRED
        assert (await house.renew(other.token)).address == ANN


async def test_guesses_are_throttled_and_old_tokens_are_none(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    few = {"throttle_account_failures": 3, "throttle_first_seconds": 100}
    async with a_house(certificates, sqlite_url, issuer(oidc), **few) as house:
        for _ in range(10):
            await told(house, bearer(oidc.token(ANN, exp=NOW - 100)))
        assert await sign_in(house, oidc.token(ANN)) == ANN
        for _ in range(4):
            await told(house, bearer("wrong"))
        assert (await refused(sign_in(house, oidc.token(ANN)))).kind is Kind.RATE_LIMITED


async def test_guesses_without_a_name_are_counted_for_where_they_come_from(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    few = {"throttle_network_failures": 3, "throttle_first_seconds": 100, "lock_failures": 2}
    async with a_house(certificates, sqlite_url, issuer(oidc), **few) as house:
        for _ in range(4):
            await told(house, bearer("wrong", ""))
        assert (await refused(sign_in(house, oidc.token(ANN), ""))).kind is Kind.RATE_LIMITED
        assert await sign_in(house, oidc.token(ANN), "", address="198.51.100.7") == ANN


async def test_guesses_without_a_name_from_an_exempt_network_hold_nobody_up(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    few = {"throttle_account_failures": 1, "throttle_network_failures": 1, "lock_failures": 2}
    exempt = {"throttle_exempt": "192.0.2.0/24"}
    async with a_house(certificates, sqlite_url, issuer(oidc), **few, **exempt) as house:
        for _ in range(4):
            await told(house, bearer("wrong", ""))
        assert await sign_in(house, oidc.token(ANN), "") == ANN


async def test_a_disabled_account_is_refused_like_a_wrong_token(
    oidc_house: House, oidc: Oidc
) -> None:
    change = account_pb2.UpdateAccountRequest(address=ANN, disabled=True)
    await oidc_house.accounts.UpdateAccount(change)
    wrong = await told(oidc_house, bearer("wrong"))
    assert await told(oidc_house, bearer(oidc.token(ANN))) == wrong


async def test_who_signs_in_for_the_first_time_may_get_an_account(
    certificates: Path, database_url: str, oidc: Oidc
) -> None:
    ours = issuer(oidc, create_accounts=True, quota_bytes=1000)
    async with a_house(certificates, database_url, ours) as house:
        token = oidc.token("zoë@example.org", name="Zoë \x07Z")
        first = bearer(token, "zoë@example.org")
        attempts = (house.exchange("OAUTHBEARER", initial=first) for _ in range(5))
        tickets = [ticket for _, ticket in await asyncio.gather(*attempts)]
        assert len({ticket.account_id for ticket in tickets}) == 1
        assert tickets[0].quota_bytes == 1000
        assert (await refused(house.login("zoë@example.org", "x"))).kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("mechanism", "name"), [("OAUTHBEARER", ANN), ("OAUTHBEARER", ""), ("XOAUTH2", ANN)]
)
async def test_a_lock_holds_for_tokens_and_the_audit_tells(
    oidc_house: House, oidc: Oidc, mechanism: str, name: str
) -> None:
    first = bearer(oidc.token(ANN), name, mechanism)
    _, ticket = await oidc_house.exchange(mechanism, initial=first)
    await oidc_house.accounts.LockAccount(credential_pb2.LockAccountRequest(address=ANN))
    assert (await refused(oidc_house.renew(ticket.token))).kind is Kind.UNAUTHENTICATED
    assert (await told(oidc_house, first, mechanism))["status"]
    entry = await last_entry(oidc_house, 2)
    assert (entry.mechanism, entry.account, entry.credential) == (mechanism, ANN, "")
    assert (entry.outcome, entry.why) == ("UNAUTHENTICATED", "disabled or locked")
    await oidc_house.accounts.UnlockAccount(credential_pb2.UnlockAccountRequest(address=ANN))
    await set_app_passwords_only(oidc_house, True)
    _, ticket = await oidc_house.exchange(mechanism, initial=first)
    assert ticket.address == ANN
    entry = await last_entry(oidc_house, 3)
    assert (entry.mechanism, entry.account, entry.outcome) == (mechanism, ANN, "OK")


async def test_tokens_that_are_wrong_at_another_replica_count(
    certificates: Path, sqlite_url: str, oidc: Oidc
) -> None:
    free = {"throttle_account_failures": 5}
    async with (
        a_house(certificates, sqlite_url, issuer(oidc), **free) as one,
        opened(
            certificates,
            sqlite_url,
            directories={"office": issuer(oidc)},
            directory_seconds=0,
            **free,
        ) as other,
    ):
        for number in range(6):
            guess = one.login(ANN, f"guess {number}", address=f"192.0.2.{number + 10}")
            assert (await refused(guess)).kind is Kind.UNAUTHENTICATED
        attempt = sign_in(other, oidc.token(ANN))
        assert (await refused(attempt)).kind is Kind.RATE_LIMITED
