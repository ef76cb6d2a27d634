"""A directory that remembers what it was told for a few seconds.

Signing in and resolving a recipient then cost no database read while people are busy. What this
process changes it sees at once (`forget`); what another replica changes, after those seconds.
That somebody doesn't exist is remembered too: else an unknown name would take longer than a known
one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from postroom_auth.domain.people import Credential
from postroom_auth.domain.resolution import Entry, Hosted, Unanswered
from postroom_auth.ports import Directory
from postroom_auth.remembered import MISSING, Missing, Remembered

V = TypeVar("V")


class CachedDirectory:
    """Answers from memory, else from another directory.

    Args:
        seconds: how old an answer may be.
        most: answers of each sort that are kept.
        clock: seconds, monotonic.
    """

    def __init__(
        self, directory: Directory, seconds: float, most: int, clock: Callable[[], float]
    ) -> None:
        self._directory = directory
        self._by_key = Remembered[str, Credential | None](seconds, most, clock)
        self._by_id = Remembered[int, Credential | None](seconds, most, clock)
        self._domains = Remembered[str, Hosted | None](seconds, most, clock)
        self._entries = Remembered[str, Entry | Unanswered | None](seconds, most, clock)

    def forget(self) -> None:
        """Something has changed: ask anew."""
        for remembered in (self._by_key, self._by_id, self._domains, self._entries):
            remembered.forget()

    async def credential(self, key: str) -> Credential | None:
        return await self._by_key.or_read(key, lambda: self._directory.credential(key))

    async def credential_of(self, account_id: int) -> Credential | None:
        return await self._by_id.or_read(
            account_id, lambda: self._directory.credential_of(account_id)
        )

    async def domains(self, names: Collection[str]) -> Mapping[str, Hosted | None]:
        return await _complete(self._domains, names, self._directory.domains)

    async def entries(self, keys: Collection[str]) -> Mapping[str, Entry | Unanswered | None]:
        return await _complete(self._entries, keys, self._directory.entries)


async def _complete(
    remembered: Remembered[str, V | None],
    keys: Collection[str],
    read: Callable[[Collection[str]], Awaitable[Mapping[str, V | None]]],
) -> Mapping[str, V | None]:
    """What is remembered of the keys, and what is read for the rest."""
    found: dict[str, V | None] = {}
    for key in keys:
        value = remembered.get(key, MISSING)
        if not isinstance(value, Missing):
            found[key] = value
    missing = [key for key in keys if key not in found]
    if missing:
        era = remembered.era
        for key, value in (await read(missing)).items():
            found[key] = value
            if not isinstance(value, Unanswered):
                remembered.put(key, value, era)
    return found
