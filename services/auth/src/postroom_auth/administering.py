"""What administrators do to tenants, domains, accounts and aliases.

Each use case reads what they typed, does it in one transaction, and lets this process see it at
once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.cached_directory import CachedDirectory
from postroom_auth.domain.address import Address, DomainName, InvalidAddress
from postroom_auth.domain.password import InvalidPassword, Password
from postroom_auth.domain.people import (
    DEFAULT_TENANT,
    Account,
    Alias,
    Changes,
    Domain,
    InvalidValue,
    NewAccount,
    Tenant,
    check_name,
)
from postroom_auth.ports import Hasher, Registry, VerifierMaker
from postroom_auth.strength import Strength

log = logs.logger("postroom.auth.audit")

PAGE = 1000


class Administering:
    """The use cases of AccountService.

    Raises (all): PostroomError INVALID where what was typed can't be, and what Registry raises.
    """

    def __init__(
        self,
        registry: Registry,
        directory: CachedDirectory,
        hasher: Hasher,
        verifiers: VerifierMaker,
        strength: Strength,
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._hasher = hasher
        self._verifiers = verifiers
        self._strength = strength

    async def create_tenant(self, name: str) -> Tenant:
        with self._changing("tenant.created", name=name):
            return await self._registry.create_tenant(check_name("the tenant's name", name))

    async def tenants(self) -> list[Tenant]:
        return await self._registry.tenants()

    async def delete_tenant(self, name: str) -> None:
        with self._changing("tenant.deleted", name=name):
            await self._registry.delete_tenant(name.strip())

    async def create_domain(self, name: str, tenant: str) -> Domain:
        with self._changing("domain.created", name=name):
            parsed = DomainName.parse(name)
            if parsed.name.startswith("["):
                raise InvalidValue("an IP address is no domain")
            owner = check_name("the tenant's name", tenant or DEFAULT_TENANT)
            return await self._registry.create_domain(parsed, owner)

    async def domains(self, tenant: str) -> list[Domain]:
        return await self._registry.domains(tenant.strip())

    async def set_catch_all(self, name: str, address: str) -> Domain:
        with self._changing("domain.catch_all_set", name=name, account=address):
            parsed = Address.parse(address) if address else None
            return await self._registry.set_catch_all(DomainName.parse(name), parsed)

    async def delete_domain(self, name: str) -> None:
        with self._changing("domain.deleted", name=name):
            await self._registry.delete_domain(DomainName.parse(name))

    async def create_account(
        self,
        address: str,
        password: str,
        display_name: str,
        quota_bytes: int,
        *,
        accept_weak: bool = False,
    ) -> Account:
        """Make an account; without a password nobody can sign in to it yet.

        Args:
            accept_weak: the administrator knows that the password may be easy to guess.
        """
        with self._changing("account.created", account=address):
            new = NewAccount(
                Address.parse(address),
                check_name("the display name", display_name, may_be_empty=True),
                quota_bytes,
            )
            known = () if accept_weak else (new.address.key, new.display_name)
            kept = await self._kept(password, known) if password else ("", "")
            return await self._registry.create_account(new, *kept)

    async def account(self, address: str) -> Account:
        with told():
            return await self._registry.account(Address.parse(address))

    async def account_of(self, account_id: int) -> Account:
        return await self._registry.account_of(account_id)

    async def accounts(self, domain: str, after: str, most: int) -> list[Account]:
        """At most 1,000 accounts (0: as many), from the first after a key."""
        with told():
            return await self._registry.accounts(_domain(domain), after, _page(most))

    async def change_account(self, address: str, changes: Changes, by: str = "") -> Account:
        """Change an account; `by`: who does, where that is no operator."""
        with self._changing("account.changed", account=address, **({"by": by} if by else {})):
            return await self._registry.change_account(Address.parse(address), changes)

    async def set_password(
        self, address: str, password: str, *, accept_weak: bool = False
    ) -> Account:
        with self._changing("account.password_set", account=address):
            parsed = Address.parse(address)
            known = () if accept_weak else (parsed.key,)
            return await self._registry.set_password(parsed, *await self._kept(password, known))

    async def delete_account(self, address: str) -> int:
        """Delete an account and answer its id."""
        with self._changing("account.deleted", account=address):
            return await self._registry.delete_account(Address.parse(address))

    async def create_alias(self, address: str, targets: Sequence[str]) -> Alias:
        with self._changing("alias.created", alias=address, targets=len(targets)):
            parsed = tuple(Address.parse(target) for target in targets)
            return await self._registry.create_alias(Alias(Address.parse(address), parsed))

    async def change_alias(
        self, address: str, added: Sequence[str], removed: Sequence[str]
    ) -> Alias:
        """Add targets to an alias and take others away; what is so already stays so."""
        with self._changing("alias.changed", alias=address, added=len(added), removed=len(removed)):
            return await self._registry.change_alias(
                Address.parse(address),
                [Address.parse(target) for target in added],
                [Address.parse(target) for target in removed],
            )

    async def aliases(self, domain: str, after: str, most: int) -> list[Alias]:
        """At most 1,000 aliases (0: as many), from the first after a key."""
        with told():
            return await self._registry.aliases(_domain(domain), after, _page(most))

    async def delete_alias(self, address: str) -> None:
        with self._changing("alias.deleted", alias=address):
            await self._registry.delete_alias(Address.parse(address))

    async def _kept(self, password: str, known: Sequence[str]) -> tuple[str, str]:
        """What is kept of a password, which must be strong where something is known of its owner:
        its hash, and the verifiers for SCRAM."""
        prepared = Password.prepare(password)
        if known:
            await self._strength.check(password, known)
        return await self._hasher.hash(prepared), await self._verifiers.make(prepared)

    @contextmanager
    def _changing(self, event: str, **fields: object) -> Iterator[None]:
        """Around a change: errors told in the house's terms, caches emptied, one audit line."""
        with told():
            try:
                yield
            finally:
                # Also after an error: the transaction may have been committed all the same.
                self._directory.forget()
        log.info(event, **fields)


@contextmanager
def told() -> Iterator[None]:
    """Around what reads what somebody typed: what can't be is INVALID."""
    try:
        yield
    except (InvalidAddress, InvalidPassword, InvalidValue) as error:
        raise PostroomError(Kind.INVALID, str(error)) from error


def _domain(name: str) -> DomainName | None:
    return DomainName.parse(name) if name else None


def _page(most: int) -> int:
    if not 0 <= most <= PAGE:
        raise InvalidValue(f"a page has 1 to {PAGE} entries")
    return most or PAGE
