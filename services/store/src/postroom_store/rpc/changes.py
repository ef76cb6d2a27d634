"""ChangeService: tells fronts what happens to mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

from postroom.store.v1 import change_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call
from postroom_chassis.tickets import SCOPE_MAIL, Ticket, TicketVerifier

from postroom_store.accounts import AccountNews
from postroom_store.acl import Access
from postroom_store.database import Readers
from postroom_store.domain.change import WHOLE_ACCOUNT, Published
from postroom_store.domain.rights import READ
from postroom_store.rpc.encoding import change_message, listed_message
from postroom_store.sharing import find_mailbox
from postroom_store.watch import BATCH_WEIGHT, ChangeHub, Watcher

Provision = Callable[[int], Awaitable[None]]  # makes sure that there is something of an account
# For whom mailboxes are watched: by account and mailbox, and by person.
People = dict[tuple[int, int], dict[int, Access]]


class ChangeService:
    """See protos/postroom/store/v1/change.proto."""

    def __init__(
        self, hub: ChangeHub, verifier: TicketVerifier, provision: Provision, readers: Readers
    ) -> None:
        self._hub = hub
        self._provision = provision
        self._verifier = verifier
        self._readers = readers
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
        people: People = {}
        self._streams.add(answers)
        tasks = [
            asyncio.create_task(
                answers.until_end(self._receive(requests, watcher, answers, people))
            ),
            asyncio.create_task(answers.until_end(self._tell(watcher, answers, people))),
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
        people: People,
    ) -> None:
        async for request in requests:
            match request.WhichOneof("request"):
                case "remove":
                    people.pop((request.remove.account_id, request.remove.mailbox_id), None)
                    watcher.leave(request.remove.account_id, request.remove.mailbox_id)
                case "remove_account":
                    watcher.leave_account(request.remove_account.account_id)
                case "add_account":
                    await answers.put(await self._add_account(watcher, request.add_account))
                case _:
                    await answers.put(await self._add(watcher, request.add, people))

    async def _add(
        self, watcher: Watcher, add: change_pb2.WatchRequest.Add, people: People
    ) -> change_pb2.WatchResponse:
        try:
            ticket = self._verify(add.ticket)
            access = Access(ticket.account_id, add.owner or ticket.account_id)
            key = (access.owner, add.mailbox_id)
            # Noted first: rights that go away from now on are looked at again in `_tell`.
            people.setdefault(key, {})[access.person] = access
            if failure := await self._look(access, key, people):
                raise failure
        except PostroomError as error:
            return _refusal(error, add.account_id, add.mailbox_id)
        watcher.follow(access.owner, add.mailbox_id, add.since)
        return _watching(access.owner, add.mailbox_id)

    async def _look(
        self, access: Access, key: tuple[int, int], people: People
    ) -> PostroomError | None:
        """See whether somebody may read a mailbox, who is left out where not.

        Answers why not, where nobody is left then for whom it is watched.
        """
        if not access.guest:
            return None
        try:
            await self._readers.run(lambda c: find_mailbox(c, access, key[1], READ))
        except PostroomError as error:
            there = people.get(key, {})
            there.pop(access.person, None)
            if there:
                return None
            people.pop(key, None)
            return error
        return None

    async def _add_account(
        self, watcher: Watcher, add: change_pb2.WatchRequest.AddAccount
    ) -> change_pb2.WatchResponse:
        try:
            ticket = self._verify(add.ticket)
            await self._provision(ticket.account_id)
        except PostroomError as error:
            return _refusal(error, add.account_id, WHOLE_ACCOUNT)
        watcher.follow_account(ticket.account_id, add.since)
        return _watching(ticket.account_id, WHOLE_ACCOUNT)

    def _verify(self, token: str) -> Ticket:
        ticket = self._verifier.verify(token)
        if SCOPE_MAIL not in ticket.scopes:
            raise PostroomError(Kind.DENIED, "the ticket is for something else")
        return ticket

    async def _tell(self, watcher: Watcher, answers: _Answers, people: People) -> None:
        while True:
            response = change_pb2.WatchResponse()
            weight = 0
            lost: set[tuple[int, int]] = set()
            for told in await watcher.wait():
                if isinstance(told, Published):
                    key = (told.account_id, told.change.mailbox_id)
                    refusal = None if key in lost else await self._refused(told, people)
                    if refusal is not None:
                        lost.add(key)
                        watcher.leave(*key)
                        response.MergeFrom(refusal)
                    if key in lost:
                        continue
                if weight and weight + told.weight > BATCH_WEIGHT:
                    await answers.put(response)
                    response, weight = change_pb2.WatchResponse(), 0
                weight += told.weight
                if isinstance(told, AccountNews):
                    response.accounts.append(_news_message(told))
                else:
                    key = (told.account_id, told.change.mailbox_id)
                    change = change_message(told.change, people.get(key, ()))
                    response.changes.add(account_id=told.account_id, change=change)
            await answers.put(response)

    async def _refused(
        self, published: Published, people: People
    ) -> change_pb2.WatchResponse | None:
        """The refusal, where a change of rights took the mailbox from all guests who watch it.

        What else happened to it isn't told from then on.
        """
        if not published.change.rights_changed:
            return None
        key = (published.account_id, published.change.mailbox_id)
        for access in [*people.get(key, {}).values()]:
            if failure := await self._look(access, key, people):
                return _refusal(failure, *key)
        return None


def _refusal(error: PostroomError, account_id: int, mailbox_id: int) -> change_pb2.WatchResponse:
    refusal = change_pb2.Refusal(
        mailbox_id=mailbox_id, kind=error.kind, message=error.message, account_id=account_id
    )
    return change_pb2.WatchResponse(refusals=[refusal])


def _watching(account_id: int, mailbox_id: int) -> change_pb2.WatchResponse:
    watching = change_pb2.Watching(account_id=account_id, mailbox_id=mailbox_id)
    return change_pb2.WatchResponse(watching=[watching])


def _news_message(news: AccountNews) -> change_pb2.AccountNews:
    return change_pb2.AccountNews(
        account_id=news.account_id,
        modseq=news.modseq,
        mailboxes=map(listed_message, news.mailboxes),
        tree=news.tree,
        annotated=[
            change_pb2.AnnotatedMailbox(mailbox_id=mailbox_id, entries=entries)
            for mailbox_id, entries in news.annotated.items()
        ],
    )


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
