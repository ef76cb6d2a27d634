"""auth's RPCs: protobuf to the domain and back, nothing else."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor
from postroom.auth.v1 import (
    account_pb2,
    authentication_pb2,
    directory_pb2,
    quota_pb2,
    secret_pb2,
)
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.server import Call

from postroom_auth.administering import Administering
from postroom_auth.credentials import Credentials
from postroom_auth.domain.maildrop_policy import MaildropPolicy
from postroom_auth.domain.people import CHANGEABLE, Account, Alias, Changes, Domain, InvalidValue
from postroom_auth.domain.resolution import Kind as Outcome
from postroom_auth.domain.resolution import Resolution
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import Challenge
from postroom_auth.domain.shared_secret import SharedSecret
from postroom_auth.issuing import Issued, TicketOffice
from postroom_auth.quotas import Quotas
from postroom_auth.resolving import Resolving
from postroom_auth.rpc_credentials import CredentialCalls
from postroom_auth.shared_secrets import SharedSecrets
from postroom_auth.signing_in import POP3, Client, SigningIn, Success

AUTHENTICATION: Final[ServiceDescriptor] = authentication_pb2.DESCRIPTOR.services_by_name[
    "AuthenticationService"
]
DIRECTORY: Final[ServiceDescriptor] = directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"]
QUOTA: Final[ServiceDescriptor] = quota_pb2.DESCRIPTOR.services_by_name["QuotaService"]
SECRET: Final[ServiceDescriptor] = secret_pb2.DESCRIPTOR.services_by_name["SecretService"]
ACCOUNT: Final[ServiceDescriptor] = account_pb2.DESCRIPTOR.services_by_name["AccountService"]

RESPONSE_BYTES = 1024 * 1024  # at which a page of aliases is cut

RESOLUTION_KINDS = {
    Outcome.LOCAL: directory_pb2.Resolution.KIND_LOCAL,
    Outcome.UNKNOWN: directory_pb2.Resolution.KIND_UNKNOWN,
    Outcome.FOREIGN: directory_pb2.Resolution.KIND_FOREIGN,
    Outcome.INVALID: directory_pb2.Resolution.KIND_INVALID,
    Outcome.UNAVAILABLE: directory_pb2.Resolution.KIND_UNAVAILABLE,
}


class AuthenticationService:
    """postroom.auth.v1.AuthenticationService."""

    def __init__(self, signing_in: SigningIn, office: TicketOffice, renewal_seconds: int) -> None:
        self._signing_in = signing_in
        self._office = office
        self._renewal_seconds = renewal_seconds

    async def Authenticate(
        self, requests: AsyncIterator[authentication_pb2.AuthenticateRequest], call: Call
    ) -> AsyncIterator[authentication_pb2.AuthenticateResponse]:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("step") != "start":
            raise PostroomError(Kind.INVALID, "an exchange begins with its start")
        start = first.start
        initial = start.initial_response if start.HasField("initial_response") else None
        steps = self._signing_in.exchange(
            call.caller, start.mechanism, _client(start.client), initial, _responses(requests)
        )
        async for step in steps:
            if isinstance(step, Challenge):
                yield authentication_pb2.AuthenticateResponse(challenge=step.data)
            else:
                yield authentication_pb2.AuthenticateResponse(
                    success=authentication_pb2.AuthenticateResponse.Success(
                        ticket=self._ticket(step.issued),
                        additional_data=step.additional_data,
                        maildrop=_maildrop(step, start.client.protocol),
                    )
                )

    async def SignIn(
        self, request: authentication_pb2.SignInRequest, call: Call
    ) -> authentication_pb2.SignInResponse:
        mechanism = MECHANISMS.get(request.mechanism)
        if mechanism is not None and not mechanism.one_step:
            raise PostroomError(Kind.UNSUPPORTED, "this mechanism takes more steps")
        steps = self._signing_in.exchange(
            call.caller,
            request.mechanism,
            _client(request.client),
            request.initial_response,
            _no_responses(),
        )
        async for step in steps:
            if isinstance(step, Success):
                return authentication_pb2.SignInResponse(
                    ticket=self._ticket(step.issued),
                    additional_data=step.additional_data,
                    maildrop=_maildrop(step, request.client.protocol),
                )
        raise PostroomError(Kind.INTERNAL, "the exchange ended with nothing")

    async def ListMechanisms(
        self, request: authentication_pb2.ListMechanismsRequest, call: Call
    ) -> authentication_pb2.ListMechanismsResponse:
        rows = self._signing_in.mechanisms(_client(request.client))
        policy = None
        if request.client.protocol == POP3:
            policy = _policy(await self._signing_in.strictest_policy())
        return authentication_pb2.ListMechanismsResponse(
            mechanisms=[row.name for row in rows if not row.private],
            private_mechanisms=[row.name for row in rows if row.private],
            strictest_policy=policy,
        )

    async def Renew(
        self, request: authentication_pb2.RenewRequest, call: Call
    ) -> authentication_pb2.RenewResponse:
        issued = await self._office.renew(request.token)
        return authentication_pb2.RenewResponse(ticket=self._ticket(issued))

    def _ticket(self, issued: Issued) -> authentication_pb2.Ticket:
        ticket = _ticket(issued)
        ticket.renew_seconds = self._renewal_seconds
        return ticket


class SecretService:
    """postroom.auth.v1.SecretService."""

    def __init__(self, shared_secrets: SharedSecrets) -> None:
        self._shared_secrets = shared_secrets

    async def AddSecret(
        self, request: secret_pb2.AddSecretRequest, call: Call
    ) -> secret_pb2.AddSecretResponse:
        made, text = await self._shared_secrets.add(request.address, request.kind, request.networks)
        return secret_pb2.AddSecretResponse(secret=_secret(made), text=text)

    async def ListSecrets(
        self, request: secret_pb2.ListSecretsRequest, call: Call
    ) -> secret_pb2.ListSecretsResponse:
        found = await self._shared_secrets.secrets(request.address)
        return secret_pb2.ListSecretsResponse(secrets=[_secret(one) for one in found])

    async def RevokeSecret(
        self, request: secret_pb2.RevokeSecretRequest, call: Call
    ) -> secret_pb2.RevokeSecretResponse:
        await self._shared_secrets.revoke(request.address, request.secret_id)
        return secret_pb2.RevokeSecretResponse()


class QuotaService:
    """postroom.auth.v1.QuotaService."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    async def OpenQuota(
        self, request: quota_pb2.OpenQuotaRequest, call: Call
    ) -> authentication_pb2.Ticket:
        return _ticket(await self._quotas.open(call.ticket, request.address))

    async def SetQuota(
        self, request: quota_pb2.SetQuotaRequest, call: Call
    ) -> authentication_pb2.Ticket:
        quota = Quota(request.bytes, request.messages, request.mailboxes)
        return _ticket(await self._quotas.set(call.ticket, request.address, quota))


