"""People who show a ticket of Kerberos: a real KDC, and libgssapi as the client's side."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from postroom.auth.v1 import account_pb2, authentication_pb2, credential_pb2
from postroom_chassis.errors import Kind

from tests.harness.clients import require
from tests.harness.kdc import REALM, Kdc, missing, running_kdc
from tests.protocol.auth.house import House, opened, refused
from tests.protocol.auth.test_every_mechanism import last_entry, set_app_passwords_only

ANN = "ann@example.org"
SECRET = "anns secret"
SERVICES = ("imap/localhost", "pop/localhost", "smtp/localhost")


@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    require(missing())
    with running_kdc(tmp_path_factory.mktemp("kdc"), clock_skew=1) as running:
        running.add("ann", "bob", "ann/admin", "nobody", password=SECRET)
        running.add(*SERVICES, "imap/elsewhere")
        yield running


@pytest.fixture
def keytab(kdc: Kdc) -> Path:
    path = kdc.keytab("mail.keytab")
    return path if path.exists() else kdc.keytab("mail.keytab", *SERVICES)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """libkrb5 in this process sees these variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@asynccontextmanager
async def a_house(
    certificates: Path, url: str, kdc: Kdc, keytab: Path, **settings: Any
) -> AsyncIterator[House]:
    kerberos = {"keytab": keytab, "kerberos_realms": f"{REALM}=example.org"}
    settings = {"directory_seconds": 0, **kerberos, **settings}
    with environment(kdc.environment):
        async with opened(certificates, url, **settings) as house:
            await house.add_domain("example.org")
            await house.add_account(ANN)
            await house.add_account("bob@example.org")
            yield house


@pytest.fixture
async def kerberos_house(
    certificates: Path, sqlite_url: str, kdc: Kdc, keytab: Path
) -> AsyncIterator[House]:
    async with a_house(certificates, sqlite_url, kdc, keytab) as house:
        yield house


class Client:
    """The client's side of RFC 4752 section 3.1, with tickets in a cache of its own."""

    def __init__(self, tickets: Mapping[str, str], service: str = "imap@localhost") -> None:
        import gssapi

        name = gssapi.Name(service, gssapi.NameType.hostbased_service)
        credentials = gssapi.Credentials(
            usage="initiate", store={"ccache": tickets["KRB5CCNAME"].encode()}
        )
        self._context = gssapi.SecurityContext(
            name=name, creds=credentials, usage="initiate", mech=gssapi.MechType.kerberos
        )

    def first(self) -> bytes:
        return bytes(self._context.step())

    def answer(self, challenge: bytes, choice: bytes = b"\x01\0\0\0") -> bytes:
        if not self._context.complete:
            return bytes(self._context.step(challenge) or b"")
        offered = self._context.unwrap(challenge)
        # No layer, and so no message in one.
        assert offered.message == b"\x01\0\0\0"
        assert not offered.encrypted
        return bytes(self._context.wrap(choice, False).message)


async def sign_in(
    house: House,
    client: Client,
    *,
    choice: bytes = b"\x01\0\0\0",
    at_once: bool = True,
    protocol: str = "imap",
    first: bytes | None = None,
) -> authentication_pb2.Ticket:
    """A whole exchange."""
    call = house.authentication(protocol).Authenticate()
    start = authentication_pb2.AuthenticateRequest.Start(
        mechanism="GSSAPI",
        client=authentication_pb2.Client(protocol=protocol, address="192.0.2.1", secure=False),
    )
    first = client.first() if first is None else first
    if at_once:
        start.initial_response = first
    await call.write(authentication_pb2.AuthenticateRequest(start=start))
    async for answer in answers(call):
        if answer.WhichOneof("step") == "success":
            return answer.success.ticket
        said = client.answer(answer.challenge, choice) if answer.challenge else first
        await call.write(authentication_pb2.AuthenticateRequest(response=said))
    raise AssertionError("no outcome")


