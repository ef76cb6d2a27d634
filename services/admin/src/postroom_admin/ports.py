"""What administration needs of the services that own accounts and mail.

Every method may raise PostroomError: UNAVAILABLE and DEADLINE where the owner can't be asked,
DENIED where our certificate is not one of admin's, and what its docstring names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota

from postroom_admin.model import (
    Account,
    Alias,
    AppPassword,
    AuditEntry,
    AuditFilter,
    Collected,
    DkimKey,
    Domain,
    Mailbox,
    NewAppPassword,
    NewMessage,
    Page,
    Progress,
    QueueEntry,
    QueueSummary,
    Secret,
    ShownEntry,
    Standing,
    StoredMessage,
    Suppression,
    Tenant,
    Traced,
    Usage,
)


class Directory(Protocol):
    """Who there is (postroom.auth.v1.AccountService).

    Creating what is there raises ALREADY_EXISTS, naming what is not NOT_FOUND, what can't be
    INVALID, removing what others need CONFLICT.
    """

    async def create_tenant(self, name: str) -> Tenant: ...
    async def list_tenants(self) -> Sequence[Tenant]: ...
    async def delete_tenant(self, name: str) -> None: ...

    async def create_domain(self, name: str, tenant: str = "") -> Domain: ...
    async def list_domains(self, tenant: str = "") -> Sequence[Domain]: ...
    async def set_catch_all(self, name: str, address: str) -> Domain:
        """An empty address clears it."""

    async def delete_domain(self, name: str) -> None: ...

    async def create_account(
        self,
        address: str,
        password: str = "",
        display_name: str = "",
        quota_bytes: int = 0,
        *,
        accept_weak: bool = False,
    ) -> Account:
        """Without a password nobody can sign in until one is set. INVALID where it is easy to
        guess, unless that is accepted."""

    async def get_account(self, address: str) -> Account: ...
    async def get_account_of(self, account_id: int) -> Account: ...
    async def list_accounts(
        self, domain: str = "", page_token: str = "", page_size: int = 0
    ) -> Page[Account]: ...
    async def update_account(
        self,
        address: str,
        *,
        display_name: str | None = None,
        quota_bytes: int | None = None,
        quota_messages: int | None = None,
        quota_mailboxes: int | None = None,
        disabled: bool | None = None,
        administrator: bool | None = None,
        app_passwords_only: bool | None = None,
        pop3_delete: bool | None = None,
        pop3_days: int | None = None,
        pop3_login_delay: int | None = None,
    ) -> Account:
        """Change what is not None."""

    async def set_password(
        self, address: str, password: str, *, accept_weak: bool = False
    ) -> Account: ...
    async def delete_account(self, address: str) -> int:
        """Remove an account and its aliases. Answers its id: its mail is still in the store."""

    async def create_alias(self, address: str, targets: Sequence[str]) -> Alias: ...
    async def change_alias(
        self, address: str, added: Sequence[str], removed: Sequence[str]
    ) -> Alias: ...
    async def list_aliases(self, domain: str = "") -> Sequence[Alias]: ...
    async def delete_alias(self, address: str) -> None: ...


class Credentials(Protocol):
    """How people sign in (postroom.auth.v1.AccountService, SecretService). NOT_FOUND, INVALID."""

    async def add_app_password(
        self,
        address: str,
        name: str,
        protocols: Sequence[str],
        networks: Sequence[str] = (),
        expires_at: int = 0,
    ) -> NewAppPassword:
        """Make one (ends at a Unix time; 0: never). ALREADY_EXISTS, CONFLICT: there are 100."""

    async def list_app_passwords(self, address: str) -> Sequence[AppPassword]: ...
    async def revoke_app_password(self, address: str, name: str) -> int:
        """End one, or all where the name is empty; answers how many."""

    async def add_secret(
        self, address: str, kind: str, networks: Sequence[str]
    ) -> tuple[Secret, str]:
        """Make a secret, and tell its text this once. UNSUPPORTED, LIMIT_EXCEEDED."""

    async def list_secrets(self, address: str) -> Sequence[Secret]: ...
    async def revoke_secret(self, address: str, secret_id: int) -> None: ...

    async def lock(self, address: str, until: int = 0) -> Standing:
        """Let nobody sign in before a Unix time; 0: before it is unlocked."""

    async def unlock(self, address: str) -> Standing: ...
    async def standing(self, address: str) -> Standing: ...
    async def audit(
        self, wanted: AuditFilter, page_token: str = "", page_size: int = 0
    ) -> Page[AuditEntry]:
        """Newest first."""


class Queue(Protocol):
    """Mail that waits to be sent elsewhere (postroom.store.v1.QueueService).

    What changes entries takes at most 1,000 ids and answers how many it changed. NOT_FOUND;
    CONFLICT: one is being sent. Then none of the same account is changed.
    """

    async def list(
        self, domain: str = "", page_token: str = "", page_size: int = 0
    ) -> Page[QueueEntry]:
        """Oldest first."""

    async def show(self, queue_id: int) -> ShownEntry: ...
    async def summarize(self) -> QueueSummary:
        """The 1,000 fullest domains."""

    async def hold(self, queue_ids: Sequence[int]) -> int: ...
    async def release(self, queue_ids: Sequence[int]) -> int: ...
    async def retry(self, queue_ids: Sequence[int]) -> int: ...
    async def cancel(self, queue_ids: Sequence[int]) -> int: ...

    async def list_suppressions(self, page_token: str = "") -> Page[Suppression]:
        """In order of address."""

    async def suppress(self, address: str, reason: str) -> None: ...
    async def unsuppress(self, address: str) -> None:
        """NOT_FOUND."""


class Traces(Protocol):
    """The life of messages (postroom.store.v1.TraceService)."""

    async def trace(self, message_id: str) -> Traced:
        """With or without angle brackets, or the id that smtp gave it. NOT_FOUND."""


class DkimKeys(Protocol):
    """Keys that mail is signed with (postroom.auth.v1.DkimService). NOT_FOUND, INVALID."""

    async def make(
        self, domain: str, algorithm: str = "", selector: str = "", bits: int = 0
    ) -> DkimKey:
        """A new key, which doesn't sign yet. ALREADY_EXISTS, LIMIT_EXCEEDED, UNSUPPORTED."""

    async def list(self, domain: str = "", page_token: str = "") -> Page[DkimKey]:
        """In order of domain and age."""

    async def activate(self, domain: str, selector: str) -> DkimKey: ...
    async def retire(self, domain: str, selector: str) -> DkimKey: ...
    async def remove(self, domain: str, selector: str) -> None:
        """CONFLICT while it signs."""