class DirectoryService:
    """postroom.auth.v1.DirectoryService."""

    def __init__(self, resolving: Resolving) -> None:
        self._resolving = resolving

    async def Resolve(
        self, request: directory_pb2.ResolveRequest, call: Call
    ) -> directory_pb2.ResolveResponse:
        resolutions = await self._resolving.resolve(request.addresses)
        return directory_pb2.ResolveResponse(
            resolutions=[_resolution(resolution) for resolution in resolutions]
        )

    async def MaySendAs(
        self, request: directory_pb2.MaySendAsRequest, call: Call
    ) -> directory_pb2.MaySendAsResponse:
        allowed = await self._resolving.may_send_as(request.account_id, request.addresses)
        return directory_pb2.MaySendAsResponse(allowed=allowed)


class AccountService(CredentialCalls):
    """postroom.auth.v1.AccountService."""

    def __init__(self, administering: Administering, credentials: Credentials) -> None:
        super().__init__(credentials)
        self._administering = administering

    async def CreateTenant(
        self, request: account_pb2.CreateTenantRequest, call: Call
    ) -> account_pb2.Tenant:
        tenant = await self._administering.create_tenant(request.name)
        return account_pb2.Tenant(tenant_id=tenant.tenant_id, name=tenant.name)

    async def ListTenants(
        self, request: account_pb2.ListTenantsRequest, call: Call
    ) -> account_pb2.ListTenantsResponse:
        tenants = await self._administering.tenants()
        return account_pb2.ListTenantsResponse(
            tenants=[
                account_pb2.Tenant(tenant_id=tenant.tenant_id, name=tenant.name)
                for tenant in tenants
            ]
        )

    async def DeleteTenant(
        self, request: account_pb2.DeleteTenantRequest, call: Call
    ) -> account_pb2.DeleteTenantResponse:
        await self._administering.delete_tenant(request.name)
        return account_pb2.DeleteTenantResponse()

    async def CreateDomain(
        self, request: account_pb2.CreateDomainRequest, call: Call
    ) -> account_pb2.Domain:
        return _domain(await self._administering.create_domain(request.name, request.tenant))

    async def ListDomains(
        self, request: account_pb2.ListDomainsRequest, call: Call
    ) -> account_pb2.ListDomainsResponse:
        domains = await self._administering.domains(request.tenant)
        return account_pb2.ListDomainsResponse(domains=[_domain(domain) for domain in domains])

    async def SetCatchAll(
        self, request: account_pb2.SetCatchAllRequest, call: Call
    ) -> account_pb2.Domain:
        return _domain(await self._administering.set_catch_all(request.name, request.address))

    async def DeleteDomain(
        self, request: account_pb2.DeleteDomainRequest, call: Call
    ) -> account_pb2.DeleteDomainResponse:
        await self._administering.delete_domain(request.name)
        return account_pb2.DeleteDomainResponse()

    async def CreateAccount(
        self, request: account_pb2.CreateAccountRequest, call: Call
    ) -> account_pb2.Account:
        account = await self._administering.create_account(
            request.address,
            request.password,
            request.display_name,
            request.quota_bytes,
            accept_weak=request.accept_weak,
        )
        return _account(account)

    async def GetAccount(
        self, request: account_pb2.GetAccountRequest, call: Call
    ) -> account_pb2.Account:
        match request.WhichOneof("account"):
            case "address":
                return _account(await self._administering.account(request.address))
            case "account_id":
                return _account(await self._administering.account_of(request.account_id))
        raise PostroomError(Kind.INVALID, "which account?")

    async def ListAccounts(
        self, request: account_pb2.ListAccountsRequest, call: Call
    ) -> account_pb2.ListAccountsResponse:
        after = _read_token(request.page_token)
        accounts = await self._administering.accounts(request.domain, after, request.page_size)
        full = len(accounts) == (request.page_size or 1000)
        return account_pb2.ListAccountsResponse(
            accounts=[_account(account) for account in accounts],
            next_page_token=_token(accounts[-1].address) if full else "",
        )

    async def UpdateAccount(
        self, request: account_pb2.UpdateAccountRequest, call: Call
    ) -> account_pb2.Account:
        present = {
            field.name: value for field, value in request.ListFields() if field.name in CHANGEABLE
        }
        try:
            changes = Changes(**present)
        except InvalidValue as error:
            raise PostroomError(Kind.INVALID, str(error)) from error
        return _account(await self._administering.change_account(request.address, changes))

    async def SetPassword(
        self, request: account_pb2.SetPasswordRequest, call: Call
    ) -> account_pb2.Account:
        account = await self._administering.set_password(
            request.address, request.password, accept_weak=request.accept_weak
        )
        return _account(account)

    async def DeleteAccount(
        self, request: account_pb2.DeleteAccountRequest, call: Call
    ) -> account_pb2.DeleteAccountResponse:
        account_id = await self._administering.delete_account(request.address)
        return account_pb2.DeleteAccountResponse(account_id=account_id)

    async def CreateAlias(
        self, request: account_pb2.CreateAliasRequest, call: Call
    ) -> account_pb2.Alias:
        return _alias(await self._administering.create_alias(request.address, request.targets))

    async def UpdateAlias(
        self, request: account_pb2.UpdateAliasRequest, call: Call
    ) -> account_pb2.Alias:
        alias = await self._administering.change_alias(
            request.address, request.added, request.removed
        )
        return _alias(alias)

    async def ListAliases(
        self, request: account_pb2.ListAliasesRequest, call: Call
    ) -> account_pb2.ListAliasesResponse:
        after = _read_token(request.page_token)
        aliases = await self._administering.aliases(request.domain, after, request.page_size)
        response = account_pb2.ListAliasesResponse()
        octets = 0
        for alias in aliases:
            message = _alias(alias)
            octets += message.ByteSize()
            if response.aliases and octets > RESPONSE_BYTES:
                break
            response.aliases.append(message)
        if len(response.aliases) < len(aliases) or len(aliases) == (request.page_size or 1000):
            response.next_page_token = _token(aliases[len(response.aliases) - 1].address.key)
        return response

    async def DeleteAlias(
        self, request: account_pb2.DeleteAliasRequest, call: Call
    ) -> account_pb2.DeleteAliasResponse:
        await self._administering.delete_alias(request.address)
        return account_pb2.DeleteAliasResponse()