async def answers(call: Any) -> AsyncIterator[authentication_pb2.AuthenticateResponse]:
    import grpc
    from postroom_chassis.rpc.client import error_of

    try:
        while (answer := await call.read()) is not grpc.aio.EOF:
            yield answer
        if await call.code() is not grpc.StatusCode.OK:
            await call
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from None


async def test_who_has_a_ticket_signs_in(kerberos_house: House, kdc: Kdc) -> None:
    tickets = kdc.sign_in("ann", SECRET)
    for protocol, service in (("imap", "imap"), ("pop3", "pop"), ("smtp", "smtp")):
        for at_once in (True, False):
            client = Client(tickets, f"{service}@localhost")
            ticket = await sign_in(kerberos_house, client, protocol=protocol, at_once=at_once)
            assert ticket.address == ANN


@pytest.mark.parametrize("name", [b"ann", b"Ann@Example.ORG", b"ann@EXAMPLE.TEST"])
async def test_an_authorization_identity_is_the_persons_own(
    kerberos_house: House, kdc: Kdc, name: bytes
) -> None:
    client = Client(kdc.sign_in("ann", SECRET))
    assert (await sign_in(kerberos_house, client, choice=b"\x01\0\0\0" + name)).address == ANN


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (b"\x01\0\0\0bob@example.org", Kind.UNAUTHENTICATED),
        (b"\x01\0\0\0bob", Kind.UNAUTHENTICATED),
        (b"\x02\0\x10\0", Kind.INVALID),  # integrity, which nobody offered
        (b"\x04\0\x10\0", Kind.INVALID),
        (b"\x01\0", Kind.INVALID),
        (b"", Kind.INVALID),
        (b"\x01\0\0\0\xff", Kind.INVALID),
        (b"\x01\0\0\0" + b"a" * 400, Kind.INVALID),
    ],
    ids=str,
)
async def test_other_choices_are_refused(
    kerberos_house: House, kdc: Kdc, choice: bytes, kind: Kind
) -> None:
    attempt = sign_in(kerberos_house, Client(kdc.sign_in("ann", SECRET)), choice=choice)
    assert (await refused(attempt)).kind is kind


@pytest.mark.parametrize("service", ["pop@localhost", "imap@elsewhere"])
async def test_tickets_for_others_are_refused(
    kerberos_house: House, kdc: Kdc, service: str
) -> None:
    # The keytab has POP's key, but this is IMAP; of the other host it has none.
    error = await refused(sign_in(kerberos_house, Client(kdc.sign_in("ann", SECRET), service)))
    assert error.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("name", ["nobody", "ann/admin"])
async def test_principals_without_an_account_are_refused(
    kerberos_house: House, kdc: Kdc, name: str
) -> None:
    error = await refused(sign_in(kerberos_house, Client(kdc.sign_in(name, SECRET))))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_a_disabled_account_is_refused(kerberos_house: House, kdc: Kdc) -> None:
    change = account_pb2.UpdateAccountRequest(address=ANN, disabled=True)
    await kerberos_house.accounts.UpdateAccount(change)
    error = await refused(sign_in(kerberos_house, Client(kdc.sign_in("ann", SECRET))))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_a_lock_holds_for_principals_and_the_audit_tells(
    kerberos_house: House, kdc: Kdc
) -> None:
    house = kerberos_house
    await set_app_passwords_only(house, True)
    ticket = await sign_in(house, Client(kdc.sign_in("ann", SECRET)))
    await house.accounts.LockAccount(credential_pb2.LockAccountRequest(address=ANN))
    assert (await refused(house.renew(ticket.token))).kind is Kind.UNAUTHENTICATED
    attempt = sign_in(house, Client(kdc.sign_in("ann", SECRET)))
    assert (await refused(attempt)).kind is Kind.UNAUTHENTICATED
    entry = await last_entry(house, 2)
    assert (entry.mechanism, entry.account, entry.credential) == ("GSSAPI", ANN, "")
    assert (entry.outcome, entry.why) == ("UNAUTHENTICATED", "disabled or locked")
    await house.accounts.UnlockAccount(credential_pb2.UnlockAccountRequest(address=ANN))
    assert (await sign_in(house, Client(kdc.sign_in("ann", SECRET)))).address == ANN


