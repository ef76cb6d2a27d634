"""Whose mailboxes are whose, and what their owners may keep."""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota

from postroom_imap.ports.directory import Account
from postroom_imap.protocol.mailbox_name import is_shared, owners_in
from postroom_imap.session import Session


async def owner_of(session: Session, name: str) -> Account | None:
    """Whose mailbox a name stands for; None for one's own.

    Costs a call for a shared name, once a minute. Raises PostroomError: NOT_FOUND where nobody has
    such an address; UNAVAILABLE.
    """
    if not is_shared(name):
        return None
    addresses = owners_in(name)
    account = await session.front.directory.account(*addresses) if addresses else None
    if account is not None:
        return account
    raise PostroomError(Kind.NOT_FOUND, "there is no such mailbox")


async def owner_quota(session: Session, name: str) -> Quota | None:
    """What the owner of a mailbox may keep, where that is somebody else; raises as `owner_of`."""
    owner = await owner_of(session, name)
    return owner.quota if owner is not None else None