async def _responses(
    requests: AsyncIterator[authentication_pb2.AuthenticateRequest],
) -> AsyncIterator[bytes]:
    async for request in requests:
        match request.WhichOneof("step"):
            case "response":
                yield request.response
            case "cancel":
                raise PostroomError(Kind.INVALID, "the client cancelled the exchange")
            case _:
                raise PostroomError(Kind.INVALID, "a response was due")


async def _no_responses() -> AsyncIterator[bytes]:
    raise PostroomError(Kind.UNSUPPORTED, "this mechanism takes more steps")
    yield b""


def _client(client: authentication_pb2.Client) -> Client:
    return Client(
        client.protocol,
        client.address,
        client.secure,
        client.tls_version[:16],
        client.tls_server_end_point,
        tuple(client.certificate_names),
    )


def _ticket(issued: Issued) -> authentication_pb2.Ticket:
    ticket = issued.ticket
    return authentication_pb2.Ticket(
        token=issued.token,
        account_id=ticket.account_id,
        address=ticket.address,
        expires_at=ticket.expires_at,
        quota_bytes=ticket.quota_bytes,
    )


def _maildrop(success: Success, protocol: str) -> authentication_pb2.Maildrop | None:
    if protocol != POP3:
        return None
    return authentication_pb2.Maildrop(mailbox=success.mailbox, policy=_policy(success.policy))