async def test_another_realm_of_that_name_is_nobodys(kerberos_house: House, tmp_path: Path) -> None:
    folder = tmp_path / "impostor"
    folder.mkdir()
    with running_kdc(folder) as impostor:
        impostor.add("ann", password=SECRET)
        impostor.add("imap/localhost")
        tickets = impostor.sign_in("ann", SECRET)
        with environment(impostor.environment):
            token = Client(tickets).first()
    error = await refused(sign_in(kerberos_house, Client.__new__(Client), first=token))
    assert error.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("token", [b"\0", b"garbage", b"\x60\x82", b"\x60" * 3000])
async def test_garbage_is_refused(kerberos_house: House, token: bytes) -> None:
    error = await refused(kerberos_house.exchange("GSSAPI", initial=token))
    assert error.kind in (Kind.UNAUTHENTICATED, Kind.INVALID)


async def test_a_token_that_is_said_again_proves_nothing(kerberos_house: House, kdc: Kdc) -> None:
    client = Client(kdc.sign_in("ann", SECRET))
    token = client.first()
    assert (await sign_in(kerberos_house, client, first=token)).address == ANN
    # Whoever has only heard it knows no key for what comes next.
    attempt = kerberos_house.exchange("GSSAPI", b"", b"\x01\0\0\0", initial=token)
    assert (await refused(attempt)).kind is Kind.UNAUTHENTICATED


async def test_a_ticket_that_has_expired_is_refused(kerberos_house: House, kdc: Kdc) -> None:
    client = Client(kdc.sign_in("ann", SECRET, "-l", "2s"))
    token, ends = client.first(), time.time() + 2
    await asyncio.sleep(ends + 3 - time.time())  # the clocks may differ by one second here
    error = await refused(sign_in(kerberos_house, client, first=token))
    assert error.kind is Kind.UNAUTHENTICATED


async def test_a_client_whose_clock_is_wrong_is_refused(kerberos_house: House, kdc: Kdc) -> None:
    tickets = kdc.sign_in("ann", SECRET)
    Client(tickets).first()  # has the KDC give a ticket for the service, while the clock is right
    _shift_clock(Path(tickets["KRB5CCNAME"].removeprefix("FILE:")), 600)
    error = await refused(sign_in(kerberos_house, Client(tickets)))
    assert error.kind is Kind.UNAUTHENTICATED


def _shift_clock(cache: Path, seconds: int) -> None:
    """Let a cache say that the KDC's clock is ahead: its header holds the difference (tag 1)."""
    content = cache.read_bytes()
    assert content[:6] == b"\x05\x04\x00\x0c\x00\x01"
    cache.write_bytes(content[:8] + seconds.to_bytes(4, "big") + bytes(4) + content[16:])


async def test_no_ticket_outlives_kerberoses(kerberos_house: House, kdc: Kdc) -> None:
    tickets = kdc.sign_in("ann", SECRET, "-l", "60s")
    began = time.time()
    ticket = await sign_in(kerberos_house, Client(tickets))
    assert ticket.expires_at <= began + 60 + 2
    assert (await kerberos_house.renew(ticket.token)).expires_at == ticket.expires_at


async def test_no_kdc_is_asked(certificates: Path, sqlite_url: str, tmp_path: Path) -> None:
    require(missing())
    with running_kdc(tmp_path) as own:
        own.add("ann", password=SECRET)
        own.add(*SERVICES)
        tickets = own.sign_in("ann", SECRET)
        async with a_house(
            certificates, sqlite_url, own, own.keytab("mail.keytab", *SERVICES)
        ) as house:
            client = Client(tickets)
            token = client.first()
            own.kill()
            assert (await sign_in(house, client, first=token)).address == ANN


