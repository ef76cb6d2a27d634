"""The owners, in memory: what the ports promise and no more."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar, cast

from postroom_admin.model import (
    Account,
    Alias,
    Attempt,
    Collected,
    DkimKey,
    Domain,
    DomainSummary,
    KeyState,
    Mailbox,
    NewMessage,
    Page,
    Progress,
    QueueEntry,
    QueueState,
    QueueSummary,
    Secret,
    ShownEntry,
    StoredMessage,
    Suppression,
    Tenant,
    Traced,
    Usage,
)
from postroom_admin.ports import Credentials, Dns, Services
from postroom_admin.publishing.dns_servers import DnsServers
from postroom_admin.settings import AdminSettings
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota

K = TypeVar("K")
V = TypeVar("V")

MADE = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
REQUEST_BYTES = 1024 * 1024


class FakeDirectory:
    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.domains: dict[str, Domain] = {}
        self.accounts: dict[str, Account] = {}
        self.passwords: dict[str, str] = {}
        self.aliases: dict[str, Alias] = {}
        self._ids = itertools.count(1)

    async def create_tenant(self, name: str) -> Tenant:
        return _add(self.tenants, name, Tenant(name), "tenant")

    async def list_tenants(self) -> Sequence[Tenant]:
        return list(self.tenants.values())

    async def delete_tenant(self, name: str) -> None:
        _get(self.tenants, name, "tenant")
        if any(domain.tenant == name for domain in self.domains.values()):
            raise PostroomError(Kind.CONFLICT, f"tenant {name} has domains")
        del self.tenants[name]

    async def create_domain(self, name: str, tenant: str = "") -> Domain:
        if not tenant:
            self.tenants.setdefault("default", Tenant("default"))
        _get(self.tenants, tenant or "default", "tenant")
        return _add(self.domains, name, Domain(name, tenant or "default", "", 0), "domain")

    async def list_domains(self, tenant: str = "") -> Sequence[Domain]:
        return [one for one in self.domains.values() if tenant in ("", one.tenant)]

    async def set_catch_all(self, name: str, address: str) -> Domain:
        domain = _get(self.domains, name, "domain")
        if address:
            _get(self.accounts, address, "account")
        self.domains[name] = replace(domain, catch_all=address)
        return self.domains[name]

    async def delete_domain(self, name: str) -> None:
        _get(self.domains, name, "domain")
        if any(address.endswith(f"@{name}") for address in self.accounts):
            raise PostroomError(Kind.CONFLICT, f"domain {name} has accounts")
        del self.domains[name]

    async def create_account(
        self,
        address: str,
        password: str = "",
        display_name: str = "",
        quota_bytes: int = 0,
        *,
        accept_weak: bool = False,
    ) -> Account:
        domain = _get(self.domains, address.rpartition("@")[2], "domain")
        made = Account(
            next(self._ids), address, domain.tenant, display_name, quota_bytes, False, MADE
        )
        _add(self.accounts, address, made, "account")
        self.passwords[address] = password
        return made

    async def get_account(self, address: str) -> Account:
        return _get(self.accounts, address, "account")

    async def get_account_of(self, account_id: int) -> Account:
        by_id = {one.account_id: one for one in self.accounts.values()}
        return _get(by_id, account_id, "account")

    async def list_accounts(
        self, domain: str = "", page_token: str = "", page_size: int = 0
    ) -> Page[Account]:
        found = sorted(
            (
                one
                for one in self.accounts.values()
                if one.address.endswith(f"@{domain}" if domain else "")
            ),
            key=lambda one: one.address,
        )
        return _page(found, page_token, page_size)

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
        account = _get(self.accounts, address, "account")
        self.accounts[address] = replace(
            account,
            display_name=account.display_name if display_name is None else display_name,
            quota_bytes=account.quota_bytes if quota_bytes is None else quota_bytes,
            quota_messages=account.quota_messages if quota_messages is None else quota_messages,
            quota_mailboxes=account.quota_mailboxes if quota_mailboxes is None else quota_mailboxes,
            disabled=account.disabled if disabled is None else disabled,
            administrator=account.administrator if administrator is None else administrator,
            pop3_delete=account.pop3_delete if pop3_delete is None else pop3_delete,
            pop3_days=account.pop3_days if pop3_days is None else pop3_days,
            pop3_login_delay=(
                account.pop3_login_delay if pop3_login_delay is None else pop3_login_delay
            ),
        )
        return self.accounts[address]

    async def set_password(
        self, address: str, password: str, *, accept_weak: bool = False
    ) -> Account:
        account = _get(self.accounts, address, "account")
        self.passwords[address] = password
        return account

    async def delete_account(self, address: str) -> int:
        account_id = _get(self.accounts, address, "account").account_id
        del self.accounts[address]
        return account_id

    async def create_alias(self, address: str, targets: Sequence[str]) -> Alias:
        return _add(self.aliases, address, Alias(address, tuple(targets)), "alias")

    async def change_alias(
        self, address: str, added: Sequence[str], removed: Sequence[str]
    ) -> Alias:
        targets = _get(self.aliases, address, "alias").targets
        kept = [target for target in targets if target not in removed]
        self.aliases[address] = Alias(address, tuple(dict.fromkeys([*kept, *added])))
        return self.aliases[address]

    async def list_aliases(self, domain: str = "") -> Sequence[Alias]:
        return [one for one in self.aliases.values() if one.address.endswith(domain)]

    async def delete_alias(self, address: str) -> None:
        _get(self.aliases, address, "alias")
        del self.aliases[address]


class FakeCredentials:
    """Secrets alone: the rest is shown against a real auth, in test_signing_in.py."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self.secrets: dict[tuple[str, int], Secret] = {}
        self._accounts = accounts
        self._ids = itertools.count(1)

    async def add_secret(
        self, address: str, kind: str, networks: Sequence[str]
    ) -> tuple[Secret, str]:
        _get(self._accounts, address, "account")
        if kind not in ("apop", "cram-md5", "rpop"):
            raise PostroomError(Kind.INVALID, f"there is no kind {kind}")
        made = Secret(next(self._ids), kind, tuple(networks), MADE)
        self.secrets[address, made.secret_id] = made
        return made, f"text of {made.secret_id}"

    async def list_secrets(self, address: str) -> Sequence[Secret]:
        return [secret for (owner, _), secret in self.secrets.items() if owner == address]

    async def revoke_secret(self, address: str, secret_id: int) -> None:
        _get(self.secrets, (address, secret_id), "secret")
        del self.secrets[address, secret_id]


