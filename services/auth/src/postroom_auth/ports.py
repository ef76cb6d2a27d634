"""What auth's use cases need of the world, in their own terms.

Errors: every method may raise PostroomError UNAVAILABLE where what stands behind it can't be asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from postroom_auth.domain.address import Address, DomainName
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import (
    Account,
    Alias,
    Changes,
    Credential,
    Domain,
    NewAccount,
    Tenant,
)
from postroom_auth.domain.resolution import Entry, Forwarding, Hosted, Unanswered
from postroom_auth.domain.sasl.exchange import TokenRefused


class Directory(Protocol):
    """Reads who is who. What it answers may be a few seconds old."""

    async def credential(self, key: str) -> Credential | None:
        """The credential of the account whose main address has this key."""

    async def credential_of(self, account_id: int) -> Credential | None:
        """The credential of an account."""

    async def domains(self, names: Collection[str]) -> Mapping[str, Hosted | None]:
        """Each name with the domain of ours that bears it, or None."""

    async def entries(self, keys: Collection[str]) -> Mapping[str, Entry | Unanswered | None]:
        """Each key with what its address stands for, or None. What can't be asked now is not
        raised, but told of the keys that it concerns."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom another system's directory knows.

    Attributes:
        address: the main one.
    """

    address: Address
    display_name: str


class ExternalDirectory(Protocol):
    """Another system that knows the people of some domains. Every answer comes in bounded time."""

    async def entries(
        self, keys: Collection[str]
    ) -> Mapping[str, Person | Forwarding | Unanswered | None]:
        """Each key with whom it is the main address of, or with where an alias or a group leads;
        Unanswered where that is not clear."""

    async def may_sign_in(self, key: str) -> bool | None:
        """Whether the person whose main address has this key may sign in; None: there is none."""

    async def check_password(self, key: str, password: Password) -> bool:
        """Whether a password is that of the person whose main address has this key. Takes as
        long where there is none."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token is for.

    Attributes:
        until: Unix seconds: when the token has expired, the clocks' difference included.
    """

    address: Address
    display_name: str
    until: int


class Issuer(Protocol):
    """Another system that gives tokens to the people of some domains. Every answer comes in
    bounded time."""

    async def check_token(self, token: str) -> Bearer:
        """Whom a token is for, in one of the issuer's domains. Raises TokenRefused."""

    def refusal(self, status: str) -> TokenRefused:
        """What a client is told that has no good token (RFC 7628 section 3.2.2)."""


class Passwords(Protocol):
    """Whatever knows an account's password."""

    async def verify(self, key: str, credential: Credential | None, password: Password) -> bool:
        """Whether a password is right.

        Args:
            key: of the address that was named.
            credential: its account's; None: nobody's, which takes as long.
        """


class Registry(Protocol):
    """Changes and lists who is who; each method is one transaction.

    Raises (all): PostroomError NOT_FOUND, ALREADY_EXISTS, CONFLICT, INVALID, as AccountService
    says.
    """

    async def create_tenant(self, name: str) -> Tenant: ...
    async def tenants(self) -> list[Tenant]: ...
    async def delete_tenant(self, name: str) -> None: ...

    async def create_domain(self, name: DomainName, tenant: str) -> Domain: ...
    async def domains(self, tenant: str) -> list[Domain]: ...
    async def set_catch_all(self, name: DomainName, address: Address | None) -> Domain: ...
    async def delete_domain(self, name: DomainName) -> None: ...

    async def create_account(self, new: NewAccount, password_hash: str) -> Account: ...
    async def account(self, address: Address) -> Account: ...
    async def account_of(self, account_id: int) -> Account: ...
    async def accounts(self, domain: DomainName | None, after: str, most: int) -> list[Account]:
        """Accounts in order of address, from the first after a key."""

    async def change_account(self, address: Address, changes: Changes) -> Account: ...
    async def set_password(self, address: Address, password_hash: str) -> Account: ...
    async def rehash_password(self, credential: Credential, password_hash: str) -> None:
        """Replace a hash by one of the same password, unless it has changed since."""

    async def delete_account(self, address: Address) -> int: ...

    async def create_alias(self, alias: Alias) -> Alias:
        """Add an alias. INVALID where it would lead back to itself."""

    async def aliases(self, domain: DomainName | None, after: str, most: int) -> list[Alias]:
        """Aliases in order of address, from the first after a key."""

    async def delete_alias(self, address: Address) -> None: ...


class Hasher(Protocol):
    """Hashes passwords, slowly and on purpose."""

    async def hash(self, password: Password) -> str:
        """The PHC string of a password."""

    async def verify(self, password_hash: str, password: Password) -> bool:
        """Whether a hash is the password's. An empty hash is nobody's, and takes as long."""

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose failures are counted.

    Attributes:
        account: the key of the account's address, whether it exists or not.
        network: where the client is; empty: not counted.
    """

    account: str
    network: str


class Throttle(Protocol):
    """Slows down guesses. Each `begin` is followed by one of the other three."""

    async def check(self, subject: Subject) -> None:
        """Raises PostroomError RATE_LIMITED where the subject must wait."""

    async def begin(self, subject: Subject) -> None:
        """Count a guess for its account before its outcome is known, so that many guesses at once
        are not one.

        Raises:
            PostroomError: RATE_LIMITED; then nothing was counted.
        """

    async def failed(self, subject: Subject) -> None:
        """The guess was wrong."""

    async def succeeded(self, subject: Subject) -> None:
        """The guess was right: the account's failures from here are forgiven."""

    async def withdrawn(self, subject: Subject) -> None:
        """The guess had no outcome."""
