"""The ports over gRPC: the only file that knows the stubs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from grpc_health.v1 import health_pb2, health_pb2_grpc
from postroom.auth.v1 import (
    account_pb2,
    account_pb2_grpc,
    credential_pb2,
    secret_pb2,
    secret_pb2_grpc,
)
from postroom.store.v1 import admin_pb2, admin_pb2_grpc, message_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.client import Channel

from postroom_admin.model import (
    Account,
    Alias,
    AppPassword,
    AuditEntry,
    AuditFilter,
    Collected,
    Domain,
    Mailbox,
    NewAppPassword,
    NewMessage,
    Page,
    Progress,
    Secret,
    Standing,
    StoredMessage,
    Tenant,
    Usage,
)
from postroom_admin.ports import Services
from postroom_admin.publishing.dns_servers import DnsServers
from postroom_admin.remote_dkim import RemoteDkimKeys
from postroom_admin.remote_queue import RemoteQueue, RemoteTraces
from postroom_admin.settings import AdminSettings

PIECE = 256 * 1024  # bytes of an upload in one message
IMPORT_SECONDS = 120.0
JOB_SECONDS = 24 * 3600.0  # checks, reindexing and exports of large accounts take hours
OUTCOMES = {
    None: credential_pb2.ListAuditRequest.OUTCOME_UNSPECIFIED,
    True: credential_pb2.ListAuditRequest.OUTCOME_SUCCEEDED,
    False: credential_pb2.ListAuditRequest.OUTCOME_FAILED,
}
SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
FIRST_KEYWORD = 8  # message.proto: bit 8 + i is the keyword with number i


@asynccontextmanager
async def connect(settings: AdminSettings) -> AsyncIterator[Services]:
    """Connections to auth and store, made when they are first used. Raises OSError where the
    certificate can't be read.
    """
    channels = owner_channels(settings)
    try:
        yield services_over(channels, settings.dns_server)
    finally:
        for channel in channels.values():
            await channel.close()


def owner_channels(settings: AdminSettings) -> dict[str, Channel]:
    """A channel to each owner, by name."""
    addresses = {"auth": settings.auth_address, "store": settings.store_address}
    return {
        owner: Channel(address, owner, settings.rpc_tls) for owner, address in addresses.items()
    }


def services_over(channels: dict[str, Channel], dns_server: str = "") -> Services:
    """The ports over channels to "auth" and "store".

    Args:
        dns_server: who is asked what is published; empty: whom the system asks.
    """
    auth, store = channels["auth"], channels["store"]
    return Services(
        RemoteDirectory(auth),
        RemoteQueue(store),
        RemoteStore(store),
        RemoteCredentials(auth),
        RemoteTraces(store),
        RemoteDkimKeys(auth),
        DnsServers(dns_server),
    )


async def check_health(channel: Channel) -> None:
    """Raise PostroomError UNAVAILABLE unless the service at the other end says it is serving."""
    stub = channel.stub(health_pb2_grpc.HealthStub)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise PostroomError(Kind.UNAVAILABLE, "the service is not ready")


class RemoteDirectory:
    """ports.Directory at auth."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(account_pb2_grpc.AccountServiceStub)

    async def create_tenant(self, name: str) -> Tenant:
        answer = await self._stub.CreateTenant(account_pb2.CreateTenantRequest(name=name))
        return Tenant(answer.name)

    async def list_tenants(self) -> Sequence[Tenant]:
        answer = await self._stub.ListTenants(account_pb2.ListTenantsRequest())
        return [Tenant(tenant.name) for tenant in answer.tenants]

    async def delete_tenant(self, name: str) -> None:
        await self._stub.DeleteTenant(account_pb2.DeleteTenantRequest(name=name))

    async def create_domain(self, name: str, tenant: str = "") -> Domain:
        request = account_pb2.CreateDomainRequest(name=name, tenant=tenant)
        return _domain(await self._stub.CreateDomain(request))

    async def list_domains(self, tenant: str = "") -> Sequence[Domain]:
        answer = await self._stub.ListDomains(account_pb2.ListDomainsRequest(tenant=tenant))
        return [_domain(domain) for domain in answer.domains]

    async def set_catch_all(self, name: str, address: str) -> Domain:
        request = account_pb2.SetCatchAllRequest(name=name, address=address)
        return _domain(await self._stub.SetCatchAll(request))

    async def delete_domain(self, name: str) -> None:
        await self._stub.DeleteDomain(account_pb2.DeleteDomainRequest(name=name))

    async def create_account(
        self,
        address: str,
        password: str = "",
        display_name: str = "",
        quota_bytes: int = 0,
        *,
        accept_weak: bool = False,
    ) -> Account:
        request = account_pb2.CreateAccountRequest(
            address=address,
            password=password,
            display_name=display_name,
            quota_bytes=quota_bytes,
            accept_weak=accept_weak,
        )
        return _account(await self._stub.CreateAccount(request))

    async def get_account(self, address: str) -> Account:
        return _account(await self._stub.GetAccount(account_pb2.GetAccountRequest(address=address)))

    async def get_account_of(self, account_id: int) -> Account:
        request = account_pb2.GetAccountRequest(account_id=account_id)
        return _account(await self._stub.GetAccount(request))

    async def list_accounts(
        self, domain: str = "", page_token: str = "", page_size: int = 0
    ) -> Page[Account]:
        request = account_pb2.ListAccountsRequest(
            domain=domain, page_token=page_token, page_size=page_size
        )
        answer = await self._stub.ListAccounts(request)
        return Page([_account(account) for account in answer.accounts], answer.next_page_token)

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
        request = account_pb2.UpdateAccountRequest(
            address=address,
            display_name=display_name,
            quota_bytes=quota_bytes,
            quota_messages=quota_messages,
            quota_mailboxes=quota_mailboxes,
            disabled=disabled,
            administrator=administrator,
            app_passwords_only=app_passwords_only,
            pop3_delete=pop3_delete,
            pop3_days=pop3_days,
            pop3_login_delay=pop3_login_delay,
        )
        return _account(await self._stub.UpdateAccount(request))

    async def set_password(
        self, address: str, password: str, *, accept_weak: bool = False
    ) -> Account:
        request = account_pb2.SetPasswordRequest(
            address=address, password=password, accept_weak=accept_weak
        )
        return _account(await self._stub.SetPassword(request))

    async def delete_account(self, address: str) -> int:
        request = account_pb2.DeleteAccountRequest(address=address)
        return (await self._stub.DeleteAccount(request)).account_id

    async def create_alias(self, address: str, targets: Sequence[str]) -> Alias:
        request = account_pb2.CreateAliasRequest(address=address, targets=targets)
        return _alias(await self._stub.CreateAlias(request))

    async def change_alias(
        self, address: str, added: Sequence[str], removed: Sequence[str]
    ) -> Alias:
        request = account_pb2.UpdateAliasRequest(address=address, added=added, removed=removed)
        return _alias(await self._stub.UpdateAlias(request))

    async def list_aliases(self, domain: str = "") -> Sequence[Alias]:
        answer = await self._stub.ListAliases(account_pb2.ListAliasesRequest(domain=domain))
        return [_alias(alias) for alias in answer.aliases]

    async def delete_alias(self, address: str) -> None:
        await self._stub.DeleteAlias(account_pb2.DeleteAliasRequest(address=address))


