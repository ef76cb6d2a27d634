"""Authenticator over auth."""

from __future__ import annotations

from postroom.auth.v1 import authentication_pb2
from postroom_chassis.net.client import Client
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.signing_in import SigningIn

from postroom_imap.ports.identity import Respond, SignedIn, Ticket


class RemoteAuthenticator:
    """Authenticator over postroom.auth.v1.AuthenticationService."""

    def __init__(self, auth: Channel) -> None:
        self._auth = SigningIn(auth, "imap")

    async def mechanisms(self, client: Client) -> tuple[str, ...]:
        return tuple((await self._auth.offer(client)).mechanisms)

    async def authenticate(
        self, mechanism: str, initial_response: bytes | None, client: Client, respond: Respond
    ) -> SignedIn:
        success = await self._auth.authenticate(client, mechanism, initial_response, respond)
        return SignedIn(ticket_of(success.ticket), success.additional_data)

    async def renew(self, ticket: Ticket) -> Ticket:
        return ticket_of(await self._auth.renew(ticket.token))


def ticket_of(ticket: authentication_pb2.Ticket) -> Ticket:
    """A ticket that auth gave."""
    return Ticket(
        ticket.token, ticket.account_id, ticket.address, ticket.expires_at, ticket.renew_seconds
    )
