"""Secrets that are kept sealed: proofs are checked against them, administrators make and end
them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.cached_directory import CachedDirectory
from postroom_auth.domain.address import Address, InvalidAddress
from postroom_auth.domain.people import Credential, InvalidValue
from postroom_auth.domain.shared_secret import (
    SecretKind,
    SharedSecret,
    admits,
    make_secret,
    read_networks,
)
from postroom_auth.passwords import DISABLED, REFUSED, Tried
from postroom_auth.ports import Directory, KeptSecret, Secrets, Subject, Throttle
from postroom_auth.sealing import Sealed, Sealer, Unreadable

log = logs.logger("postroom.auth.audit")

NOBODY = 0  # the account that nobody has
RESEALED_AT_ONCE = 100


class SecretChecks:
    """Answers whether a proof was made with one of an account's secrets.

    Counted and slowed down as guesses of passwords are, but for what is under way: so many random
    bits are not guessed, and all of somebody's devices may come back at one moment. An unknown
    name, an account without a secret and one that is disabled cost what others do: there is a
    secret to compare with, which nobody knows.
    """

    def __init__(
        self, directory: Directory, kept: Secrets, sealer: Sealer, throttle: Throttle
    ) -> None:
        self._directory = directory
        self._kept = kept
        self._sealer = sealer
        self._throttle = throttle
        self._fakes = {
            kind: sealer.seal(make_secret(secrets.choice).encode(), _about(NOBODY, kind))
            for kind in SecretKind
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
        await self._throttle.check(subject)
        await self._throttle.learn(subject)
        credential = None
        if subject.account:
            credential = await self._directory.credential(subject.account)
        account_id = credential.account_id if credential else NOBODY
        found = await self._kept.of(account_id, kind)
        right = self._any_fits(found, kind, address, fits)
        if credential is not None and credential.disabled:
            tried.why = DISABLED
        if credential is None or tried.why or not right:
            await self._throttle.failed(subject, begun=False)
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
        await self._throttle.succeeded(subject, begun=False)
        return credential

    def _any_fits(
        self,
        found: Sequence[KeptSecret],
        kind: SecretKind,
        address: str,
        fits: Callable[[bytes], bool],
    ) -> bool:
        if not found:
            fits(self._sealer.open(self._fakes[kind], _about(NOBODY, kind)))
            return False
        right = False
        for one in found:
            try:
                text = self._sealer.open(one.sealed, _about(one.account_id, kind))
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
            told = "auth has no key to keep secrets with: POSTROOM_AUTH_SECRETS_KEYS gives it one"
            raise PostroomError(Kind.UNSUPPORTED, told)
        try:
            parsed, wanted = Address.parse(address), SecretKind.parse(kind)
            bound = read_networks(wanted, networks)
        except (InvalidAddress, InvalidValue) as error:
            raise PostroomError(Kind.INVALID, str(error)) from error
        text = make_secret(secrets.choice)

        def seal(account_id: int) -> Sealed:
            return sealer.seal(text.encode(), _about(account_id, wanted))

        made = await self._kept.add(parsed, wanted, bound, seal)
        log.info("secret.added", account=address, kind=wanted.value, secret=made.secret_id)
        return made, text

    async def secrets(self, address: str) -> list[SharedSecret]:
        """Those of an account, oldest first."""
        return await self._kept.secrets(_parsed(address))

    async def revoke(self, address: str, secret_id: int) -> None:
        try:
            await self._kept.revoke(_parsed(address), secret_id)
        finally:
            self._directory.forget()
        log.info("secret.revoked", account=address, secret=secret_id)

    async def reseal(self) -> int:
        """Seal by the first key what another one sealed, and answer how many that were."""
        if self._sealer is None:
            return 0
        done, after = 0, 0
        while found := await self._kept.sealed_by_others(
            self._sealer.key_id, after, RESEALED_AT_ONCE
        ):
            for one in found:
                after = one.secret.secret_id
                about = _about(one.account_id, one.secret.kind)
                try:
                    text = self._sealer.open(one.sealed, about)
                except Unreadable as error:
                    log.error("secret.unreadable", secret=after, why=str(error))
                    continue
                await self._kept.replace(one, self._sealer.seal(text, about))
                done += 1
        return done


def _about(account_id: int, kind: SecretKind) -> bytes:
    """What a sealed secret belongs to."""
    return b"postroom secret %d %b" % (account_id, kind.encode())


def _parsed(address: str) -> Address:
    try:
        return Address.parse(address)
    except InvalidAddress as error:
        raise PostroomError(Kind.INVALID, str(error)) from error