class RemoteCredentials:
    """ports.Credentials at auth."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(account_pb2_grpc.AccountServiceStub)
        self._secrets = auth.stub(secret_pb2_grpc.SecretServiceStub)

    async def add_app_password(
        self,
        address: str,
        name: str,
        protocols: Sequence[str],
        networks: Sequence[str] = (),
        expires_at: int = 0,
    ) -> NewAppPassword:
        request = credential_pb2.CreateAppPasswordRequest(
            address=address,
            name=name,
            protocols=protocols,
            networks=networks,
            expires_at=expires_at,
        )
        answer = await self._stub.CreateAppPassword(request)
        return NewAppPassword(_app_password(answer.app_password), answer.password)

    async def list_app_passwords(self, address: str) -> Sequence[AppPassword]:
        request = credential_pb2.ListAppPasswordsRequest(address=address)
        answer = await self._stub.ListAppPasswords(request)
        return [_app_password(one) for one in answer.app_passwords]

    async def revoke_app_password(self, address: str, name: str) -> int:
        request = credential_pb2.RevokeAppPasswordRequest(address=address)
        if name:
            request.name = name
        else:
            request.all = True
        return (await self._stub.RevokeAppPassword(request)).revoked

    async def add_secret(
        self, address: str, kind: str, networks: Sequence[str]
    ) -> tuple[Secret, str]:
        request = secret_pb2.AddSecretRequest(address=address, kind=kind, networks=networks)
        answer = await self._secrets.AddSecret(request)
        return _secret(answer.secret), answer.text

    async def list_secrets(self, address: str) -> Sequence[Secret]:
        answer = await self._secrets.ListSecrets(secret_pb2.ListSecretsRequest(address=address))
        return [_secret(secret) for secret in answer.secrets]

    async def revoke_secret(self, address: str, secret_id: int) -> None:
        request = secret_pb2.RevokeSecretRequest(address=address, secret_id=secret_id)
        await self._secrets.RevokeSecret(request)

    async def lock(self, address: str, until: int = 0) -> Standing:
        request = credential_pb2.LockAccountRequest(address=address, until=until)
        return _standing(await self._stub.LockAccount(request))

    async def unlock(self, address: str) -> Standing:
        request = credential_pb2.UnlockAccountRequest(address=address)
        return _standing(await self._stub.UnlockAccount(request))

    async def standing(self, address: str) -> Standing:
        request = credential_pb2.GetAccountStandingRequest(address=address)
        return _standing(await self._stub.GetAccountStanding(request))

    async def audit(
        self, wanted: AuditFilter, page_token: str = "", page_size: int = 0
    ) -> Page[AuditEntry]:
        request = credential_pb2.ListAuditRequest(
            account=wanted.account,
            network=wanted.network,
            outcome=OUTCOMES[wanted.succeeded],
            since=wanted.since,
            page_token=page_token,
            page_size=page_size,
        )
        answer = await self._stub.ListAudit(request)
        return Page([_audit_entry(entry) for entry in answer.entries], answer.next_page_token)


class RemoteStore:
    """ports.MailStore at store."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(admin_pb2_grpc.AdminServiceStub)

    async def usage(self, account_id: int = 0, page_token: str = "") -> Page[Usage]:
        request = admin_pb2.UsageRequest(account_id=account_id, page_token=page_token)
        answer = await self._stub.Usage(request)
        found = [
            Usage(entry.account_id, entry.messages, entry.bytes, entry.mailboxes)
            for entry in answer.accounts
        ]
        return Page(found, answer.next_page_token)

    async def list_mailboxes(self, account_id: int, page_token: str = "") -> Page[Mailbox]:
        request = admin_pb2.ListMailboxesRequest(account_id=account_id, page_token=page_token)
        answer = await self._stub.ListMailboxes(request)
        found = [
            Mailbox(entry.name, entry.selectable, entry.counts.messages, entry.counts.size)
            for entry in answer.mailboxes
            if entry.mailbox_id  # 0: a subscription to nothing
        ]
        return Page(found, answer.next_page_token)

    async def upload(self, content: bytes) -> bytes:
        async def pieces() -> AsyncIterator[message_pb2.UploadRequest]:
            for offset in range(0, len(content), PIECE):
                yield message_pb2.UploadRequest(data=content[offset : offset + PIECE])

        return (await self._stub.Upload(pieces())).upload_id

    async def import_messages(
        self,
        key: bytes,
        account_id: int,
        mailbox: str,
        messages: Sequence[NewMessage],
        quota: Quota,
    ) -> int:
        request = admin_pb2.ImportRequest(
            idempotency_key=key,
            account_id=account_id,
            name=mailbox,
            messages=[_new_message(message) for message in messages],
            quota_bytes=quota.bytes,
            quota_messages=quota.messages,
            quota_mailboxes=quota.mailboxes,
        )
        return len((await self._stub.Import(request, timeout=IMPORT_SECONDS)).uids)

    async def export_messages(self, account_id: int, mailbox: str) -> AsyncIterator[StoredMessage]:
        request = admin_pb2.ExportRequest(account_id=account_id, name=mailbox)
        keywords: dict[int, str] = {}
        begun: StoredMessage | None = None  # it goes on in the next response
        pieces = bytearray()
        async for answer in self._stub.Export(request, timeout=JOB_SECONDS):
            keywords.update({keyword.number: keyword.name for keyword in answer.keywords})
            for index, content in enumerate(answer.contents):
                message = begun or StoredMessage(
                    answer.uids[index],
                    b"",
                    _flag_names(answer.flags[index], keywords),
                    answer.internaldates[index],
                )
                pieces += content
                if answer.more and index == len(answer.contents) - 1:
                    begun = message
                    break
                yield replace(message, content=bytes(pieces))
                begun = None
                pieces.clear()

    async def undelete(self, account_id: int, mailbox: str, since: int) -> int:
        request = admin_pb2.UndeleteRequest(account_id=account_id, name=mailbox, since=since)
        return (await self._stub.Undelete(request, timeout=IMPORT_SECONDS)).restored

    async def purge_account(self, account_id: int) -> None:
        request = admin_pb2.PurgeAccountRequest(account_id=account_id)
        await self._stub.PurgeAccount(request, timeout=IMPORT_SECONDS)

    async def check_integrity(self, account_id: int, contents: bool) -> AsyncIterator[Progress]:
        request = admin_pb2.CheckIntegrityRequest(account_id=account_id, contents=contents)
        async for answer in self._stub.CheckIntegrity(request, timeout=JOB_SECONDS):
            yield Progress(answer.done, answer.total, tuple(answer.faults))

    async def collect_garbage(self) -> AsyncIterator[Collected]:
        request = admin_pb2.CollectGarbageRequest()
        async for answer in self._stub.CollectGarbage(request, timeout=JOB_SECONDS):
            yield Collected(answer.expunged, answer.contents, answer.bytes)

    async def reindex(self, account_id: int) -> AsyncIterator[Progress]:
        request = admin_pb2.ReindexRequest(account_id=account_id)
        async for answer in self._stub.Reindex(request, timeout=JOB_SECONDS):
            yield Progress(answer.done, answer.total)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _domain(domain: account_pb2.Domain) -> Domain:
    return Domain(domain.name, domain.tenant, domain.catch_all, domain.accounts)


