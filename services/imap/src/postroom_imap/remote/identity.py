"""Authenticator over auth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from postroom.auth.v1 import authentication_pb2, authentication_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.repeating import repeat

from postroom_imap.ports.identity import Client, Respond, SignedIn, Ticket
from postroom_imap.remote.calls import closing

MECHANISMS_SECONDS = 60.0  # how long an answer about mechanisms is kept
EXCHANGE_SECONDS = 300.0

AuthenticateRequest = authentication_pb2.AuthenticateRequest


class RemoteAuthenticator:
    """Authenticator over postroom.auth.v1.AuthenticationService."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(authentication_pb2_grpc.AuthenticationServiceStub)
        self._offers: dict[tuple[bool, bool, bool], tuple[float, tuple[str, ...]]] = {}

    async def mechanisms(self, client: Client) -> tuple[str, ...]:
        expires, offer = self._offers.get(client.standing, (0.0, ()))
        if time.monotonic() >= expires:
            request = authentication_pb2.ListMechanismsRequest(client=_client(client))
            offer = tuple((await self._stub.ListMechanisms(request)).mechanisms)
            self._offers[client.standing] = (time.monotonic() + MECHANISMS_SECONDS, offer)
        return offer

    async def authenticate(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        if initial_response is not None:
            # One small call costs a fraction of a stream; it is for mechanisms of one step.
            request = authentication_pb2.SignInRequest(
                mechanism=mechanism, initial_response=initial_response, client=_client(client)
            )
            try:
                success = await repeat(lambda: self._stub.SignIn(request))
            except PostroomError as error:
                if error.kind is not Kind.UNSUPPORTED:
                    raise
            else:
                return SignedIn(ticket_of(success.ticket), success.additional_data)
        return await self._exchange(mechanism, initial_response, client, respond)

    async def _exchange(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        start = AuthenticateRequest.Start(mechanism=mechanism, client=_client(client))
        if initial_response is not None:
            start.initial_response = initial_response
        requests: asyncio.Queue[AuthenticateRequest | None] = asyncio.Queue()
        requests.put_nowait(AuthenticateRequest(start=start))
        call = self._stub.Authenticate(_taken(requests), timeout=EXCHANGE_SECONDS)
        try:
            async with closing(call) as responses:
                async for response in responses:
                    if response.WhichOneof("step") == "success":
                        success = response.success
                        return SignedIn(ticket_of(success.ticket), success.additional_data)
                    said = await respond(response.challenge)
                    requests.put_nowait(
                        AuthenticateRequest(cancel=True)
                        if said is None
                        else AuthenticateRequest(response=said)
                    )
        finally:
            requests.put_nowait(None)  # or the task that sends would wait until it is collected
        raise PostroomError(Kind.INTERNAL, "the exchange ended without an outcome")

    async def renew(self, ticket: Ticket) -> Ticket:
        request = authentication_pb2.RenewRequest(token=ticket.token)
        return ticket_of((await repeat(lambda: self._stub.Renew(request))).ticket)


async def _taken(
    requests: asyncio.Queue[AuthenticateRequest | None],
) -> AsyncIterator[AuthenticateRequest]:
    while (request := await requests.get()) is not None:
        yield request


def _client(client: Client) -> authentication_pb2.Client:
    return authentication_pb2.Client(
        protocol="imap",
        address=client.address,
        secure=client.secure,
        tls_version=client.tls_version,
        tls_server_end_point=client.tls_server_end_point,
        certificate_names=client.certificate_names,
    )


def ticket_of(ticket: authentication_pb2.Ticket) -> Ticket:
    """A ticket that auth gave."""
    return Ticket(
        ticket.token, ticket.account_id, ticket.address, ticket.expires_at, ticket.renew_seconds
    )