async def test_a_keytab_without_the_service_is_a_temporary_failure(
    certificates: Path, sqlite_url: str, kdc: Kdc
) -> None:
    keytab = kdc.keytab("pop.keytab", "pop/localhost")
    async with a_house(certificates, sqlite_url, kdc, keytab) as house:
        error = await refused(sign_in(house, Client(kdc.sign_in("ann", SECRET))))
        assert error.kind is Kind.UNAVAILABLE
        client = Client(kdc.sign_in("ann", SECRET), "pop@localhost")
        assert (await sign_in(house, client, protocol="pop3")).address == ANN


async def test_a_hostname_may_be_demanded(certificates: Path, sqlite_url: str, kdc: Kdc) -> None:
    keytab = kdc.keytab("two.keytab", "imap/localhost", "imap/elsewhere")
    async with a_house(
        certificates, sqlite_url, kdc, keytab, kerberos_hostname="elsewhere"
    ) as house:
        tickets = kdc.sign_in("ann", SECRET)
        assert (await sign_in(house, Client(tickets, "imap@elsewhere"))).address == ANN
        error = await refused(sign_in(house, Client(tickets)))
        assert error.kind is Kind.UNAUTHENTICATED


async def test_failures_are_counted_for_where_they_come_from(
    certificates: Path, sqlite_url: str, kdc: Kdc, keytab: Path
) -> None:
    few = {"throttle_network_failures": 3, "throttle_first_seconds": 100}
    async with a_house(certificates, sqlite_url, kdc, keytab, **few) as house:
        for _ in range(4):
            await refused(house.exchange("GSSAPI", initial=b"garbage"))
        error = await refused(sign_in(house, Client(kdc.sign_in("ann", SECRET))))
        assert error.kind is Kind.RATE_LIMITED


async def test_failures_at_another_replica_count(
    certificates: Path, sqlite_url: str, kdc: Kdc, keytab: Path
) -> None:
    few = {"throttle_network_failures": 3, "throttle_first_seconds": 100}
    replica = {"keytab": keytab, "kerberos_realms": f"{REALM}=example.org", **few}
    async with (
        a_house(certificates, sqlite_url, kdc, keytab, **few) as one,
        opened(certificates, sqlite_url, **replica) as other,
    ):
        for _ in range(4):
            await refused(one.exchange("GSSAPI", initial=b"garbage"))
        error = await refused(sign_in(other, Client(kdc.sign_in("ann", SECRET))))
        assert error.kind is Kind.RATE_LIMITED


async def test_failures_from_an_exempt_network_hold_nobody_up(
    certificates: Path, sqlite_url: str, kdc: Kdc, keytab: Path
) -> None:
    few = {"throttle_account_failures": 1, "throttle_network_failures": 1, "lock_failures": 2}
    exempt = {"throttle_exempt": "192.0.2.0/24"}
    async with a_house(certificates, sqlite_url, kdc, keytab, **few, **exempt) as house:
        for _ in range(4):
            await refused(house.exchange("GSSAPI", initial=b"garbage"))
        assert (await sign_in(house, Client(kdc.sign_in("ann", SECRET)))).address == ANN


async def test_it_is_offered_where_there_is_a_keytab(
    kerberos_house: House, certificates: Path, tmp_path: Path
) -> None:
    assert (await kerberos_house.mechanisms())[0] == "GSSAPI"
    assert "GSSAPI" in await kerberos_house.mechanisms(secure=False)
    assert "GSSAPI" not in await kerberos_house.mechanisms(protocol="api")
    async with opened(certificates, f"sqlite:///{tmp_path}/none.sqlite3") as house:
        assert "GSSAPI" not in await house.mechanisms()


async def test_many_at_once(kerberos_house: House, kdc: Kdc) -> None:
    tickets = kdc.sign_in("ann", SECRET)
    async with asyncio.TaskGroup() as group:
        done = [group.create_task(sign_in(kerberos_house, Client(tickets))) for _ in range(50)]
    assert [task.result().address for task in done] == [ANN] * 50
