"""What is done to accounts that concerns both owners: auth knows them, store has their mail."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from postroom_chassis.errors import PostroomError

from postroom_admin.model import Account, Usage, every
from postroom_admin.ports import Services

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that looks like something else
GROUPS, GROUP = 5, 5  # 125 random bits


@dataclass(frozen=True, slots=True)
class AccountUsage:
    """An account and what it keeps."""

    account: Account
    usage: Usage


def new_password() -> str:
    """A random password that can be read out over a telephone."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


async def remove_account(services: Services, address: str, *, keep_mail: bool = False) -> int:
    """Remove an account with its aliases, and its mail, and answer its id.

    Raises:
        PostroomError: NOT_FOUND; where the mail alone is left, its message says so with the id.
    """
    account_id = await services.directory.delete_account(address)
    if not keep_mail:
        try:
            await services.store.purge_account(account_id)
        except PostroomError as error:
            raise PostroomError(
                error.kind,
                f"{address} is removed, but not its mail ({error.message});"
                f" `postroom account purge {account_id}` does that",
            ) from error
    return account_id


async def usage_of(services: Services, address: str) -> AccountUsage:
    """An account and what it keeps. Raises PostroomError NOT_FOUND."""
    account = await services.directory.get_account(address)
    page = await services.store.usage(account.account_id)
    found = {usage.account_id: usage for usage in page.items}
    return AccountUsage(account, found.get(account.account_id, Usage(account.account_id)))


async def usage_of_all(services: Services, domain: str = "") -> list[AccountUsage]:
    """All accounts, or those of a domain, in order of address, with what they keep."""
    kept = {usage.account_id: usage async for usage in every(lambda t: services.store.usage(0, t))}
    return [
        AccountUsage(account, kept.get(account.account_id, Usage(account.account_id)))
        async for account in every(lambda t: services.directory.list_accounts(domain, t))
    ]