def _account(account: account_pb2.Account) -> Account:
    return Account(
        account_id=account.account_id,
        address=account.address,
        tenant=account.tenant,
        display_name=account.display_name,
        quota_bytes=account.quota_bytes,
        disabled=account.disabled,
        created_at=_time(account.created_at),
        quota_messages=account.quota_messages,
        quota_mailboxes=account.quota_mailboxes,
        administrator=account.administrator,
        pop3_delete=account.pop3_delete,
        pop3_days=account.pop3_days,
        pop3_login_delay=account.pop3_login_delay,
        app_passwords_only=account.app_passwords_only,
    )


def _app_password(one: credential_pb2.AppPassword) -> AppPassword:
    return AppPassword(
        name=one.name,
        protocols=tuple(one.protocols),
        networks=tuple(one.networks),
        created_at=_time(one.created_at),
        expires_at=_time(one.expires_at) if one.expires_at else None,
        used_at=_time(one.used_at) if one.used_at else None,
    )


def _standing(standing: credential_pb2.AccountStanding) -> Standing:
    return Standing(
        address=standing.address,
        disabled=standing.disabled,
        locked=standing.locked,
        locked_until=_time(standing.locked_until) if standing.locked_until else None,
        failures=standing.failures,
        waits_until=_time(standing.waits_until) if standing.waits_until else None,
        locked_by_failures=standing.locked_by_failures,
        app_passwords=standing.app_passwords,
        last_success=(
            _audit_entry(standing.last_success) if standing.HasField("last_success") else None
        ),
    )


