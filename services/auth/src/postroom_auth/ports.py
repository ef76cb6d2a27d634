"""What auth's use cases need of the world, in their own terms.

Errors: every method may raise PostroomError UNAVAILABLE where what stands behind it can't be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom_auth.domain.address import Address, DomainName
from postroom_auth.domain.app_password import StoredSecret
from postroom_auth.domain.auditing import AuditEntry
from postroom_auth.domain.dkim import Algorithm, DkimKey
from postroom_auth.domain.dkim import about as about_key
from postroom_auth.domain.maildrop_policy import MaildropPolicy
from postroom_auth.domain.networks import Network
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
from postroom_auth.domain.shared_secret import SecretKind, SharedSecret
from postroom_auth.domain.shared_secret import about as about_secret
from postroom_auth.domain.throttle import Pace, Record
from postroom_auth.sealing import Sealed


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

    async def create_account(self, new: NewAccount, password_hash: str, scram: str = "") -> Account:
        """Add an account, with the hash of its password and the verifiers for SCRAM."""

    async def account(self, address: Address) -> Account: ...
    async def account_of(self, account_id: int) -> Account: ...
    async def accounts(self, domain: DomainName | None, after: str, most: int) -> list[Account]:
        """Accounts in order of address, from the first after a key."""

    async def change_account(self, address: Address, changes: Changes) -> Account: ...
    async def set_password(self, address: Address, password_hash: str, scram: str) -> Account: ...
    async def rehash_password(self, credential: Credential, password_hash: str, scram: str) -> None:
        """Replace a hash and verifiers by those of the same password, unless they have changed
        since."""

    async def delete_account(self, address: Address) -> int: ...

    async def create_alias(self, alias: Alias) -> Alias:
        """Add an alias. INVALID where it would lead back to itself."""

    async def change_alias(
        self, address: Address, added: Sequence[Address], removed: Sequence[Address]
    ) -> Alias:
        """Add targets to an alias and take others away. INVALID as `create_alias`."""

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


class VerifierMaker(Protocol):
    """Makes the verifiers of passwords that SCRAM needs, slowly and on purpose."""

    async def make(self, password: Password) -> str:
        """The verifiers of a password, as they are stored; empty where none are wanted."""

    def are_outdated(self, scram: str) -> bool:
        """Whether verifiers that are wanted are missing, or were made with fewer iterations than
        today's."""


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret, sealed."""

    secret: SharedSecret
    account_id: int
    sealed: Sealed

    @property
    def number(self) -> int:
        return self.secret.secret_id

    @property
    def about(self) -> bytes:
        return about_secret(self.account_id, self.secret.kind)


class Secrets(Protocol):
    """Keeps secrets that were sealed.

    Raises (what names an address): PostroomError NOT_FOUND.
    """

    async def of(self, account_id: int, kind: SecretKind) -> list[KeptSecret]:
        """Those of an account for one mechanism."""

    async def add(
        self,
        address: Address,
        kind: SecretKind,
        networks: Sequence[Network],
        seal: Callable[[int], Sealed],
    ) -> SharedSecret:
        """Keep a new one. Raises PostroomError LIMIT_EXCEEDED.

        Args:
            seal: seals it for an account.
        """

    async def secrets(self, address: Address) -> list[SharedSecret]:
        """Those of an account, oldest first."""

    async def revoke(self, address: Address, secret_id: int) -> None:
        """Remove one, and let no ticket of the account be renewed."""

    async def sealed_by_others(self, key_id: str, after: int, most: int) -> list[KeptSecret]:
        """Some that other keys than this one have sealed, by id, from the first after one."""

    async def replace(self, kept: KeptSecret, sealed: Sealed) -> None:
        """Keep the same one sealed otherwise."""


@dataclass(frozen=True, slots=True)
class KeptDkimKey:
    """A key that mail is signed with, its private part sealed."""

    key: DkimKey
    number: int
    sealed: Sealed

    @property
    def about(self) -> bytes:
        return about_key(self.key.domain, self.key.selector)


class DkimKeys(Protocol):
    """Keeps keys of our domains, each method in one transaction. One at most of a domain and an
    algorithm is active.

    Raises (what names a domain or a key): PostroomError NOT_FOUND.
    """

    async def add(
        self,
        domain: DomainName,
        selectors: Sequence[str],
        algorithm: Algorithm,
        public: str,
        seal: Callable[[str], Sealed],
    ) -> DkimKey:
        """Keep a new one, under the first of some selectors that is free.

        Args:
            seal: seals it for a selector.

        Raises:
            PostroomError: ALREADY_EXISTS where none is; LIMIT_EXCEEDED.
        """

    async def keys(
        self, domain: DomainName | None, after: tuple[str, int], most: int
    ) -> list[KeptDkimKey]:
        """Those of a domain, or all, by domain and number, from the first after these."""

    async def active(self, names: Collection[str]) -> Mapping[str, list[KeptDkimKey]]:
        """Those that sign, by domain; domains without one are left out."""

    async def activate(self, domain: DomainName, selector: str) -> DkimKey:
        """Let one sign, and retire the one of its algorithm that did."""

    async def retire(self, domain: DomainName, selector: str) -> DkimKey:
        """Let one sign no more."""

    async def remove(self, domain: DomainName, selector: str) -> None:
        """Remove one. Raises PostroomError CONFLICT while it signs."""

    async def sealed_by_others(self, key_id: str, after: int, most: int) -> list[KeptDkimKey]:
        """As of Secrets."""

    async def replace(self, kept: KeptDkimKey, sealed: Sealed) -> None:
        """As of Secrets."""


class Maildrops(Protocol):
    """What is kept of accounts for POP3."""

    async def strictest(self) -> MaildropPolicy:
        """The shortest time that mail is kept, and the longest delay, of any account."""

    async def enter(self, credential: Credential) -> None:
        """Note that somebody signs in.

        Raises:
            PostroomError: TOO_SOON where the delay since the last time isn't over.
        """


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose failures are counted.

    Attributes:
        account: the key of the account's address, whether it exists or not; empty: that of a name
            that means none; None: nobody was named, and no account's failures are counted.
        network: where the client is; empty: not counted.
    """

    account: str | None
    network: str


