"""Signing in at auth, as every front does it (postroom.auth.v1.AuthenticationService)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import cast

from postroom.auth.v1 import authentication_pb2, authentication_pb2_grpc

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.client import Client
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.repeating import repeat

OFFER_SECONDS = 60.0  # how long an answer about mechanisms is kept
EXCHANGE_SECONDS = 300.0

AuthenticateRequest = authentication_pb2.AuthenticateRequest
AuthenticateResponse = authentication_pb2.AuthenticateResponse
Offer = authentication_pb2.ListMechanismsResponse
Success = authentication_pb2.SignInResponse | AuthenticateResponse.Success
Ticket = authentication_pb2.Ticket

# Sends a challenge and gives the client's response, None where the client cancels.
Answer = Callable[[bytes], Awaitable[bytes | None]]


class SigningIn:
    """The clients of one front.

    Args:
        auth: where auth is.
        protocol: what the front speaks: "imap", "pop3" or "smtp".
    """

    def __init__(self, auth: Channel, protocol: str) -> None:
        self._stub = auth.stub(authentication_pb2_grpc.AuthenticationServiceStub)
        self._protocol = protocol
        self._offers: dict[tuple[bool, bool, bool], tuple[float, Offer]] = {}

    async def offer(self, client: Client) -> Offer:
        """How clients like this one may sign in; a minute old at most."""
        expires, offer = self._offers.get(client.standing, (0.0, Offer()))
        if time.monotonic() >= expires:
            request = authentication_pb2.ListMechanismsRequest(client=self._encoded(client))
            offer = await self._stub.ListMechanisms(request)
            self._offers[client.standing] = (time.monotonic() + OFFER_SECONDS, offer)
        return offer

    async def authenticate(
        self, client: Client, mechanism: str, initial: bytes | None, answer: Answer
    ) -> Success:
        """One SASL exchange (RFC 4422), but for what its success says to the client.

        Raises PostroomError as auth does; what `answer` raises.
        """
        if initial is not None:
            # One small call costs a fraction of a stream; it is for mechanisms of one step.
            request = authentication_pb2.SignInRequest(
                mechanism=mechanism, initial_response=initial, client=self._encoded(client)
            )
            try:
                return await repeat(lambda: self._stub.SignIn(request))
            except PostroomError as error:
                if error.kind is not Kind.UNSUPPORTED:
                    raise
        start = AuthenticateRequest.Start(mechanism=mechanism, client=self._encoded(client))
        if initial is not None:
            start.initial_response = initial
        return await self._exchange(start, answer)

    async def renew(self, token: str) -> Ticket:
        """A fresh ticket. EXPIRED, UNAUTHENTICATED: the session must end."""
        request = authentication_pb2.RenewRequest(token=token)
        return (await repeat(lambda: self._stub.Renew(request))).ticket

    async def _exchange(
        self, start: AuthenticateRequest.Start, answer: Answer
    ) -> AuthenticateResponse.Success:
        requests: asyncio.Queue[AuthenticateRequest | None] = asyncio.Queue()
        requests.put_nowait(AuthenticateRequest(start=start))
        call = self._stub.Authenticate(_taken(requests), timeout=EXCHANGE_SECONDS)
        responses = cast("AsyncGenerator[AuthenticateResponse, None]", call)
        try:
            async with aclosing(responses):
                async for response in responses:
                    if response.WhichOneof("step") == "success":
                        return response.success
                    said = await answer(response.challenge)
                    requests.put_nowait(
                        AuthenticateRequest(cancel=True)
                        if said is None
                        else AuthenticateRequest(response=said)
                    )
        finally:
            requests.put_nowait(None)  # or the task that sends would wait until it is collected
        raise PostroomError(Kind.INTERNAL, "the exchange ended without an outcome")

    def _encoded(self, client: Client) -> authentication_pb2.Client:
        return authentication_pb2.Client(
            protocol=self._protocol,
            address=client.address,
            secure=client.secure,
            tls_version=client.tls_version,
            tls_server_end_point=client.tls_server_end_point,
            certificate_names=client.certificate_names,
        )


async def _taken(
    requests: asyncio.Queue[AuthenticateRequest | None],
) -> AsyncIterator[AuthenticateRequest]:
    while (request := await requests.get()) is not None:
        yield request
