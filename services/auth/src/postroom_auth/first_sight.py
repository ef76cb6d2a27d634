"""Accounts that are made when somebody whom another system knows is seen for the first time."""

from __future__ import annotations

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.people import NAME_CHARACTERS, NewAccount
from postroom_auth.ports import Bearer, Person, Registry

log = logs.logger("postroom.auth.audit")


async def make_account(
    registry: Registry, who: Person | Bearer, quota_bytes: int, *, by: str
) -> bool:
    """Make an account for somebody who has none. False: there can't be one.

    Args:
        by: whose word it is, as the settings call it.
    """
    key = who.address.key
    name = "".join(filter(str.isprintable, who.display_name)).strip()[:NAME_CHARACTERS]
    try:
        new = NewAccount(who.address, name, quota_bytes, external=True)
        await registry.create_account(new, "")
    except PostroomError as error:
        if error.kind is Kind.ALREADY_EXISTS:
            return True  # another replica was first, or it is an alias
        if error.kind is not Kind.NOT_FOUND:
            raise
        log.warning("account.without_domain", account=key, by=by)
        return False
    log.info("account.created", account=key, by=by)
    return True
