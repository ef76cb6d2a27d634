"""URLs that let others read one part of one message (RFC 4467)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom_imap.ports.identity import Ticket
from postroom_imap.protocol.commands.urlauth import UrlItem


@dataclass(frozen=True, slots=True)
class UrlDatum:
    """Some of what a URL names.

    Attributes:
        place: which URL, from 0.
        item: None: nothing of the URL can be read, and nothing else is told of it.
        data: None: there is no such item.
        size: of the whole item.
        more: the next datum goes on with this one.
    """

    place: int
    item: UrlItem | None
    data: bytes | None
    size: int
    more: bool


class Urls(Protocol):
    """Makes URLs that others may use, and follows them."""

    async def authorize(self, ticket: Ticket, rumps: Sequence[str]) -> Sequence[str]:
        """The URLs with their mechanism and token, in order. INVALID: one can't be authorized."""

    async def reset(self, ticket: Ticket, name: str | None) -> None:
        """Makes the URLs of a mailbox, or of all, worthless. NOT_FOUND."""

    def fetch(
        self, ticket: Ticket, wanted: Sequence[tuple[str, Sequence[UrlItem]]]
    ) -> AsyncIterator[UrlDatum]:
        """What URLs name, in the order of the URLs and of the items of each."""
