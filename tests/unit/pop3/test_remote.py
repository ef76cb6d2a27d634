"""The ports over real gRPC with mutual TLS, against services of a few lines."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from postroom.auth.v1 import authentication_pb2
from postroom.store.v1 import maildrop_pb2
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.rpc import repeating
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.settings import Tls
from postroom_chassis.tickets import (
    Ticket,
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)
from postroom_pop3.front import PASSING
from postroom_pop3.ports import Identity
from postroom_pop3.remote import RemoteAuthenticator, RemoteMaildrops, check

Request = authentication_pb2.AuthenticateRequest
Response = authentication_pb2.AuthenticateResponse
CLIENT = Client("192.0.2.1", True, "TLSv1.3")
LATER = 4_000_000_000


@dataclass
class Auth:
    """LOGIN with any name and the password "right"; every renewal gives a longer ticket.

    Attributes:
        fault: what renewals are refused with.
    """

    signer: TicketSigner
    starts: list[Request.Start] = field(default_factory=list)
    fault: PostroomError | None = None

    def ticket(self, expires_at: int) -> authentication_pb2.Ticket:
        token = self.signer.sign(Ticket(7, "ann@example.org", frozenset({"maildrop"}), expires_at))
        return authentication_pb2.Ticket(
            token=token, account_id=7, address="ann@example.org", expires_at=expires_at
        )

    async def SignIn(
        self, request: authentication_pb2.SignInRequest, call: Call
    ) -> authentication_pb2.SignInResponse:
        raise PostroomError(Kind.UNSUPPORTED, "LOGIN takes more than one step")

    async def Authenticate(
        self, requests: AsyncIterator[Request], call: Call
    ) -> AsyncIterator[Response]:
        said: list[bytes] = []
        async for request in requests:
            if request.cancel:
                raise PostroomError(Kind.INVALID, "cancelled")
            if request.HasField("start"):
                self.starts.append(request.start)
            else:
                said.append(request.response)
            if len(said) == 2:
                break
            yield Response(challenge=(b"name", b"password")[len(said)])
        if said[1] != b"right":
            raise PostroomError(Kind.UNAUTHENTICATED, "no")
        yield Response(success=Response.Success(ticket=self.ticket(LATER), additional_data=b"bye"))

    async def ListMechanisms(
        self, request: authentication_pb2.ListMechanismsRequest, call: Call
    ) -> authentication_pb2.ListMechanismsResponse:
        return authentication_pb2.ListMechanismsResponse(mechanisms=["LOGIN"])

    async def Renew(
        self, request: authentication_pb2.RenewRequest, call: Call
    ) -> authentication_pb2.RenewResponse:
        if self.fault:
            raise self.fault
        return authentication_pb2.RenewResponse(ticket=self.ticket(LATER))


@dataclass
class Store:
    """A maildrop of two messages, the second in pieces; notes the expiry of tickets it saw.

    Attributes:
        keys: of each Lock.
        faults: the next Locks break off with them.
    """

    seen: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    faults: list[PostroomError] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)

    async def Lock(
        self, request: maildrop_pb2.LockRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.LockResponse]:
        assert request.idempotency_key
        self.keys.append(request.idempotency_key)
        yield maildrop_pb2.LockResponse(lease_id=b"lease", uid_validity=9, uids=[4], sizes=[1])
        if self.faults:
            raise self.faults.pop(0)
        yield maildrop_pb2.LockResponse(uids=[6], sizes=[4])

    async def RenewLease(
        self, request: maildrop_pb2.RenewLeaseRequest, call: Call
    ) -> maildrop_pb2.RenewLeaseResponse:
        assert request.lease_id == b"lease"
        self.seen.append(call.ticket.expires_at)
        return maildrop_pb2.RenewLeaseResponse()

    async def Retrieve(
        self, request: maildrop_pb2.RetrieveRequest, call: Call
    ) -> AsyncIterator[maildrop_pb2.RetrieveResponse]:
        yield maildrop_pb2.RetrieveResponse(uids=[4, 6], contents=[b"a", b"bc"], more=True)
        yield maildrop_pb2.RetrieveResponse(uids=[6], contents=[b"de"])

    async def Commit(
        self, request: maildrop_pb2.CommitRequest, call: Call
    ) -> maildrop_pb2.CommitResponse:
        self.committed += request.deleted_uids
        return maildrop_pb2.CommitResponse(removed=len(request.deleted_uids))


@dataclass
class Behind:
    """The two services and channels to them."""

    auth: Auth
    store: Store
    auth_channel: Channel
    store_channel: Channel

    @property
    def authenticator(self) -> RemoteAuthenticator:
        return RemoteAuthenticator(self.auth_channel)

    @property
    def maildrops(self) -> RemoteMaildrops:
        return RemoteMaildrops(self.store_channel, self.authenticator)

    def identity(self, expires_at: int = LATER) -> Identity:
        ticket = self.auth.ticket(expires_at)
        return Identity(7, "ann@example.org", ticket.token, expires_at)


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    make_development_certificates(tmp_path)
    signer = TicketSigner(read_signing_key((tmp_path / "ticket.key").read_bytes()))
    keys = read_verification_keys([(tmp_path / "ticket.pub").read_bytes()])
    auth, store = Auth(signer), Store()
    channels = []
    async with AsyncExitStack() as stack:
        for name, file, service, implementation in (
            ("auth", authentication_pb2, "AuthenticationService", auth),
            ("store", maildrop_pb2, "MaildropService", store),
        ):
            server = Server(_tls(tmp_path, name), TicketVerifier(keys))
            server.add(file.DESCRIPTOR.services_by_name[service], implementation)
            port = await server.start("127.0.0.1:0")
            stack.push_async_callback(server.stop, 0)
            channel = Channel(f"127.0.0.1:{port}", name, _tls(tmp_path, "pop3"))
            stack.push_async_callback(channel.close)
            channels.append(channel)
        yield Behind(auth, store, *channels)


def _tls(folder: Path, service: str) -> Tls:
    return Tls(
        certificate=folder / f"{service}.pem",
        key=folder / f"{service}.key",
        authority=folder / "ca.pem",
    )


async def test_an_exchange_is_framed_and_no_more(behind: Behind) -> None:
    asked: list[bytes] = []

    async def answer(challenge: bytes) -> bytes:
        asked.append(challenge)
        return {b"name": b"ann", b"password": b"right", b"bye": b""}[challenge]

    identity = await behind.authenticator.authenticate(CLIENT, "LOGIN", None, answer)
    assert asked == [b"name", b"password", b"bye"]
    assert (identity.address, identity.expires_at) == ("ann@example.org", LATER)
    assert identity.ticket not in repr(identity)
    (start,) = behind.auth.starts
    assert not start.HasField("initial_response")
    assert (start.client.protocol, start.client.address) == ("pop3", "192.0.2.1")


@pytest.mark.parametrize(("said", "kind"), [(b"wrong", Kind.UNAUTHENTICATED), (None, Kind.INVALID)])
async def test_an_exchange_fails_with_its_kind(
    behind: Behind, said: bytes | None, kind: Kind
) -> None:
    async def answer(_challenge: bytes) -> bytes | None:
        return said

    with pytest.raises(PostroomError) as refused:
        await behind.authenticator.authenticate(CLIENT, "LOGIN", b"", answer)
    assert refused.value.kind is kind
    assert behind.auth.starts[0].HasField("initial_response")


async def test_a_client_that_leaves_ends_the_exchange(behind: Behind) -> None:
    async def answer(_challenge: bytes) -> bytes:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await behind.authenticator.authenticate(CLIENT, "LOGIN", None, answer)


async def test_mechanisms_are_asked_once(behind: Behind) -> None:
    authenticator = behind.authenticator
    assert (await authenticator.offer(CLIENT)).mechanisms == ("LOGIN",)
    await behind.auth_channel.close()
    assert (await authenticator.offer(CLIENT)).mechanisms == ("LOGIN",)


async def test_a_maildrop_is_locked_read_and_committed(behind: Behind) -> None:
    locked = await behind.maildrops.lock(behind.identity())
    snapshot = locked.snapshot
    assert snapshot.uid_validity == 9
    assert (list(snapshot.uids), list(snapshot.sizes)) == ([4, 6], [1, 4])
    pieces = [(piece.uid, piece.data) async for piece in locked.retrieve([4, 6])]
    assert pieces == [(4, b"a"), (6, b"bc"), (6, b"de")]
    await locked.commit([4])
    assert behind.store.committed == [4]


async def test_a_ticket_is_renewed_before_it_ends(behind: Behind) -> None:
    locked = await behind.maildrops.lock(behind.identity())
    await locked.renew()
    locked = await behind.maildrops.lock(behind.identity(int(time.time()) + 30))
    await locked.renew()
    assert behind.store.seen == [LATER, LATER]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.UNAVAILABLE, Kind.EXPIRED),
        (Kind.DEADLINE, Kind.EXPIRED),
        (Kind.INTERNAL, Kind.EXPIRED),
        (Kind.UNAUTHENTICATED, Kind.UNAUTHENTICATED),
    ],
)
async def test_a_ticket_that_has_ended_ends_the_session_even_while_auth_is_away(
    behind: Behind, kind: Kind, told: Kind
) -> None:
    behind.auth.fault = PostroomError(kind, "no")
    locked = await behind.maildrops.lock(behind.identity())
    locked._identity = behind.identity(int(time.time()) - 1)
    with pytest.raises(PostroomError) as refused:
        await locked.renew()
    assert refused.value.kind is told
    assert refused.value.kind not in PASSING


async def test_while_auth_is_away_a_ticket_is_good_for_as_long_as_it_says(behind: Behind) -> None:
    soon = int(time.time()) + 30
    locked = await behind.maildrops.lock(behind.identity(soon))
    behind.auth.fault = PostroomError(Kind.UNAVAILABLE, "away")
    await locked.renew()
    assert behind.store.seen == [soon]


async def test_readiness_follows_the_services(behind: Behind) -> None:
    await check(behind.store_channel)
    await behind.store_channel.close()
    with pytest.raises(Exception, match=r"(?i)closed"):
        await check(behind.store_channel)


async def test_a_lock_that_was_lost_on_its_way_is_asked_for_again(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeating, "RETRY_SECONDS", 0.001)
    away = PostroomError(Kind.UNAVAILABLE, "away")
    behind.store.faults = [away, away]
    locked = await behind.maildrops.lock(behind.identity())
    assert list(locked.snapshot.uids) == [4, 6]
    assert len(behind.store.keys) == 3
    assert len(set(behind.store.keys)) == 1
    behind.store.faults = [away] * repeating.ATTEMPTS
    with pytest.raises(PostroomError) as refused:
        await behind.maildrops.lock(behind.identity())
    assert refused.value.kind is Kind.UNAVAILABLE


async def test_a_lock_that_was_refused_is_not_asked_for_again(behind: Behind) -> None:
    behind.store.faults = [PostroomError(Kind.IN_USE, "another session has it")]
    with pytest.raises(PostroomError) as refused:
        await behind.maildrops.lock(behind.identity())
    assert refused.value.kind is Kind.IN_USE
    assert len(behind.store.keys) == 1
