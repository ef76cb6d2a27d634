"""Those RPCs of AccountService that concern signing in: protobuf to the domain and back."""

from __future__ import annotations

from postroom.auth.v1 import credential_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call

from postroom_auth.credentials import FOR_GOOD, PAGE, Credentials, Standing
from postroom_auth.domain.app_password import AppPassword, Scope
from postroom_auth.domain.auditing import AuditEntry
from postroom_auth.domain.people import InvalidValue

OUTCOMES = {
    credential_pb2.ListAuditRequest.OUTCOME_SUCCEEDED: True,
    credential_pb2.ListAuditRequest.OUTCOME_FAILED: False,
}


class CredentialCalls:
    """A part of postroom.auth.v1.AccountService."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def CreateAppPassword(
        self, request: credential_pb2.CreateAppPasswordRequest, call: Call
    ) -> credential_pb2.CreateAppPasswordResponse:
        try:
            scope = Scope(
                request.name.strip(),
                tuple(dict.fromkeys(request.protocols)),
                tuple(dict.fromkeys(request.networks)),
                request.expires_at,
            )
        except InvalidValue as error:
            raise PostroomError(Kind.INVALID, str(error)) from error
        added, text = await self._credentials.add_app_password(request.address, scope)
        return credential_pb2.CreateAppPasswordResponse(
            app_password=_app_password(added), password=text
        )

    async def ListAppPasswords(
        self, request: credential_pb2.ListAppPasswordsRequest, call: Call
    ) -> credential_pb2.ListAppPasswordsResponse:
        found = await self._credentials.app_passwords(request.address)
        return credential_pb2.ListAppPasswordsResponse(
            app_passwords=[_app_password(one) for one in found]
        )

    async def RevokeAppPassword(
        self, request: credential_pb2.RevokeAppPasswordRequest, call: Call
    ) -> credential_pb2.RevokeAppPasswordResponse:
        if not request.name and not request.all:
            raise PostroomError(Kind.INVALID, "which app password? Name it, or say all")
        gone = await self._credentials.revoke_app_password(request.address, request.name)
        return credential_pb2.RevokeAppPasswordResponse(revoked=gone)

    async def LockAccount(
        self, request: credential_pb2.LockAccountRequest, call: Call
    ) -> credential_pb2.AccountStanding:
        return _standing(await self._credentials.lock(request.address, request.until))

    async def UnlockAccount(
        self, request: credential_pb2.UnlockAccountRequest, call: Call
    ) -> credential_pb2.AccountStanding:
        return _standing(await self._credentials.unlock(request.address))

    async def GetAccountStanding(
        self, request: credential_pb2.GetAccountStandingRequest, call: Call
    ) -> credential_pb2.AccountStanding:
        return _standing(await self._credentials.standing(request.address))

    async def ListAudit(
        self, request: credential_pb2.ListAuditRequest, call: Call
    ) -> credential_pb2.ListAuditResponse:
        token = request.page_token
        if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
            raise PostroomError(Kind.INVALID, "that is no page token of ours")
        found = await self._credentials.audit(
            request.account,
            request.network,
            OUTCOMES.get(request.outcome),
            request.since,
            int(token or 0),
            request.page_size,
        )
        full = len(found) == (request.page_size or PAGE)
        return credential_pb2.ListAuditResponse(
            entries=[_entry(entry) for entry in found],
            next_page_token=str(found[-1].entry_id) if full else "",
        )


def _app_password(one: AppPassword) -> credential_pb2.AppPassword:
    return credential_pb2.AppPassword(
        app_password_id=one.app_password_id,
        name=one.scope.name,
        protocols=one.scope.protocols,
        networks=one.scope.networks,
        created_at=one.created_at,
        expires_at=one.scope.expires_at,
        used_at=one.used_at,
    )


def _standing(standing: Standing) -> credential_pb2.AccountStanding:
    until = standing.locked_until
    message = credential_pb2.AccountStanding(
        address=standing.address,
        disabled=standing.disabled,
        locked=until != 0,
        locked_until=0 if until == FOR_GOOD else until,
        failures=standing.failures,
        waits_until=standing.waits_until,
        locked_by_failures=standing.locked_by_failures,
        app_passwords=standing.app_passwords,
    )
    if standing.last_success is not None:
        message.last_success.CopyFrom(_entry(standing.last_success))
    return message


def _entry(entry: AuditEntry) -> credential_pb2.AuditEntry:
    return credential_pb2.AuditEntry(
        entry_id=entry.entry_id,
        at_ms=entry.at,
        account=entry.account,
        outcome=entry.outcome,
        why=entry.why,
        protocol=entry.protocol,
        front=entry.front,
        mechanism=entry.mechanism,
        credential=entry.credential,
        client=entry.address,
        tls_version=entry.tls,
        times=entry.times,
    )
