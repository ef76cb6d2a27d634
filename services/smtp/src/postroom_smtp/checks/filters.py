"""Filters of content: what is asked of one, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from postroom_smtp.checks.edits import Edits
from postroom_smtp.ports import Sending
from postroom_smtp.protocol.authentication import Finding
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a filter says of a message.

    Attributes:
        refused: it isn't to be taken, by this reply.
        junk: it goes to the Junk mailbox.
        quiet: it is to be taken, and nobody to get it.
        finding: for the verdict that is kept.
    """

    refused: Reply | None = None
    junk: bool = False
    quiet: bool = False
    finding: Finding | None = None


class Filter(Protocol):
    """Judges mail. Raises nothing: where it is away it does what the settings say."""

    async def connected(self, sending: Sending) -> Reply | None: ...

    async def mail(self, sending: Sending) -> Reply | None: ...

    async def recipient(self, sending: Sending, address: str) -> Reply | None: ...

    async def message(self, sending: Sending, message: Spool, edits: Edits) -> Opinion:
        """Changes `edits`, where it says so."""

    async def ended(self, connection: str) -> None: ...
