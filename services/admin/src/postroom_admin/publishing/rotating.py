"""Turning the keys that mail is signed with, one step at a time.

A new key is made, its record is published (by people), and only what is seen to be published signs.
So a step may be taken at any time and however often, by a nightly job too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from postroom_admin.model import Algorithm, DkimKey, KeyState
from postroom_admin.ports import Services
from postroom_admin.publishing.checking import keys_of, published


class Done(StrEnum):
    """What a step came to."""

    MADE = "made"  # publish its record
    WAITING = "waiting"  # its record isn't published yet
    ACTIVATED = "activated"
    KEPT = "kept"  # young enough


@dataclass(frozen=True, slots=True)
class Step:
    """One step for the keys of one algorithm.

    Attributes:
        replaced: the selector that signed before; empty: none did.
    """

    done: Done
    key: DkimKey
    replaced: str = ""


async def rotate(
    services: Services, domain: str, older_than: timedelta, bits: int, now: datetime
) -> list[Step]:
    """Take the next step for each algorithm that a domain has keys for, or for RSA.

    Args:
        older_than: keys that are younger stay.
        bits: of a new RSA key; 0: as is usual.

    Raises:
        PostroomError: NOT_FOUND.
        DnsFailure: the DNS can't say what is published.
    """
    keys = [key for key in await keys_of(services, domain) if key.state is not KeyState.RETIRED]
    algorithms = list(dict.fromkeys(key.algorithm for key in keys)) or [Algorithm.RSA.value]
    return [
        await _step(
            services,
            domain,
            algorithm,
            [key for key in keys if key.algorithm == algorithm],
            now - older_than,
            bits if algorithm == Algorithm.RSA else 0,
        )
        for algorithm in algorithms
    ]


async def _step(
    services: Services,
    domain: str,
    algorithm: str,
    keys: Sequence[DkimKey],
    before: datetime,
    bits: int,
) -> Step:
    active = next((key for key in keys if key.state is KeyState.ACTIVE), None)
    coming = next((key for key in reversed(keys) if key.state is KeyState.NEW), None)
    if coming is not None:
        if not await published(services.dns, coming):
            return Step(Done.WAITING, coming)
        activated = await services.dkim.activate(domain, coming.selector)
        return Step(Done.ACTIVATED, activated, active.selector if active else "")
    if active is not None and active.created_at > before:
        return Step(Done.KEPT, active)
    return Step(Done.MADE, await services.dkim.make(domain, algorithm, "", bits))
