"""IDLE (RFC 2177): what happens is told as it happens, by the view that hears of it.

No task waits for anything, unless the client doesn't read what it is told: the view calls the
session, which writes; the session itself waits for DONE alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postroom_chassis.net.connection import Connection, TimedOut

from postroom_imap.protocol.commands import Idle
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.reading import read_done
from postroom_imap.protocol.responses.status import continuation
from postroom_imap.session import Session


async def idle(session: Session, tag: bytes, command: Idle) -> None:
    tracker, connection = session.tracker, session.connection
    taken: asyncio.Task[None] | None = None

    over = False

    def tell() -> None:
        nonlocal taken
        if over:
            return
        if tracker is None or (session.contexts is not None and session.contexts.busy):
            return
        if connection.congested:
            if taken is None or taken.done():
                taken = asyncio.create_task(_tell_once_taken(connection, tell))
            return
        if tracker.view.stale or tracker.standing.uncertain:
            session.front.views.repair(tracker.standing)
        if farewell := tracker.farewell():
            session.write(farewell)
            connection.close()
            return
        session.write(b"".join(tracker.tell()))
        if session.contexts is not None:
            session.contexts.refresh_soon(tell)

    session.write(continuation("idling"))
    notification = session.notification
    if tracker is not None and notification is None:
        tracker.view.listen(tell)
        tell()
    session.interruptible = True
    if notification is not None:  # which tells what the client asked for (RFC 5465 section 4)
        notification.idling = True
        notification.resume()
    try:
        done = await connection.read(
            read_done(connection.stream, session.limits, tag),
            session.front.bounds.autologout_seconds,
            boundary=True,
        )
    finally:
        session.interruptible = False
        if tracker is not None:
            tracker.view.unlisten(tell)
        over = True
        if notification is not None:
            notification.idling = False
        if taken is not None:
            taken.cancel()
    if notification is not None:
        await notification.settle()
    if session.contexts is not None:
        await session.contexts.settle()
    if isinstance(done, InvalidCommand):
        session.complain(done)
    else:
        session.finish(tag, "IDLE terminated")


async def _tell_once_taken(connection: Connection, tell: Callable[[], None]) -> None:
    """Wait until a client has read most of what it was told; give up one that doesn't."""
    try:
        while connection.congested:
            await connection.drain()
    except (TimedOut, ConnectionError):
        connection.abort()
    else:
        tell()
