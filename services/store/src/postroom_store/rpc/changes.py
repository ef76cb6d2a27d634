"""ChangeService: tells fronts what happens to mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine

from postroom.store.v1 import change_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import SCOPE_MAIL, TicketVerifier

from postroom_store.rpc.encoding import change_message
from postroom_store.watch import BATCH_WEIGHT, ChangeHub, Watcher


class ChangeService:
    """See protos/postroom/store/v1/change.proto."""

    def __init__(self, hub: ChangeHub, verifier: TicketVerifier) -> None:
        self._hub = hub
        self._verifier = verifier
        self._streams: set[_Answers] = set()

    async def drain(self, _seconds: float) -> None:
        """End every stream: who watches makes a new one, to another replica."""
        for answers in self._streams:
            answers.end(None)

    async def Watch(
        self, requests: AsyncIterator[change_pb2.WatchRequest], call: Call
    ) -> AsyncIterator[change_pb2.WatchResponse]:
        watcher = Watcher(self._hub)
        answers = _Answers()
        self._streams.add(answers)
        tasks = [
            asyncio.create_task(answers.until_end(self._receive(requests, watcher, answers))),
            asyncio.create_task(answers.until_end(self._tell(watcher, answers))),
        ]
        try:
            while (answer := await answers.take()) is not None:
                yield answer
        finally:
            self._streams.discard(answers)
            for task in tasks:
                task.cancel()
            watcher.close()

    async def _receive(
        self,
        requests: AsyncIterator[change_pb2.WatchRequest],
        watcher: Watcher,
        answers: _Answers,
    ) -> None:
        async for request in requests:
            if request.WhichOneof("request") == "remove":
                watcher.leave(request.remove.account_id, request.remove.mailbox_id)
            else:
                await answers.put(self._add(watcher, request.add))

    def _add(self, watcher: Watcher, add: change_pb2.WatchRequest.Add) -> change_pb2.WatchResponse:
        try:
            ticket = self._verifier.verify(add.ticket)
            if SCOPE_MAIL not in ticket.scopes:
                raise PostroomError(Kind.DENIED, "the ticket is for something else")
        except PostroomError as error:
            refusal = change_pb2.Refusal(
                mailbox_id=add.mailbox_id,
                kind=error.kind,
                message=error.message,
                account_id=add.account_id,
            )
            return change_pb2.WatchResponse(refusals=[refusal])
        watcher.follow(ticket.account_id, add.mailbox_id, add.since)
        watching = change_pb2.Watching(account_id=ticket.account_id, mailbox_id=add.mailbox_id)
        return change_pb2.WatchResponse(watching=[watching])

    async def _tell(self, watcher: Watcher, answers: _Answers) -> None:
        while True:
            response = change_pb2.WatchResponse()
            weight = 0
            for published in await watcher.wait():
                if weight and weight + published.change.weight > BATCH_WEIGHT:
                    await answers.put(response)
                    response, weight = change_pb2.WatchResponse(), 0
                weight += published.change.weight
                response.changes.add(
                    account_id=published.account_id, change=change_message(published.change)
                )
            await answers.put(response)


class _Answers:
    """What goes to one watcher, and how its stream ends."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[change_pb2.WatchResponse] = asyncio.Queue(maxsize=16)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def put(self, answer: change_pb2.WatchResponse) -> None:
        await self._waiting.put(answer)

    def end(self, failure: Exception | None) -> None:
        if self._ended.done():
            return
        if failure is not None:
            self._ended.set_exception(failure)
        else:
            self._ended.set_result(None)

    async def until_end(self, work: Coroutine[None, None, None]) -> None:
        """Carry something out, with whose end, good or bad, the stream ends."""
        try:
            await work
        except Exception as error:
            self.end(error)
        else:
            self.end(None)

    async def take(self) -> change_pb2.WatchResponse | None:
        """The next answer, or None at the end. Raises what ended the stream."""
        taking = asyncio.ensure_future(self._waiting.get())
        try:
            await asyncio.wait((taking, self._ended), return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else self._ended.result()
        finally:
            taking.cancel()
