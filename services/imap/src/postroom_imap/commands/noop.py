"""NOOP and CHECK (RFC 3501 sections 6.1.2, 6.4.1): tell what happened."""

from __future__ import annotations

from postroom_imap.protocol.commands import Check, Noop
from postroom_imap.session import Session


async def noop(session: Session, tag: bytes, command: Noop) -> None:
    session.finish(tag, "NOOP completed")


async def check(session: Session, tag: bytes, command: Check) -> None:
    """All is durable anyway, so there is nothing to check."""
    session.finish(tag, "CHECK completed")