class FakeQueue:
    """Entries by id. Those that are being sent can't be changed."""

    def __init__(self) -> None:
        self.entries: dict[int, QueueEntry] = {}
        self.attempts: dict[int, tuple[Attempt, ...]] = {}
        self.suppressions: dict[str, Suppression] = {}
        self.left_alone: dict[str, datetime] = {}
        self.calls: list[list[int]] = []
        self._ids = itertools.count(1)

    def put(
        self,
        recipient: str,
        *,
        last_reply: str = "",
        last_host: str = "",
        size: int = 1000,
        state: QueueState = QueueState.WAITING,
        attempts: Sequence[Attempt] = (),
    ) -> QueueEntry:
        entry = QueueEntry(
            queue_id=next(self._ids),
            account_id=1,
            sender="ann@example.org",
            recipient=recipient,
            state=state,
            size=size,
            created_at=MADE,
            next_attempt_at=MADE,
            attempts=len(attempts),
            last_reply=last_reply,
            message_id="<1@example.org>",
            last_host=last_host,
        )
        self.entries[entry.queue_id] = entry
        self.attempts[entry.queue_id] = tuple(attempts)
        return entry

    async def list(
        self, domain: str = "", page_token: str = "", page_size: int = 0
    ) -> Page[QueueEntry]:
        found = [one for one in self.entries.values() if domain in ("", one.domain)]
        return _page(found, page_token, page_size)

    async def show(self, queue_id: int) -> ShownEntry:
        return ShownEntry(_get(self.entries, queue_id, "entry"), self.attempts[queue_id])

    async def summarize(self) -> QueueSummary:
        by_domain: dict[str, list[QueueState]] = {}
        for entry in self.entries.values():
            by_domain.setdefault(entry.domain, []).append(entry.state)
        domains = [
            DomainSummary(
                domain,
                states.count(QueueState.WAITING),
                states.count(QueueState.HELD),
                states.count(QueueState.SENDING),
                MADE,
                self.left_alone.get(domain),
                "connection refused" if domain in self.left_alone else "",
            )
            for domain, states in sorted(by_domain.items(), key=lambda one: -len(one[1]))
        ]
        return QueueSummary(tuple(domains), len(self.entries))

    async def hold(self, queue_ids: Sequence[int]) -> int:
        return self._turn(queue_ids, QueueState.HELD)

    async def release(self, queue_ids: Sequence[int]) -> int:
        return self._turn(queue_ids, QueueState.WAITING)

    async def retry(self, queue_ids: Sequence[int]) -> int:
        return self._turn(queue_ids, QueueState.WAITING)

    async def cancel(self, queue_ids: Sequence[int]) -> int:
        self._check(queue_ids)
        for queue_id in queue_ids:
            del self.entries[queue_id]
        return len(queue_ids)

    async def list_suppressions(self, page_token: str = "") -> Page[Suppression]:
        return _page(sorted(self.suppressions.values(), key=lambda one: one.address), page_token, 0)

    async def suppress(self, address: str, reason: str) -> None:
        self.suppressions[address] = Suppression(address, reason, MADE)

    async def unsuppress(self, address: str) -> None:
        _get(self.suppressions, address, "suppression of")
        del self.suppressions[address]

    def _turn(self, queue_ids: Sequence[int], state: QueueState) -> int:
        self._check(queue_ids)
        for queue_id in queue_ids:
            self.entries[queue_id] = replace(self.entries[queue_id], state=state)
        return len(queue_ids)

    def _check(self, queue_ids: Sequence[int]) -> None:
        """None is changed where one can't be."""
        assert 0 < len(queue_ids) <= 1000
        self.calls.append([*queue_ids])
        for queue_id in queue_ids:
            if _get(self.entries, queue_id, "entry").state is QueueState.SENDING:
                raise PostroomError(Kind.CONFLICT, f"entry {queue_id} is being sent")


