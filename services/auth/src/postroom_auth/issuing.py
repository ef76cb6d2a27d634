"""Tickets for those who have proved who they are, and fresh ones for those who hold one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.tickets import (
    SCOPE_MAIL,
    SCOPE_MAILDROP,
    SCOPE_SUBMIT,
    Ticket,
    TicketSigner,
    TicketVerifier,
)

from postroom_auth.domain.people import Credential
from postroom_auth.ports import AppPasswords, Directory
from postroom_auth.remembered import Remembered

# What a person may do on a connection of each protocol, and which service frames that protocol.
SCOPES = {
    "imap": frozenset({SCOPE_MAIL}),
    "pop3": frozenset({SCOPE_MAILDROP}),
    "smtp": frozenset({SCOPE_SUBMIT}),
    "api": frozenset({SCOPE_MAIL}),
}
PROTOCOLS_OF = {"imap": "imap", "pop3": "pop3", "smtp": "smtp", "admin": "api"}

REUSED_PART = 0.2  # of a ticket's life: as long is one handed out to further sessions
REUSED_TICKETS = 10_000


@dataclass(frozen=True, slots=True)
class Issued:
    """A ticket and its serialisation."""

    ticket: Ticket
    token: str


class TicketOffice:
    """Issues and renews tickets.

    Sessions of one person that begin within a fifth of a ticket's life share one: it saves the
    signature here and the check of it in the store.

    Attributes:
        verifier: knows its own tickets.

    Args:
        seconds: how long a ticket is good for.
        clock: Unix seconds.
    """

    def __init__(
        self,
        signer: TicketSigner,
        verifier: TicketVerifier,
        directory: Directory,
        app_passwords: AppPasswords,
        seconds: int,
        clock: Callable[[], float],
    ) -> None:
        self._signer = signer
        self.verifier = verifier
        self._directory = directory
        self._app_passwords = app_passwords
        self._seconds = seconds
        self._clock = clock
        self._fresh = Remembered[tuple[Credential, frozenset[str], int], Issued](
            seconds * REUSED_PART, REUSED_TICKETS, clock
        )

    def issue(self, credential: Credential, scopes: frozenset[str], until: int = 0) -> Issued:
        """A ticket for an account.

        Args:
            until: Unix seconds, at which what was proved ends, and the ticket with it; 0: never.
        """
        key = (credential, scopes, until)
        if issued := self._fresh.get(key, None):
            return issued
        expires_at = int(self._clock()) + self._seconds
        ticket = Ticket(
            account_id=credential.account_id,
            address=credential.address,
            scopes=scopes,
            expires_at=min(expires_at, until) if until else expires_at,
            quota_bytes=credential.quota_bytes,
            quota_messages=credential.quota_messages,
            quota_mailboxes=credential.quota_mailboxes,
            credential=credential.version,
            app_password=credential.app_password,
            until=until,
        )
        issued = Issued(ticket, self._signer.sign(ticket))
        self._fresh.put(key, issued, self._fresh.era)
        return issued

    async def renew(self, token: str) -> Issued:
        """A fresh ticket for one that has not expired.

        Raises:
            PostroomError: EXPIRED; UNAUTHENTICATED where it is no ticket of ours, or the account
                is disabled, locked or gone, or what somebody signed in with has changed.
        """
        ticket = self.verifier.verify(token)
        credential = await self._directory.credential_of(ticket.account_id)
        if credential is None or credential.disabled or not await self._good(ticket, credential):
            raise PostroomError(Kind.UNAUTHENTICATED, "sign in again")
        credential = replace(credential, app_password=ticket.app_password)
        # No ticket lives longer than what it stands on: one that has not expired may be renewed.
        return self.issue(credential, ticket.scopes, ticket.until)

    async def _good(self, ticket: Ticket, credential: Credential) -> bool:
        """Whether what opened a ticket would open one now. An app password and the account's own
        password have nothing to do with each other."""
        if not ticket.app_password:
            return credential.version == ticket.credential
        found = await self._app_passwords.find_by_id(ticket.account_id, ticket.app_password)
        return found is not None and found.scope.alive(self._clock())
