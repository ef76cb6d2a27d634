"""Resolving addresses in batches: a few queries for each level of aliases."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.address import (
    FOREIGN_ADDRESS,
    Address,
    DomainName,
    InvalidAddress,
)
from postroom_auth.domain.resolution import (
    Forwarding,
    Known,
    Mailbox,
    Resolution,
    Ways,
    keys_of,
)
from postroom_auth.domain.resolution import Kind as Outcome
from postroom_auth.ports import Directory

BATCH = 1000
LEVELS = 32  # of aliases that lead to aliases
KEYS = 50_000  # looked up for one batch, aliases' targets included


class Resolving:
    """Answers where mail goes and who may send as whom.

    Args:
        postmaster: key of the account that reads mail to postmaster where nobody else does; empty:
            nobody.
    """

    def __init__(self, directory: Directory, postmaster: str) -> None:
        self._directory = directory
        self._postmaster = postmaster

    async def resolve(self, texts: Sequence[str]) -> list[Resolution]:
        """A resolution for each address, in order.

        Raises:
            PostroomError: INVALID for more than 1,000; LIMIT_EXCEEDED where their aliases lead to
                more than 50,000 addresses: ask for fewer.
        """
        addresses = self._read(texts)
        known = await self._learn([address for address in addresses if address])
        ways = Ways(known, await self._house_postmaster())
        elsewhere = await self._elsewhere(
            [text for text, address in zip(texts, addresses, strict=True) if address is None]
        )
        return [
            ways.resolve(address)
            if address is not None
            else Resolution(Outcome.FOREIGN if text in elsewhere else Outcome.INVALID)
            for text, address in zip(texts, addresses, strict=True)
        ]

    async def may_send_as(self, account_id: int, texts: Sequence[str]) -> list[bool]:
        """For each address whether it is the account's own or that of an alias which leads to it.

        Raises:
            PostroomError: as `resolve`; UNAVAILABLE where a directory that would know can't be
                asked.
        """
        addresses = self._read(texts)
        ways = Ways(await self._learn([address for address in addresses if address]))
        allowed = [
            address is not None and ways.leads_to(address, account_id) for address in addresses
        ]
        if None in allowed:
            raise PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
        return [one is True for one in allowed]

    def _read(self, texts: Sequence[str]) -> list[Address | None]:
        if len(texts) > BATCH:
            raise PostroomError(Kind.INVALID, f"at most {BATCH} addresses a call")
        return [self._address(text) for text in texts]

    def _address(self, text: str) -> Address | None:
        # "Postmaster" alone is an address too (RFC 5321 section 4.1.1.3).
        if self._postmaster and text.lower() == "postmaster":
            text = self._postmaster
        try:
            return Address.parse(text)
        except InvalidAddress:
            return None

    async def _elsewhere(self, texts: Sequence[str]) -> set[str]:
        """Those of what are no addresses to us that may be some to others: which local parts and
        names there are is theirs to say (RFC 5321 section 2.3.11).
        """
        domains: dict[str, DomainName | None] = {}
        for text in texts:
            if FOREIGN_ADDRESS.fullmatch(text):
                try:
                    domains[text] = DomainName.parse(text.rpartition("@")[2])
                except InvalidAddress:
                    domains[text] = None  # none of ours is like this
        names = {domain.name for domain in domains.values() if domain}
        ours = await self._directory.domains(names) if names else {}
        return {text for text, domain in domains.items() if domain is None or not ours[domain.name]}

    async def _learn(self, addresses: Sequence[Address]) -> Known:
        """Everything that the addresses lead to, level by level."""
        known = Known()
        frontier = list(addresses)
        for _ in range(LEVELS):
            names = {address.domain.name for address in frontier} - known.domains.keys()
            if names:
                known.domains.update(await self._directory.domains(names))
            keys = set[str]().union(
                *(keys_of(address) for address in frontier if known.domains[address.domain.name])
            )
            keys -= known.entries.keys()
            if not keys:
                return known
            if len(keys) + len(known.entries) > KEYS:
                break
            found = await self._directory.entries(keys)
            known.entries.update(found)
            frontier = [
                target
                for entry in found.values()
                if isinstance(entry, Forwarding)
                for target in entry.targets
            ]
        raise PostroomError(Kind.LIMIT_EXCEEDED, "the aliases lead too far: ask for fewer at once")

    async def _house_postmaster(self) -> Mailbox | None:
        if not self._postmaster:
            return None
        entry = (await self._directory.entries({self._postmaster}))[self._postmaster]
        return entry if isinstance(entry, Mailbox) else None