def _policy(policy: MaildropPolicy) -> authentication_pb2.MaildropPolicy:
    return authentication_pb2.MaildropPolicy(
        expire_days=policy.expire_days, login_delay=policy.login_delay
    )


def _secret(secret: SharedSecret) -> secret_pb2.Secret:
    return secret_pb2.Secret(
        secret_id=secret.secret_id,
        kind=secret.kind.value,
        networks=[str(network) for network in secret.networks],
        created_at=secret.created_at,
    )


def _resolution(resolution: Resolution) -> directory_pb2.Resolution:
    return directory_pb2.Resolution(
        kind=RESOLUTION_KINDS[resolution.kind],
        recipients=[
            directory_pb2.Recipient(
                account_id=recipient.mailbox.account_id,
                address=recipient.mailbox.address,
                detail=recipient.detail,
                quota_bytes=recipient.mailbox.quota_bytes,
                quota_messages=recipient.mailbox.quota_messages,
                quota_mailboxes=recipient.mailbox.quota_mailboxes,
            )
            for recipient in resolution.recipients
        ],
        forwards=resolution.forwards,
    )


def _domain(domain: Domain) -> account_pb2.Domain:
    return account_pb2.Domain(
        name=domain.name,
        tenant=domain.tenant,
        catch_all=domain.catch_all,
        accounts=domain.accounts,
    )


def _account(account: Account) -> account_pb2.Account:
    return account_pb2.Account(
        account_id=account.account_id,
        address=account.address,
        tenant=account.tenant,
        display_name=account.display_name,
        quota_bytes=account.quota_bytes,
        disabled=account.disabled,
        created_at=account.created_at,
        quota_messages=account.quota_messages,
        quota_mailboxes=account.quota_mailboxes,
        administrator=account.administrator,
        app_passwords_only=account.app_passwords_only,
        pop3_delete=account.pop3_delete,
        pop3_days=account.pop3_days,
        pop3_login_delay=account.pop3_login_delay,
    )


def _alias(alias: Alias) -> account_pb2.Alias:
    return account_pb2.Alias(
        address=str(alias.address), targets=[str(target) for target in alias.targets]
    )


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise PostroomError(Kind.INVALID, "that is no page token of ours") from None
