"""Keys that mail of our domains is signed with: administrators make and turn them, smtp signs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.administering import told
from postroom_auth.domain.address import DomainName, InvalidAddress
from postroom_auth.domain.dkim import (
    Algorithm,
    DkimKey,
    about,
    check_bits,
    check_selector,
    make_pair,
    selectors,
    ways_up,
)
from postroom_auth.ports import DkimKeys, KeptDkimKey
from postroom_auth.resealing import reseal
from postroom_auth.sealing import NO_KEY, Sealed, Sealer, Unreadable

log = logs.logger("postroom.auth.audit")

PAGE = 1000
BATCH = 1000  # domains whose keys are asked for at once


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs: the key itself, PKCS #8 in DER."""

    key: DkimKey
    private: bytes = field(repr=False)


class DkimKeeping:
    """The use cases of DkimService.

    Args:
        clock: Unix seconds.

    Raises (all): PostroomError INVALID where what was typed can't be, and what DkimKeys raises.
    """

    def __init__(self, keys: DkimKeys, sealer: Sealer | None, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._sealer = sealer
        self._clock = clock

    async def make(self, domain: str, algorithm: str, selector: str, bits: int) -> DkimKey:
        """A new key, which doesn't sign yet. Raises UNSUPPORTED where nothing can seal it."""
        sealer = self._sealer
        if sealer is None:
            raise PostroomError(Kind.UNSUPPORTED, NO_KEY)
        with told():
            name, wanted = DomainName.parse(domain), Algorithm.parse(algorithm)
            length, chosen = check_bits(wanted, bits), check_selector(name, selector)
        pair = await asyncio.to_thread(make_pair, wanted, length)

        def seal(selector: str) -> Sealed:
            return sealer.seal(pair.private, about(name, selector))

        today = datetime.fromtimestamp(self._clock(), UTC).date()
        names = [chosen] if chosen else list(selectors(wanted, today))
        made = await self._keys.add(name, names, wanted, pair.public, seal)
        log.info("dkim.key_made", domain=name.name, selector=made.selector, algorithm=wanted.value)
        return made

    async def keys(self, domain: str, after: tuple[str, int]) -> list[KeptDkimKey]:
        """At most 1,000 in order of domain and age, from the first after a domain and a number."""
        with told():
            name = DomainName.parse(domain) if domain else None
        return await self._keys.keys(name, after, PAGE)

    async def activate(self, domain: str, selector: str) -> DkimKey:
        """Let a key sign, in place of the one of its algorithm that did."""
        key = await self._keys.activate(*_read(domain, selector))
        log.info("dkim.key_activated", domain=key.domain.name, selector=key.selector)
        return key

    async def retire(self, domain: str, selector: str) -> DkimKey:
        """Let a key sign no more."""
        key = await self._keys.retire(*_read(domain, selector))
        log.info("dkim.key_retired", domain=key.domain.name, selector=key.selector)
        return key

    async def remove(self, domain: str, selector: str) -> None:
        """Remove a key that doesn't sign."""
        name, which = _read(domain, selector)
        await self._keys.remove(name, which)
        log.info("dkim.key_removed", domain=name.name, selector=which)

    async def reseal(self) -> int:
        """Seal by the first key what another one sealed, and answer how many that were."""
        return await reseal(self._keys, self._sealer, "dkim.key_unreadable")


class Signing:
    """The use case of SigningService."""

    def __init__(self, keys: DkimKeys, sealer: Sealer | None) -> None:
        self._keys = keys
        self._sealer = sealer

    async def keys(self, texts: Sequence[str]) -> list[list[SigningKey]]:
        """The keys that mail from each domain is signed with now, in the order asked.

        Raises:
            PostroomError: INVALID for more than 1,000; UNAVAILABLE where a key can't be opened:
                mail that went unsigned might be refused for good, mail that waits is not.
        """
        if len(texts) > BATCH:
            raise PostroomError(Kind.INVALID, f"at most {BATCH} domains at a time")
        ways = [_ways(text) for text in texts]
        found = await self._keys.active({name for way in ways for name in way})
        nearest = (next((name for name in way if name in found), "") for way in ways)
        return [[self._open(kept) for kept in found.get(name, ())] for name in nearest]

    def _open(self, kept: KeptDkimKey) -> SigningKey:
        key = kept.key
        try:
            if self._sealer is None:
                raise Unreadable(NO_KEY)
            return SigningKey(key, self._sealer.open(kept.sealed, kept.about))
        except Unreadable as error:
            log.error(
                "dkim.key_unreadable",
                domain=key.domain.name,
                selector=key.selector,
                why=str(error),
            )
            raise PostroomError(
                Kind.UNAVAILABLE, f"the key {key.selector} of {key.domain} can't be opened"
            ) from error


def _read(domain: str, selector: str) -> tuple[DomainName, str]:
    with told():
        return DomainName.parse(domain), selector.strip().lower()


def _ways(text: str) -> list[str]:
    """Where keys for a domain may be, the nearest first."""
    try:
        return list(ways_up(DomainName.parse(text)))
    except InvalidAddress:
        return []
