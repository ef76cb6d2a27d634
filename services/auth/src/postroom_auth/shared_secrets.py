"""Secrets that are kept sealed: proofs are checked against them, administrators make and end
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.administering import told
from postroom_auth.cached_directory import CachedDirectory
from postroom_auth.domain.address import Address
from postroom_auth.domain.networks import admits
from postroom_auth.domain.people import Credential
from postroom_auth.domain.shared_secret import (
    SecretKind,
    SharedSecret,
    about,
    make_secret,
    read_networks,
)
from postroom_auth.passwords import REFUSED, Tried, enabled
from postroom_auth.ports import Directory, KeptSecret, Secrets, Subject, Throttle
from postroom_auth.resealing import reseal
from postroom_auth.sealing import NO_KEY, Sealed, Sealer, Unreadable
from postroom_auth.slowing import slowed

log = logs.logger("postroom.auth.audit")

NOBODY = 0  # the account that nobody has


class SecretChecks:
    """Answers whether a proof was made with one of an account's secrets.

    An unknown name, an account without a secret and one that is disabled cost what others do: there
    is a secret to compare with, which nobody knows.
    """

    def __init__(
        self, directory: Directory, kept: Secrets, sealer: Sealer, throttle: Throttle
    ) -> None:
        self._directory = directory
        self._kept = kept
        self._sealer = sealer
        self._throttle = throttle
        self._fakes = {
            kind: sealer.seal(make_secret().encode(), about(NOBODY, kind)) for kind in SecretKind
        }

    async def check(
        self,
        kind: SecretKind,
        subject: Subject,
        address: str,
        fits: Callable[[bytes], bool],
        tried: Tried,
    ) -> Credential:
        """The credential of the subject's account, if a secret of its fits.

        Args:
            address: where the client is.
            fits: whether the proof was made with a secret.
            tried: told why somebody was refused.

        Raises:
            PostroomError: UNAUTHENTICATED, with one text whatever is wrong; RATE_LIMITED;
                UNAVAILABLE.
        """
        key = subject.account
        async with slowed(self._throttle, subject):
            credential = await self._directory.credential(key) if key else None
            found = await self._kept.of(credential.account_id if credential else NOBODY, kind)
            right = self._any_fits(found, kind, address, fits)
            credential = enabled(credential, tried)
            if credential is None or not right:
                raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
            return credential

    def _any_fits(
        self,
        found: Sequence[KeptSecret],
        kind: SecretKind,
        address: str,
        fits: Callable[[bytes], bool],
    ) -> bool:
        if not found:
            fits(self._sealer.open(self._fakes[kind], about(NOBODY, kind)))
            return False
        right = False
        for one in found:
            try:
                text = self._sealer.open(one.sealed, one.about)
            except Unreadable as error:
                log.error("secret.unreadable", secret=one.secret.secret_id, why=str(error))
                continue
            # Every secret is tried, so that time doesn't tell which was right.
            right |= fits(text) and admits(one.secret.networks, address)
        return right


class SharedSecrets:
    """The use cases of SecretService.

    Raises (all): PostroomError INVALID where what was typed can't be, UNSUPPORTED where there is
    no key to seal with, and what Secrets raises.
    """

    def __init__(self, kept: Secrets, sealer: Sealer | None, directory: CachedDirectory) -> None:
        self._kept = kept
        self._sealer = sealer
        self._directory = directory

    async def add(
        self, address: str, kind: str, networks: Sequence[str]
    ) -> tuple[SharedSecret, str]:
        """A new secret, and its text."""
        sealer = self._sealer
        if sealer is None:
            raise PostroomError(Kind.UNSUPPORTED, NO_KEY)
        with told():
            parsed, wanted = Address.parse(address), SecretKind.parse(kind)
            bound = read_networks(wanted, networks)
        text = make_secret()

        def seal(account_id: int) -> Sealed:
            return sealer.seal(text.encode(), about(account_id, wanted))

        made = await self._kept.add(parsed, wanted, bound, seal)
        log.info("secret.added", account=address, kind=wanted.value, secret=made.secret_id)
        return made, text

    async def secrets(self, address: str) -> list[SharedSecret]:
        """Those of an account, oldest first."""
        with told():
            return await self._kept.secrets(Address.parse(address))

    async def revoke(self, address: str, secret_id: int) -> None:
        with told():
            try:
                await self._kept.revoke(Address.parse(address), secret_id)
            finally:
                self._directory.forget()
        log.info("secret.revoked", account=address, secret=secret_id)

    async def reseal(self) -> int:
        """Seal by the first key what another one sealed, and answer how many that were."""
        return await reseal(self._kept, self._sealer, "secret.unreadable")
