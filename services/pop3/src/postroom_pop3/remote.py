"""The ports over gRPC: auth and store as a session sees them."""

from __future__ import annotations

import secrets
import time
from array import array
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar, cast

from grpc_health.v1 import health_pb2, health_pb2_grpc
from postroom.auth.v1 import authentication_pb2
from postroom.store.v1 import maildrop_pb2, maildrop_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.rpc.client import Channel, ticketed, together
from postroom_chassis.rpc.repeating import repeat
from postroom_chassis.rpc.signing_in import SigningIn
from postroom_chassis.tickets import may_go_on

from postroom_pop3.ports import Answer, Identity, Offer, Piece
from postroom_pop3.protocol.capabilities import Policy
from postroom_pop3.protocol.maildrop import Snapshot

RENEW_SECONDS = 60  # where auth doesn't say how soon a ticket is to be renewed
TICKET_MARGIN_SECONDS = 60.0  # a ticket that ends within these is renewed, however new it is
RENEW_AT = 0.6  # of the time that there is; the lease's next renewal after that does it

T = TypeVar("T")


async def check(channel: Channel) -> None:
    """Raise unless the service at the other end says that it serves."""
    health = channel.stub(health_pb2_grpc.HealthStub)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise PostroomError(Kind.UNAVAILABLE, "it does not serve now")


class RemoteAuthenticator:
    """Authenticator over postroom.auth.v1.AuthenticationService."""

    def __init__(self, auth: Channel) -> None:
        self._auth = SigningIn(auth, "pop3")

    async def offer(self, client: Client) -> Offer:
        offer = await self._auth.offer(client)
        return Offer(
            tuple(offer.mechanisms),
            frozenset(offer.private_mechanisms),
            _policy(offer.strictest_policy),
        )

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Identity:
        success = await self._auth.authenticate(client, mechanism, initial, answer)
        # RFC 5034 section 4: data that end an exchange travel as a last challenge.
        if success.additional_data and await answer(success.additional_data) is None:
            raise PostroomError(Kind.INVALID, "cancelled")
        ticket, maildrop = success.ticket, success.maildrop
        return Identity(
            ticket.account_id,
            ticket.address,
            ticket.token,
            ticket.expires_at,
            ticket.renew_seconds,
            maildrop.mailbox,
            _policy(maildrop.policy),
        )

    async def renew(self, identity: Identity) -> Identity:
        """A fresh ticket for the same person. Raises UNAUTHENTICATED, EXPIRED."""
        ticket = await self._auth.renew(identity.ticket)
        return replace(
            identity,
            ticket=ticket.token,
            expires_at=ticket.expires_at,
            renew_seconds=ticket.renew_seconds,
        )


class RemoteMaildrops:
    """Maildrops over postroom.store.v1.MaildropService."""

    def __init__(self, store: Channel, authenticator: RemoteAuthenticator) -> None:
        self._stub = store.stub(maildrop_pb2_grpc.MaildropServiceStub)
        self._authenticator = authenticator

    async def lock(self, identity: Identity) -> RemoteMaildrop:
        # The key makes every attempt take one and the same lease.
        request = maildrop_pb2.LockRequest(
            idempotency_key=secrets.token_bytes(16), mailbox=identity.mailbox
        )
        return await repeat(lambda: self._lock(identity, request))

    async def _lock(self, identity: Identity, request: maildrop_pb2.LockRequest) -> RemoteMaildrop:
        lease_id, uid_validity = b"", 0
        uids, sizes = array("I"), array("I")  # UIDs and sizes have 32 bits: four octets each
        call = self._stub.Lock(request, metadata=together(ticketed(identity.ticket), 0))
        async with _closing(call) as responses:
            async for response in responses:
                lease_id = lease_id or response.lease_id
                uid_validity = uid_validity or response.uid_validity
                uids.extend(response.uids)
                sizes.extend(response.sizes)
        snapshot = Snapshot(uid_validity, uids, sizes)
        return RemoteMaildrop(self._stub, self._authenticator, identity, lease_id, snapshot)


class RemoteMaildrop:
    """LockedMaildrop: a lease, and the ticket that it is used with."""

    def __init__(
        self,
        stub: maildrop_pb2_grpc.MaildropServiceAsyncStub,
        authenticator: RemoteAuthenticator,
        identity: Identity,
        lease_id: bytes,
        snapshot: Snapshot,
    ) -> None:
        self._stub = stub
        self._authenticator = authenticator
        self._identity = identity
        self._lease_id = lease_id
        self.snapshot = snapshot
        self._renewed_at = time.monotonic()

    async def renew(self) -> None:
        seconds = self._identity.renew_seconds or RENEW_SECONDS
        late = time.monotonic() - self._renewed_at >= seconds * RENEW_AT
        if late or self._identity.expires_at - time.time() < TICKET_MARGIN_SECONDS:
            await self._renew_ticket()
        request = maildrop_pb2.RenewLeaseRequest(lease_id=self._lease_id)
        await self._stub.RenewLease(request, metadata=ticketed(self._identity.ticket))

    async def _renew_ticket(self) -> None:
        try:
            self._identity = await self._authenticator.renew(self._identity)
        except PostroomError as error:
            if may_go_on(error, self._identity.expires_at):
                return
            if error.temporary:
                raise PostroomError(Kind.EXPIRED, "the ticket has expired") from error
            raise
        self._renewed_at = time.monotonic()

    async def retrieve(self, uids: Sequence[int]) -> AsyncGenerator[Piece, None]:
        request = maildrop_pb2.RetrieveRequest(lease_id=self._lease_id, uids=uids)
        call = self._stub.Retrieve(request, metadata=ticketed(self._identity.ticket))
        async with _closing(call) as responses:
            async for response in responses:
                for uid, data in zip(response.uids, response.contents, strict=True):
                    yield Piece(uid, data)

    async def commit(
        self, uids: Sequence[int], retrieved: Sequence[int] = (), expire_before: int = 0
    ) -> int:
        request = maildrop_pb2.CommitRequest(
            lease_id=self._lease_id,
            deleted_uids=uids,
            retrieved_uids=retrieved,
            expire_before=expire_before,
        )
        answer = await self._stub.Commit(request, metadata=ticketed(self._identity.ticket))
        return answer.removed


def _closing(call: AsyncIterable[T]) -> aclosing[AsyncGenerator[T, None]]:
    """The responses of a call that is cancelled where they are not read to the end."""
    return aclosing(cast(AsyncGenerator[T, None], call))


def _policy(policy: authentication_pb2.MaildropPolicy) -> Policy:
    expire_days = policy.expire_days if policy.HasField("expire_days") else None
    return Policy(expire_days, policy.login_delay)
