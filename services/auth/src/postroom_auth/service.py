"""The service put together out of its settings; what `__main__` runs and what tests start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa
from joserfc.jwk import OKPKey
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.lifecycle import Service
from postroom_chassis.rpc.server import Server
from postroom_chassis.tickets import (
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)

from postroom_auth import rpc, rpc_dkim
from postroom_auth.acceptor import Acceptor
from postroom_auth.administering import Administering
from postroom_auth.auditing import AuditTrail
from postroom_auth.cached_directory import CachedDirectory
from postroom_auth.certificates import CertificateChecks
from postroom_auth.composed_directory import Belonging, ComposedDirectory
from postroom_auth.credentials import Credentials
from postroom_auth.database import Database, open_engine
from postroom_auth.directory_settings import LdapSettings, OidcSettings
from postroom_auth.dkim import DkimKeeping, Signing
from postroom_auth.domain.sasl.exchange import Need
from postroom_auth.domain.throttle import Pace
from postroom_auth.hashing import Argon2Hasher
from postroom_auth.housekeeping import Housekeeping
from postroom_auth.issuing import TicketOffice
from postroom_auth.ldap_directory import LdapDirectory
from postroom_auth.migrating import migrate
from postroom_auth.oidc_issuer import OidcIssuer
from postroom_auth.passwords import PasswordChecks
from postroom_auth.ports import FailureCounts, Successes
from postroom_auth.principals import PrincipalChecks
from postroom_auth.quotas import Quotas
from postroom_auth.remembered import CheckedPasswords
from postroom_auth.resolving import Resolving
from postroom_auth.scram import ProofChecks, ScramVerifiers, derive_key
from postroom_auth.settings import AuthSettings
from postroom_auth.shared_secrets import SecretChecks, SharedSecrets
from postroom_auth.signing_in import Checks, SigningIn
from postroom_auth.sql_app_passwords import SqlAppPasswords
from postroom_auth.sql_audit import SqlAudit
from postroom_auth.sql_directory import SqlDirectory
from postroom_auth.sql_dkim_keys import SqlDkimKeys
from postroom_auth.sql_failures import SqlFailures
from postroom_auth.sql_locks import SqlLocks
from postroom_auth.sql_maildrops import SqlMaildrops
from postroom_auth.sql_registry import SqlRegistry
from postroom_auth.sql_secrets import SqlSecrets
from postroom_auth.strength import Strength
from postroom_auth.throttling import SharedThrottle
from postroom_auth.tokens import Issuing, TokenChecks

log = logs.logger(__name__)

RETRY_SECONDS = 0.5
DAY = 86_400.0


async def start(service: Service, settings: AuthSettings) -> None:
    """Start serving. Raises OSError where the key, the database or the address can't be had."""
    database = await open_database(settings)
    service.stack.callback(database.close)
    hasher = open_hasher(settings)
    service.stack.callback(hasher.close)
    registry = SqlRegistry(database, time.time)
    people = ComposedDirectory(
        SqlDirectory(database, time.time), registry, hasher, open_directories(service, settings)
    )
    directory = CachedDirectory(
        people, settings.directory_seconds, settings.directory_entries, time.monotonic
    )
    app_passwords = SqlAppPasswords(
        database,
        settings.directory_seconds,
        settings.directory_entries,
        time.monotonic,
        time.time,
    )
    failures, audit = SqlFailures(database), SqlAudit(database)
    trail = AuditTrail(audit, app_passwords.write_uses)
    service.stack.push_async_callback(trail.close)
    service.stack.push_async_callback(open_housekeeping(settings, audit, failures).close)
    throttle = open_throttle(settings, failures, audit, time.time)
    verifiers = ScramVerifiers(hasher, settings.scram_families(), settings.scram_iterations)
    passwords = PasswordChecks(
        directory,
        people,
        app_passwords,
        registry,
        hasher,
        verifiers,
        throttle,
        CheckedPasswords(
            settings.remembered_seconds, settings.remembered_passwords, time.monotonic
        ),
        settings.default_domain,
        time.time,
    )
    service.stack.push_async_callback(passwords.close)
    pem, key = read_ticket_key(settings)
    office = TicketOffice(
        TicketSigner(key),
        TicketVerifier(read_verification_keys([pem])),
        directory,
        app_passwords,
        settings.ticket_seconds,
        time.time,
    )
    sealer, kept = settings.sealer(), SqlSecrets(database, time.time)
    shared_secrets = SharedSecrets(kept, sealer, directory)
    dkim_keys = SqlDkimKeys(database, time.time)
    dkim = DkimKeeping(dkim_keys, sealer, time.time)
    if resealed := await shared_secrets.reseal() + await dkim.reseal():
        log.info("secrets.resealed", secrets=resealed)
    issuers = open_issuers(service, settings)
    acceptor = open_acceptor(service, settings)
    met = {Need.ISSUER} if issuers else set()
    if acceptor is not None:
        met.add(Need.KEYTAB)
    if sealer is not None:
        met.add(Need.SECRETS_KEY)
    signing_in = SigningIn(
        Checks(
            passwords,
            ProofChecks(directory, throttle, derive_key(key), settings.scram_iterations),
            CertificateChecks(directory, throttle),
            SecretChecks(directory, kept, sealer, throttle) if sealer else None,
            TokenChecks(directory, registry, throttle, issuers),
            PrincipalChecks(directory, throttle, acceptor, settings.realms) if acceptor else None,
        ),
        SqlMaildrops(database, time.time),
        office,
        trail,
        settings.offers(),
        met=met,
        exchange_seconds=settings.exchange_seconds,
        clock=time.time,
    )
    strength = Strength(settings.password_score)
    administering = Administering(registry, directory, hasher, verifiers, strength)
    credentials = Credentials(
        app_passwords,
        SqlLocks(database),
        failures,
        audit,
        directory,
        hasher,
        account_pace(settings),
        time.time,
    )
    server = Server(settings.rpc_tls, office.verifier)
    server.add(
        rpc.AUTHENTICATION,
        rpc.AuthenticationService(
            signing_in, office, min(settings.renewal_seconds, settings.ticket_seconds // 2)
        ),
    )
    server.add(rpc.DIRECTORY, rpc.DirectoryService(Resolving(directory, settings.postmaster)))
    server.add(rpc.ACCOUNT, rpc.AccountService(administering, credentials))
    server.add(rpc.SECRET, rpc.SecretService(shared_secrets))
    server.add(rpc_dkim.DKIM, rpc_dkim.DkimService(dkim))
    server.add(rpc_dkim.SIGNING, rpc_dkim.SigningService(Signing(dkim_keys, sealer)))
    server.add(rpc.QUOTA, rpc.QuotaService(Quotas(administering, directory, office)))
    service.ports["rpc"] = await server.start(settings.rpc_listen)
    service.stack.push_async_callback(server.stop, 0)
    service.on_drain(server.stop)
    service.ready_when("database", database.ping)


async def open_database(settings: AuthSettings) -> Database:
    """The database, with its schema up to date. Raises OSError where it stays away."""
    try:
        engine = open_engine(settings.database_url.get_secret_value(), settings.database_threads)
    except (ValueError, sa.exc.ArgumentError) as error:
        raise OSError(f"POSTROOM_AUTH_DATABASE_URL can't be used: {error}") from None
    database = Database(engine, settings.database_threads)
    try:
        async with asyncio.timeout(settings.database_wait_seconds or None):
            await _until_it_answers(database)
        if settings.migrate:
            await database.write(migrate)
    except BaseException as error:
        database.close()
        match error:
            case TimeoutError():
                raise OSError("the database doesn't answer") from None
            case PostroomError():
                raise OSError(error.message) from error
        raise
    return database


async def _until_it_answers(database: Database) -> None:
    while True:
        try:
            return await database.ping()
        except PostroomError as error:
            if error.kind is not Kind.UNAVAILABLE:
                raise
            await asyncio.sleep(RETRY_SECONDS)


def open_directories(service: Service, settings: AuthSettings) -> dict[str, Belonging]:
    """Other systems' directories, by the domains whose people they know.

    Raises:
        OSError: a library that one of them needs is not installed, or a file can't be read.
    """
    by_domain: dict[str, Belonging] = {}
    for name, one in settings.directories.items():
        if not isinstance(one, LdapSettings):
            continue
        directory = LdapDirectory(name, one)
        service.stack.push_async_callback(directory.close)
        by_domain |= dict.fromkeys(one.domains, Belonging(name, directory, one.quota_bytes))
    return by_domain


def open_issuers(service: Service, settings: AuthSettings) -> list[Issuing]:
    """Those whose tokens are taken. Raises OSError where a file can't be read."""
    issuers = []
    for name, one in settings.directories.items():
        if not isinstance(one, OidcSettings):
            continue
        issuer = OidcIssuer(name, one, time.time, time.monotonic)
        service.stack.push_async_callback(issuer.close)
        issuers.append(
            Issuing(name, issuer, one.issuer, one.domains, one.create_accounts, one.quota_bytes)
        )
    return issuers


def open_acceptor(service: Service, settings: AuthSettings) -> Acceptor | None:
    """What checks Kerberos's tickets, where there is a keytab. Raises OSError."""
    if settings.keytab is None:
        return None
    acceptor = Acceptor(
        settings.keytab,
        settings.kerberos_hostname,
        settings.kerberos_threads,
        time.time,
        kpop="X-KPOP" in settings.offers()["pop3"].secure,
    )
    service.stack.callback(acceptor.close)
    return acceptor


def open_hasher(settings: AuthSettings) -> Argon2Hasher:
    return Argon2Hasher(
        memory_kib=settings.argon2_memory_kib,
        passes=settings.argon2_passes,
        lanes=settings.argon2_lanes,
        threads=settings.hash_threads,
        queue=settings.hash_queue,
    )


def account_pace(settings: AuthSettings) -> Pace:
    """How patient the throttle is with an account's name."""
    return replace(
        _pace(settings, settings.throttle_account_failures),
        lock_after=settings.lock_failures,
        lock=settings.lock_seconds,
    )


def open_throttle(
    settings: AuthSettings,
    failures: FailureCounts,
    successes: Successes,
    clock: Callable[[], float],
) -> SharedThrottle:
    return SharedThrottle(
        failures,
        successes,
        account_pace(settings),
        _pace(settings, settings.throttle_network_failures),
        clock,
        settings.exempt_networks,
    )


def _pace(settings: AuthSettings, free: int) -> Pace:
    return Pace(
        free=free,
        first=settings.throttle_first_seconds,
        most=settings.throttle_most_seconds,
        memory=settings.throttle_memory_seconds,
        subjects=settings.throttle_subjects,
    )


def open_housekeeping(
    settings: AuthSettings, audit: SqlAudit, failures: SqlFailures
) -> Housekeeping:
    return Housekeeping(
        audit,
        failures,
        settings.audit_days * DAY,
        settings.audit_entries,
        account_pace(settings),
        time.time,
    )


def read_ticket_key(settings: AuthSettings) -> tuple[bytes, OKPKey]:
    """The key that signs tickets, as its file has it and as it is used. Raises OSError."""
    pem = settings.ticket_key.read_bytes()
    try:
        return pem, read_signing_key(pem)
    except ValueError as error:
        raise OSError(f"{settings.ticket_key} holds no private Ed25519 key") from error
