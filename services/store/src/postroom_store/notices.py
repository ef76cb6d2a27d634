"""Change notices between store processes on one PostgreSQL, by LISTEN and NOTIFY.

A notice is sent inside the transaction, so that the server delivers it with the commit or not at
all. It carries ids only; who has watchers reads what changed. Others say of which destination
something can be sent. A lost connection means lost notices, so every mailbox that is watched, and
the whole queue, is looked at again after a new one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Set

import psycopg
from postroom_chassis import logs
from postroom_chassis.postgresql import CONNECTION
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, text

from postroom_store.domain.change import Change
from postroom_store.lookouts import Lookouts
from postroom_store.watch import ChangeHub

log = logs.logger(__name__)

CHANNEL = "postroom_changes"
RECONNECT_SECONDS = 1.0
DUE = "due"  # in the place of an account's id: the rest names a destination
MOST_DESTINATIONS = 100  # told one by one in a transaction; the whole queue is looked at for more

_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


class Notices:
    """Both ends, for one process; `origin` lets it know its own."""

    def __init__(self) -> None:
        self._origin = secrets.token_hex(4)

    def send(
        self, connection: Connection, changes: Iterable[tuple[int, Change]], woken: Set[str]
    ) -> None:
        """Tell the other processes, when this transaction commits.

        Args:
            woken: destinations of which something can be sent.
        """
        changed = {(account_id, change.mailbox_id) for account_id, change in changes}
        told = [f"{account_id}:{mailbox_id}" for account_id, mailbox_id in sorted(changed)]
        domains = sorted(woken) if len(woken) <= MOST_DESTINATIONS else [""]
        told += [f"{DUE}:{domain}" for domain in domains]
        rows = [{"channel": CHANNEL, "payload": f"{self._origin}:{what}"} for what in told]
        if rows:
            connection.execute(_NOTIFY, rows)

    async def listen(self, engine: Engine, hub: ChangeHub, lookouts: Lookouts) -> None:
        """Hand others' notices on, until cancelled."""
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        url = make_conninfo(url, **CONNECTION)
        while True:
            try:
                await self._listen_once(url, hub, lookouts)
            except psycopg.OperationalError as error:
                log.warning("notices.lost", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, url: str, hub: ChangeHub, lookouts: Lookouts) -> None:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            hub.notice_all()
            lookouts.wake_all()
            async for notice in connection.notifies():
                self._hand_over(notice.payload, hub, lookouts)
        finally:
            # Not by `async with`, which would roll back first, and wait for that.
            await connection.close()

    def _hand_over(self, payload: str, hub: ChangeHub, lookouts: Lookouts) -> None:
        origin, _, ids = payload.partition(":")
        account_id, _, mailbox_id = ids.partition(":")
        if origin == self._origin:
            return
        if account_id == DUE:
            lookouts.wake({mailbox_id}) if mailbox_id else lookouts.wake_all()
        elif account_id.isdecimal() and mailbox_id.isdecimal():
            hub.notice(int(account_id), int(mailbox_id))
