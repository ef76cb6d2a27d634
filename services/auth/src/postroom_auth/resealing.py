"""Sealing by the first key what others sealed, so that an old key can go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from postroom_chassis import logs

from postroom_auth.sealing import Sealed, Sealer, Unreadable

log = logs.logger("postroom.auth.audit")

AT_ONCE = 100


class Kept(Protocol):
    """Something that is kept sealed."""

    @property
    def number(self) -> int: ...
    @property
    def sealed(self) -> Sealed: ...
    @property
    def about(self) -> bytes:
        """What the text belongs to."""


K = TypeVar("K", bound=Kept)


class Keeping(Protocol[K]):
    """Where it is kept."""

    async def sealed_by_others(self, key_id: str, after: int, most: int) -> Sequence[K]:
        """Some that other keys than this one have sealed, by number, from the first after one."""

    async def replace(self, kept: K, sealed: Sealed) -> None:
        """Keep the same one sealed otherwise."""


async def reseal(keeping: Keeping[K], sealer: Sealer | None, event: str) -> int:
    """Seal by the first key what another one sealed, and answer how many that were.

    Args:
        event: what is logged of those that can't be read.
    """
    if sealer is None:
        return 0
    done, after = 0, 0
    while found := await keeping.sealed_by_others(sealer.key_id, after, AT_ONCE):
        for one in found:
            after = one.number
            try:
                text = sealer.open(one.sealed, one.about)
            except Unreadable as error:
                log.error(event, number=after, why=str(error))
                continue
            await keeping.replace(one, sealer.seal(text, one.about))
            done += 1
    return done