class FakeTraces:
    """Lives of messages by Message-ID without its brackets."""

    def __init__(self) -> None:
        self.lives: dict[str, Traced] = {}

    async def trace(self, message_id: str) -> Traced:
        return _get(self.lives, message_id.removeprefix("<").removesuffix(">"), "message")


class FakeDkimKeys:
    """Keys in the order in which they were made; public keys that are none."""

    def __init__(self) -> None:
        self.keys: list[DkimKey] = []
        self.domains = {"example.org"}
        self.now = MADE

    async def make(
        self, domain: str, algorithm: str = "", selector: str = "", bits: int = 0
    ) -> DkimKey:
        name = selector or f"s{len(self.keys) + 1}"
        record = f"v=DKIM1; k={algorithm.partition('-')[0]}; p=key{len(self.keys) + 1}"
        made = DkimKey(domain, name, algorithm, KeyState.NEW, record, self.now, None)
        self.keys.append(made)
        return made

    async def list(self, domain: str = "", page_token: str = "") -> Page[DkimKey]:
        if domain and domain not in self.domains:
            raise PostroomError(Kind.NOT_FOUND, f"there is no domain {domain} here")
        return _page([key for key in self.keys if domain in ("", key.domain)], page_token, 0)

    async def activate(self, domain: str, selector: str) -> DkimKey:
        wanted = next(key for key in self.keys if key.selector == selector)
        for key in self.keys:
            if (key.algorithm, key.state) == (wanted.algorithm, KeyState.ACTIVE):
                await self.retire(domain, key.selector)
        return self._set(selector, KeyState.ACTIVE, None)

    async def retire(self, domain: str, selector: str) -> DkimKey:
        return self._set(selector, KeyState.RETIRED, self.now)

    async def remove(self, domain: str, selector: str) -> None:
        self.keys = [key for key in self.keys if key.selector != selector]

    def _set(self, selector: str, state: KeyState, retired_at: datetime | None) -> DkimKey:
        (at,) = (at for at, key in enumerate(self.keys) if key.selector == selector)
        self.keys[at] = replace(self.keys[at], state=state, retired_at=retired_at)
        return self.keys[at]