class DnsFailure(PostroomError):
    """The DNS can't say now: UNAVAILABLE."""

    def __init__(self, message: str) -> None:
        super().__init__(Kind.UNAVAILABLE, message)


class Dns(Protocol):
    """What is published. Raises (all): DnsFailure."""

    async def look_up(self, name: str, kind: str) -> Sequence[str]:
        """The records of a kind at a name, in no order: the strings of a TXT put together, all
        others as in a zone file, in lower case and names without the last dot.
        """

    async def names_of(self, address: str) -> Sequence[str]:
        """The names that an IP address leads back to."""


class MailStore(Protocol):
    """The mail of every account (postroom.store.v1.AdminService)."""

    async def usage(self, account_id: int = 0, page_token: str = "") -> Page[Usage]:
        """In order of account id; id 0: all accounts."""

    async def list_mailboxes(self, account_id: int, page_token: str = "") -> Page[Mailbox]: ...
    async def upload(self, content: bytes) -> bytes:
        """Take a content over 1 MiB and answer the id that stands for it. TOO_LARGE."""

    async def import_messages(
        self,
        key: bytes,
        account_id: int,
        mailbox: str,
        messages: Sequence[NewMessage],
        quota: Quota,
    ) -> int:
        """Add all messages or none, once for each key, making the mailbox if it is missing.

        Answers how many were added by the call that first had this key.

        INVALID, TOO_LARGE, LIMIT_EXCEEDED: one of them can't be kept; OVER_QUOTA.
        """

    def export_messages(self, account_id: int, mailbox: str) -> AsyncIterator[StoredMessage]:
        """In order of UID. NOT_FOUND."""

    async def undelete(self, account_id: int, mailbox: str, since: int) -> int:
        """Bring back what was expunged since a Unix time. Answers how many."""

    async def purge_account(self, account_id: int) -> None: ...
    def check_integrity(self, account_id: int, contents: bool) -> AsyncIterator[Progress]: ...
    def collect_garbage(self) -> AsyncIterator[Collected]: ...
    def reindex(self, account_id: int) -> AsyncIterator[Progress]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """All that commands and REST resources work with."""

    directory: Directory
    queue: Queue
    store: MailStore
    credentials: Credentials
    traces: Traces
    dkim: DkimKeys
    dns: Dns
