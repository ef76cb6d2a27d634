"""What accounts may keep, for people: one's own, and those of the tenant that one administers."""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.tickets import SCOPE_QUOTA, Ticket

from postroom_auth.administering import Administering
from postroom_auth.domain.people import Account, Changes, InvalidValue
from postroom_auth.issuing import Issued, TicketOffice
from postroom_auth.ports import Directory

SCOPES = frozenset({SCOPE_QUOTA})


class Quotas:
    """The use cases of QuotaService.

    Raises (all): PostroomError DENIED for whoever may not, UNAUTHENTICATED where the account is
    gone, NOT_FOUND, INVALID.
    """

    def __init__(
        self, administering: Administering, directory: Directory, office: TicketOffice
    ) -> None:
        self._administering = administering
        self._directory = directory
        self._office = office

    async def open(self, caller: Ticket, address: str) -> Issued:
        """A ticket that shows what an account may keep, and opens how much it does."""
        if address != caller.address:
            await self._administered(caller, address)
        return await self._issue(await self._administering.account(address))

    async def set(self, caller: Ticket, address: str, quota: Quota) -> Issued:
        """Replace an account's limits."""
        await self._administered(caller, address)
        try:
            changes = Changes(
                quota_bytes=quota.bytes,
                quota_messages=quota.messages,
                quota_mailboxes=quota.mailboxes,
            )
        except InvalidValue as error:
            raise PostroomError(Kind.INVALID, str(error)) from error
        account = await self._administering.change_account(address, changes, by=caller.address)
        return await self._issue(account)

    async def _administered(self, caller: Ticket, address: str) -> None:
        """Who is no administrator isn't told whether there is such an account."""
        administrator = await self._administering.account_of(caller.account_id)
        if administrator.administrator and not administrator.disabled:
            account = await self._administering.account(address)
            if account.tenant == administrator.tenant:
                return
        raise PostroomError(Kind.DENIED, "this quota is somebody else's")

    async def _issue(self, account: Account) -> Issued:
        credential = await self._directory.credential_of(account.account_id)
        if credential is None:
            raise PostroomError(Kind.NOT_FOUND, "there is no such account")
        return self._office.issue(credential, SCOPES)
