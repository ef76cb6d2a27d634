"""IDLE (RFC 2177): what happens is told as it happens, by the view that hears of it.

No task waits for anything: the view calls the session, which writes; the session itself waits for
DONE alone.
"""

from __future__ import annotations

from postroom_imap.protocol.commands import Idle
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.reading import read_done
from postroom_imap.protocol.responses.status import bye, continuation
from postroom_imap.session import Session


async def idle(session: Session, tag: bytes, command: Idle) -> None:
    tracker, connection = session.tracker, session.connection

    def tell() -> None:
        if tracker is None or connection.congested:
            return  # a client that doesn't read is told at DONE
        if tracker.view.gone:
            session.write(bye("The selected mailbox was deleted"))
            connection.close()
            return
        session.write(b"".join(tracker.tell()))

    session.write(continuation("idling"))
    if tracker is not None:
        tracker.view.listen(tell)
        tell()
    session.interruptible = True
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
    if isinstance(done, InvalidCommand):
        session.complain(done)
    else:
        session.finish(tag, "IDLE terminated")