class AppPasswords(Protocol):
    """Generated passwords for single programs. What it answers may be a few seconds old."""

    async def find(self, account_id: int, public_id: str) -> StoredSecret | None:
        """The one of an account that is named so. There is none of account 0."""

    async def find_by_id(self, account_id: int, app_password_id: int) -> StoredSecret | None:
        """The one of an account that has this number."""

    async def rehash(self, secret: StoredSecret, secret_hash: str) -> None:
        """Replace a hash by one of the same password, unless it has changed since."""

    def used(self, secret: StoredSecret) -> None:
        """Somebody has signed in with it; that is written later."""


class FailureCounts(Protocol):
    """How often subjects have failed, counted by all replicas together."""

    async def read(self, subjects: Collection[str]) -> Mapping[str, Record]:
        """Those of some subjects that have failed."""

    async def add(self, subjects: Mapping[str, Pace], now: float) -> Mapping[str, Record]:
        """Count a failure of each subject, and answer the new counts. What is forgotten by a
        subject's pace counts no more."""

    async def clear(self, subjects: Collection[str]) -> None:
        """Forget the failures of some subjects."""

    async def clear_all_of(self, subject: str) -> None:
        """Forget those of a subject, and of it at every network."""


class Successes(Protocol):
    """Remembers who has signed in from where."""

    async def signed_in(self, subject: Subject) -> bool:
        """Whether somebody has signed in to the account from the network before."""


class Audit(Protocol):
    """Keeps what is recorded of sign-ins."""

    async def write(self, entries: Sequence[AuditEntry]) -> None: ...


class Trail(Protocol):
    """Takes what is to be recorded. It is written soon; nobody waits, and nothing fails."""

    def record(self, entry: AuditEntry) -> None: ...


class Throttle(Protocol):
    """Slows down guesses. Each `begin` is followed by one of the last three, which is told what
    `begin` answered.

    What can't be guessed, or is known to be right, needs no `begin`: its outcome is told alone.
    """

    async def check(self, subject: Subject) -> None:
        """Raises PostroomError RATE_LIMITED where the subject must wait."""

    async def begin(self, subject: Subject) -> str | None:
        """Count a guess for its account before its outcome is known, so that many guesses at once
        are not one; answers what it is counted under until then.

        Raises:
            PostroomError: RATE_LIMITED; then nothing was counted.
        """

    async def learn(self, subject: Subject) -> None:
        """Look what other replicas have counted, while a guess is under way.

        Raises:
            PostroomError: RATE_LIMITED: whatever the guess comes to, it is refused.
        """

    async def failed(self, subject: Subject, begun: str | None = None) -> None:
        """The guess was wrong."""

    async def succeeded(self, subject: Subject, begun: str | None = None) -> None:
        """The guess was right: the account's failures from here are forgiven."""

    async def withdrawn(self, begun: str | None) -> None:
        """The guess had no outcome."""