class FakeStore:
    """Keeps messages by account and mailbox.

    Attributes:
        before, after: called with the count of imports so far, before one is done and after it is
            done and not yet answered; what they raise is what the caller gets.
    """

    def __init__(self) -> None:
        self.mailboxes: dict[tuple[int, str], list[StoredMessage]] = {}
        self.expunged: list[tuple[int, str, int]] = []
        self.purged: list[int] = []
        self.faults: tuple[str, ...] = ()
        self.imports = 0
        self.before: Callable[[int], None] = lambda _: None
        self.after: Callable[[int], None] = lambda _: None
        self.largest = 64 * 1024 * 1024
        self._keys: dict[bytes, int] = {}
        self._uploads: dict[bytes, bytes] = {}

    async def usage(self, account_id: int = 0, page_token: str = "") -> Page[Usage]:
        ids = sorted({one for one, _ in self.mailboxes if account_id in (0, one)})
        return _page([self._usage(one) for one in ids], page_token, 0)

    async def list_mailboxes(self, account_id: int, page_token: str = "") -> Page[Mailbox]:
        found = [
            Mailbox(name, True, len(messages), sum(len(one.content) for one in messages))
            for (owner, name), messages in sorted(self.mailboxes.items())
            if owner == account_id
        ]
        return _page(found, page_token, 0)

    async def upload(self, content: bytes) -> bytes:
        if len(content) > self.largest:
            raise PostroomError(Kind.TOO_LARGE, "the message is too large")
        upload_id = b"upload-%d" % len(self._uploads)
        self._uploads[upload_id] = content
        return upload_id

    async def import_messages(
        self,
        key: bytes,
        account_id: int,
        mailbox: str,
        messages: Sequence[NewMessage],
        quota: Quota,
    ) -> int:
        self.imports += 1
        self.before(self.imports)
        assert sum(len(one.content) for one in messages) <= REQUEST_BYTES
        if key not in self._keys:
            self._add(account_id, mailbox, messages, quota.bytes)
            self._keys[key] = len(messages)
        self.after(self.imports)
        return self._keys[key]

    async def export_messages(self, account_id: int, mailbox: str) -> AsyncIterator[StoredMessage]:
        if (account_id, mailbox) not in self.mailboxes:
            raise PostroomError(Kind.NOT_FOUND, f"there is no mailbox {mailbox}")
        for message in self.mailboxes[account_id, mailbox]:
            yield message

    async def undelete(self, account_id: int, mailbox: str, since: int) -> int:
        self.expunged.append((account_id, mailbox, since))
        return 2

    async def purge_account(self, account_id: int) -> None:
        self.purged.append(account_id)

    async def check_integrity(self, account_id: int, contents: bool) -> AsyncIterator[Progress]:
        yield Progress(1, 2)
        yield Progress(2, 2, self.faults)

    async def collect_garbage(self) -> AsyncIterator[Collected]:
        yield Collected(1, 0, 0)
        yield Collected(2, 1, 4096)

    async def reindex(self, account_id: int) -> AsyncIterator[Progress]:
        yield Progress(3, 3)

    def contents(self, mailbox: str = "INBOX", account_id: int = 1) -> list[bytes]:
        return [one.content for one in self.mailboxes.get((account_id, mailbox), [])]

    def _add(
        self, account_id: int, mailbox: str, messages: Sequence[NewMessage], quota_bytes: int
    ) -> None:
        read = [self._uploads.get(one.upload_id, one.content) for one in messages]
        if any("bad flag" in one.flags for one in messages):
            raise PostroomError(Kind.INVALID, "a keyword is 1 to 100 printable ASCII characters")
        if any(len(content) > self.largest for content in read):
            raise PostroomError(Kind.TOO_LARGE, "the message is too large")
        if quota_bytes and self._usage(account_id).bytes + sum(map(len, read)) > quota_bytes:
            raise PostroomError(Kind.OVER_QUOTA, "the account is over its quota")
        there = self.mailboxes.setdefault((account_id, mailbox), [])
        for message, content in zip(messages, read, strict=True):
            there.append(
                StoredMessage(len(there) + 1, content, message.flags, message.internaldate)
            )

    def _usage(self, account_id: int) -> Usage:
        boxes = [kept for (owner, _), kept in self.mailboxes.items() if owner == account_id]
        sizes = [len(message.content) for kept in boxes for message in kept]
        return Usage(account_id, len(sizes), sum(sizes), len(boxes))


class FakeServices:
    """All of them, and how the command connects to them."""

    def __init__(self) -> None:
        self.directory = FakeDirectory()
        self.credentials = FakeCredentials(self.directory.accounts)
        self.queue = FakeQueue()
        self.store = FakeStore()
        self.traces = FakeTraces()
        self.dkim = FakeDkimKeys()
        self.dns: Dns = DnsServers("127.0.0.1:1")

    @property
    def ports(self) -> Services:
        credentials = cast(Credentials, self.credentials)
        return Services(
            self.directory,
            self.queue,
            self.store,
            credentials,
            self.traces,
            self.dkim,
            self.dns,
        )

    def connect(self, _settings: AdminSettings) -> AbstractAsyncContextManager[Services]:
        @asynccontextmanager
        async def connected() -> AsyncIterator[Services]:
            yield self.ports

        return connected()

    async def with_account(self, address: str = "ann@example.org", quota: int = 0) -> Account:
        domain = address.rpartition("@")[2]
        if domain not in self.directory.domains:
            await self.directory.create_domain(domain)
        return await self.directory.create_account(address, "secret", "Ann", quota)


def _add(kept: dict[K, V], key: K, value: V, what: str) -> V:
    if key in kept:
        raise PostroomError(Kind.ALREADY_EXISTS, f"there is a {what} {key} already")
    kept[key] = value
    return value


def _get(kept: Mapping[K, V], key: K, what: str) -> V:
    if key not in kept:
        raise PostroomError(Kind.NOT_FOUND, f"there is no {what} {key}")
    return kept[key]


def _page(items: Sequence[V], token: str, size: int) -> Page[V]:
    start = int(token or 0)
    end = start + (size or 1000)
    return Page(items[start:end], str(end) if end < len(items) else "")
