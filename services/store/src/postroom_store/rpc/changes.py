"""ChangeService: tells fronts what happens to mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from postroom.store.v1 import change_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import SCOPE_MAIL, TicketVerifier

from postroom_store.rpc.encoding import change_message
from postroom_store.watch import ChangeHub, Watcher


class ChangeService:
    """See protos/postroom/store/v1/change.proto."""

    def __init__(self, hub: ChangeHub, verifier: TicketVerifier) -> None:
        self._hub = hub
        self._verifier = verifier

    async def Watch(
        self, requests: AsyncIterator[change_pb2.WatchRequest], call: Call
    ) -> AsyncIterator[change_pb2.WatchResponse]:
        watcher = Watcher(self._hub)
        answers: asyncio.Queue[change_pb2.WatchResponse | None] = asyncio.Queue(maxsize=16)
        tasks = [
            asyncio.create_task(self._receive(requests, watcher, answers)),
            asyncio.create_task(self._tell(watcher, answers)),
        ]
        try:
            while (answer := await answers.get()) is not None:
                yield answer
        finally:
            for task in tasks:
                task.cancel()
            watcher.close()

    async def _receive(
        self,
        requests: AsyncIterator[change_pb2.WatchRequest],
        watcher: Watcher,
        answers: asyncio.Queue[change_pb2.WatchResponse | None],
    ) -> None:
        async for request in requests:
            if request.WhichOneof("request") == "remove":
                watcher.leave(request.remove.account_id, request.remove.mailbox_id)
            else:
                await answers.put(self._add(watcher, request.add))
        await answers.put(None)

    def _add(self, watcher: Watcher, add: change_pb2.WatchRequest.Add) -> change_pb2.WatchResponse:
        try:
            ticket = self._verifier.verify(add.ticket)
            if SCOPE_MAIL not in ticket.scopes:
                raise PostroomError(Kind.DENIED, "the ticket is for something else")
        except PostroomError as error:
            refusal = change_pb2.Refusal(
                mailbox_id=add.mailbox_id, kind=error.kind, message=error.message
            )
            return change_pb2.WatchResponse(refusals=[refusal])
        watcher.follow(ticket.account_id, add.mailbox_id, add.since)
        watching = change_pb2.Watching(account_id=ticket.account_id, mailbox_id=add.mailbox_id)
        return change_pb2.WatchResponse(watching=[watching])

    async def _tell(
        self, watcher: Watcher, answers: asyncio.Queue[change_pb2.WatchResponse | None]
    ) -> None:
        while True:
            told = await watcher.wait()
            changes = [
                change_pb2.AccountChange(
                    account_id=published.account_id, change=change_message(published.change)
                )
                for published in told
            ]
            await answers.put(change_pb2.WatchResponse(changes=changes))
