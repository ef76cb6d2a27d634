"""Checking a name and a password: throttled, remembered, and as slow for nobody as for anybody."""

from __future__ import annotations

import asyncio

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Counter

from postroom_auth.domain.address import Address, InvalidAddress
from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.ports import Directory, Hasher, Passwords, Registry, Subject, Throttle
from postroom_auth.remembered import CheckedPasswords

log = logs.logger(__name__)

CHECKS = Counter("postroom_auth_password_checks_total", "Passwords checked", ["how"])
REFUSED = "the name or the password is wrong"


class PasswordChecks:
    """Answers whether a password is an account's.

    A password that was right a short while ago costs a keyed hash instead of argon2. Checks of
    the same password for the same account at the same moment (a client opening ten connections)
    share one.

    Args:
        default_domain: completes names without one; empty: such names are nobody's.
    """

    def __init__(
        self,
        directory: Directory,
        passwords: Passwords,
        registry: Registry,
        hasher: Hasher,
        throttle: Throttle,
        checked: CheckedPasswords,
        default_domain: str,
    ) -> None:
        self._directory = directory
        self._passwords = passwords
        self._registry = registry
        self._hasher = hasher
        self._throttle = throttle
        self._checked = checked
        self._default_domain = default_domain
        self._under_way: dict[bytes, asyncio.Task[bool]] = {}
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

    async def check(self, key: str, password: Password, network: str) -> Credential:
        """The credential of the account with this key, if the password is its.

        Raises:
            PostroomError: UNAUTHENTICATED, with one text whatever is wrong; RATE_LIMITED;
                UNAVAILABLE.
        """
        subject = Subject(key, network)
        await self._throttle.check(subject)
        credential = await self._directory.credential(key) if key else None
        right = await self._is_right(credential, password, subject)
        if credential is None or not right:
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
        return credential

    async def close(self) -> None:
        """Wait for what goes on in the background."""
        await asyncio.gather(*self._rehashing, return_exceptions=True)

    async def _is_right(
        self, credential: Credential | None, password: Password, subject: Subject
    ) -> bool:
        if credential is None or credential.disabled:
            return await self._guess(credential, password, subject)
        digest = self._checked.digest(credential, password)
        if digest in self._checked:
            CHECKS.labels("remembered").inc()
            await self._throttle.succeeded(subject)
            return True
        # The same guess once more is no other guess: it is neither computed nor counted again.
        task = self._under_way.get(digest)
        if task is None:
            task = asyncio.create_task(self._guess(credential, password, subject, digest))
            self._under_way[digest] = task
            task.add_done_callback(lambda done: self._end(digest, done))
        return await asyncio.shield(task)

    def _end(self, digest: bytes, task: asyncio.Task[bool]) -> None:
        self._under_way.pop(digest, None)
        if not task.cancelled():
            task.exception()  # seen, even where everybody who waited has gone

    async def _guess(
        self,
        credential: Credential | None,
        password: Password,
        subject: Subject,
        digest: bytes | None = None,
    ) -> bool:
        await self._throttle.begin(subject)
        try:
            right = await self._passwords.verify(subject.account, credential, password)
        except BaseException:
            await self._throttle.withdrawn(subject)
            raise
        CHECKS.labels("computed").inc()
        if not right or credential is None or credential.disabled:
            await self._throttle.failed(subject)
            return False
        await self._throttle.succeeded(subject)
        if digest is not None:
            self._checked.add(digest)
        if not credential.external and self._hasher.is_outdated(credential.password_hash):
            self._rehash_later(credential, password)
        return True

    def _rehash_later(self, credential: Credential, password: Password) -> None:
        task = asyncio.create_task(self._rehash(credential, password))
        self._rehashing.add(task)
        task.add_done_callback(self._rehashing.discard)

    async def _rehash(self, credential: Credential, password: Password) -> None:
        try:
            password_hash = await self._hasher.hash(password)
            await self._registry.rehash_password(credential, password_hash)
        except PostroomError as error:
            # The next sign-in tries again.
            log.warning("password.rehash_failed", account=credential.address, error=error.message)
        else:
            log.info("password.rehashed", account=credential.address)
