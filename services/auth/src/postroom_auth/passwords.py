"""Checking a name and a password: throttled, remembered, and as slow for nobody as for anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.net.address import network_of
from prometheus_client import Counter

from postroom_auth.domain.address import Address, InvalidAddress
from postroom_auth.domain.app_password import StoredSecret, compact, public_id
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.ports import (
    AppPasswords,
    Directory,
    Hasher,
    Passwords,
    Registry,
    Subject,
    Throttle,
    VerifierMaker,
)
from postroom_auth.remembered import CheckedPasswords
from postroom_auth.under_way import UnderWay

log = logs.logger(__name__)

CHECKS = Counter("postroom_auth_password_checks_total", "Passwords checked", ["how"])
REFUSED = "the name or the password is wrong"
OWN_PASSWORD = "password"  # noqa: S105 (what the audit calls it)
DISABLED = "disabled or locked"


@dataclass(slots=True)
class Tried:
    """What became of a check, for the audit.

    Attributes:
        credential: "password", or "app:NAME".
        why: it was refused, where that is not told the client.
        account: the key of the account that was proved, where the client named none.
    """

    credential: str = ""
    why: str = ""
    account: str = ""


def unfit(credential: Credential | None) -> str:
    """Why an account's own password can't be used, even if it is right; empty: it can."""
    if credential is None:
        return ""
    if credential.disabled:
        return DISABLED
    return "app passwords only" if credential.app_passwords_only else ""


def enabled(credential: Credential | None, tried: Tried) -> Credential | None:
    """The credential of an account that is neither disabled nor locked; else None, and why."""
    if credential is None or not credential.disabled:
        return credential
    tried.why = DISABLED
    return None


class PasswordChecks:
    """Answers whether a password is an account's.

    A password that was right a short while ago costs a keyed hash instead of argon2. Checks of
    the same password for the same account at the same moment (a client opening ten connections)
    share one. Whatever is wrong, one hash is computed, and what the database is asked is the same.

    Args:
        default_domain: completes names without one; empty: such names are nobody's.
        clock: Unix seconds.
    """

    def __init__(
        self,
        directory: Directory,
        passwords: Passwords,
        app_passwords: AppPasswords,
        registry: Registry,
        hasher: Hasher,
        verifiers: VerifierMaker,
        throttle: Throttle,
        checked: CheckedPasswords,
        default_domain: str,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._passwords = passwords
        self._app_passwords = app_passwords
        self._registry = registry
        self._hasher = hasher
        self._verifiers = verifiers
        self._throttle = throttle
        self._checked = checked
        self._default_domain = default_domain
        self._clock = clock
        # The same guess once more is no other guess: neither computed nor counted again.
        self._under_way = UnderWay[bytes, bool]()
        self._rehashing: set[asyncio.Task[None]] = set()

    def key(self, name: str) -> str:
        """The key of the account that a name means; names that mean none share the empty one."""
        if "@" not in name and self._default_domain:
            name = f"{name}@{self._default_domain}"
        try:
            return Address.parse(name).key
        except InvalidAddress:
            return ""

    async def exists(self, key: str) -> bool:
        """Whether there is an account with this key."""
        return key != "" and await self._directory.credential(key) is not None

    async def check(
        self, key: str, password: Password, protocol: str, address: str, tried: Tried
    ) -> Credential:
        """The credential of the account with this key, if the password is its own or one of its
        app passwords.

        Args:
            protocol: that the client speaks.
            address: the client's.
            tried: told what was checked.

        Raises:
            PostroomError: UNAUTHENTICATED, with one text whatever is wrong; RATE_LIMITED;
                UNAVAILABLE.
        """
        subject = Subject(key, network_of(address))
        await self._throttle.check(subject)
        credential = await self._directory.credential(key) if key else None
        found = None
        if (compacted := compact(password)) is not None:
            account_id = credential.account_id if credential else 0
            found = await self._app_passwords.find(account_id, public_id(compacted))
        if compacted is not None and found is not None and credential is not None:
            tried.credential = f"app:{found.scope.name}"
            credential = replace(credential, app_password=found.app_password_id)
            right = await self._is_app_password(credential, found, compacted, subject)
            tried.why = self._unfit(found, protocol, address) if right else ""
            if right and not tried.why:
                await self._throttle.succeeded(subject)
                self._app_passwords.used(found)
            elif right:
                await self._throttle.failed(subject)
        else:
            tried.credential = OWN_PASSWORD
            right = await self._is_right(credential, password, subject)
            tried.why = unfit(credential)
        credential = enabled(credential, tried)
        if credential is None or not right or tried.why:
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
        return credential

    async def close(self) -> None:
        """Wait for what goes on in the background."""
        await asyncio.gather(*self._rehashing, return_exceptions=True)

    def _unfit(self, found: StoredSecret, protocol: str, address: str) -> str:
        """Why an app password that is right can't be used; empty: it can."""
        if found.scope.permits(protocol, address, self._clock()):
            return ""
        if not found.scope.alive(self._clock()):
            return "expired"
        return "protocol" if protocol not in found.scope.protocols else "network"

    async def _is_app_password(
        self, credential: Credential, found: StoredSecret, compacted: Password, subject: Subject
    ) -> bool:
        """Whether an app password is right. Only a wrong one is counted: so many random bits are
        not guessed, and all of somebody's devices may come back at one moment."""
        digest = self._checked.digest(credential, compacted)
        if digest in self._checked and not credential.disabled:
            CHECKS.labels("remembered").inc()
            return True
        return await self._under_way.share(
            digest, lambda: self._try(credential, found, compacted, subject, digest)
        )

    async def _try(
        self,
        credential: Credential,
        found: StoredSecret,
        compacted: Password,
        subject: Subject,
        digest: bytes,
    ) -> bool:
        right = await self._compute(self._hasher.verify(found.secret_hash, compacted), subject)
        if not right or credential.disabled:
            await self._throttle.failed(subject)
            return False
        self._checked.add(digest)
        if self._hasher.is_outdated(found.secret_hash):
            self._later(self._rehash_app_password(found, compacted))
        return True

    async def _is_right(
        self, credential: Credential | None, password: Password, subject: Subject
    ) -> bool:
        if credential is None or credential.disabled or credential.app_passwords_only:
            return await self._guess(credential, password, subject)
        digest = self._checked.digest(credential, password)
        if digest in self._checked:
            CHECKS.labels("remembered").inc()
            await self._throttle.succeeded(subject)
            return True
        return await self._under_way.share(
            digest, lambda: self._guess(credential, password, subject, digest)
        )

    async def _guess(
        self,
        credential: Credential | None,
        password: Password,
        subject: Subject,
        digest: bytes | None = None,
    ) -> bool:
        begun = await self._throttle.begin(subject)
        try:
            verifying = self._passwords.verify(subject.account or "", credential, password)
            right = await self._compute(verifying, subject)
        except BaseException:
            await self._throttle.withdrawn(begun)
            raise
        if not right or credential is None or digest is None:
            await self._throttle.failed(subject, begun)
            return False
        await self._throttle.succeeded(subject, begun)
        self._checked.add(digest)
        if self._is_outdated(credential):
            self._later(self._rehash(credential, password))
        return True

    def _is_outdated(self, credential: Credential) -> bool:
        """Whether what is kept of a password isn't what would be kept of it today."""
        return not credential.external and (
            self._hasher.is_outdated(credential.password_hash)
            or self._verifiers.are_outdated(credential.scram)
        )

    async def _compute(self, verifying: Coroutine[None, None, bool], subject: Subject) -> bool:
        """Verify, and meanwhile look whether other replicas have had too many guesses."""
        right, learnt = await asyncio.gather(
            verifying, self._throttle.learn(subject), return_exceptions=True
        )
        for outcome in (learnt, right):
            if isinstance(outcome, BaseException):
                raise outcome
        CHECKS.labels("computed").inc()
        return right is True

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._rehashing.add(task)
        task.add_done_callback(self._rehashing.discard)

    async def _rehash(self, credential: Credential, password: Password) -> None:
        try:
            password_hash, scram = credential.password_hash, credential.scram
            if self._hasher.is_outdated(password_hash):
                password_hash = await self._hasher.hash(password)
            if self._verifiers.are_outdated(scram):
                scram = await self._verifiers.make(password)
            await self._registry.rehash_password(credential, password_hash, scram)
        except PostroomError as error:
            # The next sign-in tries again.
            log.warning("password.rehash_failed", account=credential.address, error=error.message)
        else:
            log.info("password.rehashed", account=credential.address)

    async def _rehash_app_password(self, found: StoredSecret, compacted: Password) -> None:
        try:
            await self._app_passwords.rehash(found, await self._hasher.hash(compacted))
        except PostroomError as error:
            log.warning("app_password.rehash_failed", error=error.message)