def _audit_entry(entry: credential_pb2.AuditEntry) -> AuditEntry:
    return AuditEntry(
        entry_id=entry.entry_id,
        at=datetime.fromtimestamp(entry.at_ms / 1000, UTC),
        account=entry.account,
        outcome=entry.outcome,
        why=entry.why,
        protocol=entry.protocol,
        front=entry.front,
        mechanism=entry.mechanism,
        credential=entry.credential,
        client=entry.client,
        tls_version=entry.tls_version,
        times=entry.times,
    )


def _secret(secret: secret_pb2.Secret) -> Secret:
    created = _time(secret.created_at)
    return Secret(secret.secret_id, secret.kind, tuple(secret.networks), created)


def _alias(alias: account_pb2.Alias) -> Alias:
    return Alias(alias.address, tuple(alias.targets))


def _new_message(message: NewMessage) -> message_pb2.NewMessage:
    made = message_pb2.NewMessage(flags=message.flags, internaldate=message.internaldate)
    if message.upload_id:
        made.upload_id = message.upload_id
    else:
        made.content = message.content
    return made


def _flag_names(mask: int, keywords: dict[int, str]) -> tuple[str, ...]:
    system = (name for bit, name in enumerate(SYSTEM_FLAGS) if mask >> bit & 1)
    named = (name for number, name in keywords.items() if mask >> FIRST_KEYWORD + number & 1)
    return (*system, *named)
