"""The first steps of a domain, in one go: whatever is there already stays as it is."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.accounts import new_password
from postroom_admin.model import Algorithm, DkimKey, KeyState
from postroom_admin.ports import Services
from postroom_admin.publishing.checking import keys_of, wanted_records
from postroom_admin.publishing.records import Record, Setup

# Who must be reached at every domain, and who should (RFC 5321 section 4.5.1, RFC 2142).
ROLES = ("postmaster", "abuse")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a domain has begun with.

    Attributes:
        added: the domain is new.
        account: the address of who gets its postmaster's mail.
        password: of that account, where it was made now; empty: it was there.
        aliases: that were made now.
        keys: that were made now; they sign nothing yet.
        records: all that is to be published.
        sts_policy: the text at https://mta-sts.DOMAIN/.well-known/mta-sts.txt.
    """

    domain: str
    added: bool
    account: str
    password: str
    aliases: tuple[str, ...]
    keys: tuple[DkimKey, ...]
    records: tuple[Record, ...]
    sts_policy: str


async def set_up(services: Services, setup: Setup, name: str) -> Beginning:
    """Make a domain with an account, the addresses of its roles, and keys.

    Args:
        name: of the account, which gets the roles' mail.

    Raises:
        PostroomError: INVALID: there can be no such domain or account.
    """
    directory, domain = services.directory, setup.domain
    account, password = f"{name}@{domain}", new_password()
    added = await _is_new(directory.create_domain(domain))
    aliases = [
        alias
        for alias in (f"{role}@{domain}" for role in ROLES)
        if alias != account and await _is_new(directory.create_alias(alias, [account]))
    ]
    keys = await _keys(services, domain)
    records = await wanted_records(services, setup)
    # Last: its password is told once, and after this nothing can fail.
    made = await _is_new(directory.create_account(account, password))
    return Beginning(
        domain,
        added,
        account,
        password if made else "",
        tuple(aliases),
        keys,
        tuple(records),
        setup.sts_policy,
    )


async def _is_new(making: Awaitable[object]) -> bool:
    try:
        await making
    except PostroomError as error:
        if error.kind is not Kind.ALREADY_EXISTS:
            raise
        return False
    return True


async def _keys(services: Services, domain: str) -> tuple[DkimKey, ...]:
    """A key of each algorithm of which there is none: not everybody knows Ed25519 (RFC 8463)."""
    there = {
        key.algorithm
        for key in await keys_of(services, domain)
        if key.state is not KeyState.RETIRED
    }
    missing = [algorithm for algorithm in Algorithm if algorithm not in there]
    try:
        return tuple([await services.dkim.make(domain, algorithm) for algorithm in missing])
    except PostroomError as error:
        if error.kind is not Kind.UNSUPPORTED:
            raise
        return ()  # auth has nothing to keep keys with; the records say that there are none
