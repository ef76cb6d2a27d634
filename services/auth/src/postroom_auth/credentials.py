"""What administrators do to app passwords and locks, and what they see of sign-ins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.administering import told
from postroom_auth.cached_directory import CachedDirectory
from postroom_auth.domain.address import Address
from postroom_auth.domain.app_password import AppPassword, Scope, compact, generate, public_id
from postroom_auth.domain.auditing import AuditEntry, Wanted
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import InvalidValue
from postroom_auth.domain.throttle import Pace
from postroom_auth.ports import FailureCounts, Hasher
from postroom_auth.sql_app_passwords import SqlAppPasswords
from postroom_auth.sql_audit import SqlAudit
from postroom_auth.sql_locks import SqlLocks
from postroom_auth.throttling import ACCOUNT

log = logs.logger("postroom.auth.audit")

FOR_GOOD = 2**53  # Unix seconds; a lock until then is one until somebody lifts it
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether, and how, somebody can sign in to an account now.

    Attributes:
        locked_until: by an administrator: Unix seconds; 0: it is not.
        failures: of late, from networks that are strange to it.
        waits_until: Unix seconds before which guesses from there are refused; 0: they are not.
        locked_by_failures: so many that the wait is a lock.
        last_success: when somebody signed in last; None: nobody has, as far as the audit goes.
    """

    address: str
    disabled: bool
    locked_until: int
    failures: int
    waits_until: int
    locked_by_failures: bool
    app_passwords: int
    last_success: AuditEntry | None


class Credentials:
    """The use cases of AccountService that concern signing in.

    Raises (all): PostroomError INVALID where what was typed can't be, NOT_FOUND.
    """

    def __init__(
        self,
        app_passwords: SqlAppPasswords,
        locks: SqlLocks,
        failures: FailureCounts,
        audit: SqlAudit,
        directory: CachedDirectory,
        hasher: Hasher,
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self._app_passwords = app_passwords
        self._locks = locks
        self._failures = failures
        self._audit = audit
        self._directory = directory
        self._hasher = hasher
        self._pace = pace
        self._clock = clock

    async def add_app_password(self, address: str, scope: Scope) -> tuple[AppPassword, str]:
        """Make an app password, and answer it with its text, which is nowhere else.

        Raises:
            PostroomError: ALREADY_EXISTS where the name is taken; CONFLICT: there are too many.
        """
        with told():
            parsed = Address.parse(address)
            if not scope.alive(self._clock()):
                raise InvalidValue("the time of its end has passed")
            text = generate()
            compacted = compact(Password.prepare(text))
            if compacted is None:
                raise PostroomError(Kind.INTERNAL, "an app password without its form")
            added = await self._app_passwords.add(
                parsed, scope, public_id(compacted), await self._hasher.hash(compacted)
            )
        log.info("app_password.created", account=parsed.key, name=scope.name)
        return added, text

    async def app_passwords(self, address: str) -> list[AppPassword]:
        with told():
            return await self._app_passwords.list_of(Address.parse(address))

    async def revoke_app_password(self, address: str, name: str) -> int:
        """Revoke one, or all where the name is empty; answers how many."""
        with told():
            parsed = Address.parse(address)
            gone = await self._app_passwords.revoke(parsed, name)
        log.info("app_password.revoked", account=parsed.key, name=name or "all", count=gone)
        return gone

    async def lock(self, address: str, until: int) -> Standing:
        """Let nobody sign in before a time (Unix seconds), or 0: before somebody unlocks it."""
        with told():
            if until and until <= self._clock():
                raise InvalidValue("the time of its end has passed")
            parsed = Address.parse(address)
            try:
                await self._locks.lock(parsed, until or FOR_GOOD)
            finally:
                self._directory.forget()
        log.info("account.locked", account=parsed.key, until=until)
        return await self.standing(address)

    async def unlock(self, address: str) -> Standing:
        """End a lock, and forget the account's failures everywhere."""
        with told():
            parsed = Address.parse(address)
            try:
                await self._locks.lock(parsed, 0)
            finally:
                self._directory.forget()
            await self._failures.clear_all_of(ACCOUNT + parsed.key)
        log.info("account.unlocked", account=parsed.key)
        return await self.standing(address)

    async def standing(self, address: str) -> Standing:
        """Whether somebody can sign in to an account now."""
        with told():
            parsed = Address.parse(address)
        now = self._clock()
        disabled, locked_until = await self._locks.read(parsed)
        subject = ACCOUNT + parsed.key
        record = (await self._failures.read([subject])).get(subject)
        if record is not None and self._pace.forgotten(record, now):
            record = None
        waits_until = record.last + self._pace.pause(record.count) if record else 0
        return Standing(
            parsed.key,
            disabled,
            locked_until if locked_until > now else 0,
            record.count if record else 0,
            int(waits_until) if waits_until > now else 0,
            record is not None and waits_until > now and self._pace.locks(record.count),
            len(await self._app_passwords.list_of(parsed)),
            await self._audit.last_success(parsed.key),
        )

    async def audit(
        self,
        account: str,
        within: str,
        succeeded: bool | None,
        since: int,
        before: int,
        most: int,
    ) -> list[AuditEntry]:
        """Entries of the audit, newest first; at most 1,000 (0: as many)."""
        with told():
            if not 0 <= most <= PAGE:
                raise InvalidValue(f"a page has 1 to {PAGE} entries")
            key = Address.parse(account).key if account else ""
            wanted = Wanted(key, within, succeeded, since * 1000, before)
            return await self._audit.read(wanted, most or PAGE)
