"""Change notices between store processes on one PostgreSQL, by LISTEN and NOTIFY.

A notice is sent inside the transaction, so that the server delivers it with the commit or not at
all. It carries ids only; who has watchers reads what changed. A lost connection means lost notices,
so every mailbox that is watched is looked at again after a new one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable

import psycopg
from postroom_chassis import logs
from sqlalchemy import Connection, Engine, text

from postroom_store.domain.change import Change
from postroom_store.watch import ChangeHub

log = logs.logger(__name__)

CHANNEL = "postroom_changes"
RECONNECT_SECONDS = 1.0

_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


class Notices:
    """Both ends, for one process; `origin` lets it know its own."""

    def __init__(self) -> None:
        self._origin = secrets.token_hex(4)

    def send(self, connection: Connection, changes: Iterable[tuple[int, Change]]) -> None:
        """Tell the other processes, when this transaction commits."""
        changed = {(account_id, change.mailbox_id) for account_id, change in changes}
        rows = [
            {"channel": CHANNEL, "payload": f"{self._origin}:{account_id}:{mailbox_id}"}
            for account_id, mailbox_id in sorted(changed)
        ]
        if rows:
            connection.execute(_NOTIFY, rows)

    async def listen(self, engine: Engine, hub: ChangeHub) -> None:
        """Hand others' notices to the hub, until cancelled."""
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while True:
            try:
                await self._listen_once(url, hub)
            except psycopg.OperationalError as error:
                log.warning("notices.lost", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, url: str, hub: ChangeHub) -> None:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            hub.notice_all()
            async for notice in connection.notifies():
                self._hand_over(notice.payload, hub)
        finally:
            # Not by `async with`, which would roll back first, and wait for that.
            await connection.close()

    def _hand_over(self, payload: str, hub: ChangeHub) -> None:
        origin, _, ids = payload.partition(":")
        account_id, _, mailbox_id = ids.partition(":")
        if origin != self._origin and account_id.isdecimal() and mailbox_id.isdecimal():
            hub.notice(int(account_id), int(mailbox_id))
