"""Changes over one stream of store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import grpc
from postroom.store.v1 import (
    change_pb2,
    change_pb2_grpc,
)
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel

from postroom_imap.ports.accounts import AccountFollower, AccountNews
from postroom_imap.ports.changes import Follower
from postroom_imap.remote.encoding import change_of, owner_of
from postroom_imap.remote.mailboxes import mailbox_of

log = logs.logger(__name__)

RECONNECT_SECONDS = (0.1, 5.0)  # the first pause, and the longest
WHOLE_ACCOUNT = 0  # in the place of a mailbox's id


class RemoteChanges:
    """Changes and Accounts over one stream of postroom.store.v1.ChangeService.

    It is made anew when it breaks.
    """

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(change_pb2_grpc.ChangeServiceStub)
        self._followers: dict[tuple[int, int], Follower] = {}
        self._accounts: dict[int, AccountFollower] = {}
        self._requests: asyncio.Queue[change_pb2.WatchRequest] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None

    def add(self, follower: Follower) -> None:
        key = (follower.account_id, follower.mailbox_id)
        self._followers[key] = follower
        self._ask(key, follower)
        self._start()

    def remove(self, follower: Follower) -> None:
        key = (follower.account_id, follower.mailbox_id)
        if self._followers.get(key) is not follower:
            return
        del self._followers[key]
        remove = change_pb2.WatchRequest.Remove(account_id=key[0], mailbox_id=key[1])
        self._requests.put_nowait(change_pb2.WatchRequest(remove=remove))

    def add_account(self, follower: AccountFollower) -> None:
        self._accounts[follower.account_id] = follower
        self._ask_account(follower)
        self._start()

    def remove_account(self, follower: AccountFollower) -> None:
        if self._accounts.get(follower.account_id) is not follower:
            return
        del self._accounts[follower.account_id]
        remove = change_pb2.WatchRequest.RemoveAccount(account_id=follower.account_id)
        self._requests.put_nowait(change_pb2.WatchRequest(remove_account=remove))

    def _start(self) -> None:
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the stream."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    def _ask(self, key: tuple[int, int], follower: Follower) -> None:
        for ticket in follower.tickets:
            add = change_pb2.WatchRequest.Add(
                ticket=ticket.token,
                mailbox_id=follower.mailbox_id,
                since=follower.modseq,
                account_id=key[0],
                owner=owner_of(ticket, key),
            )
            self._requests.put_nowait(change_pb2.WatchRequest(add=add))

    def _ask_account(self, follower: AccountFollower) -> None:
        add = change_pb2.WatchRequest.AddAccount(
            ticket=follower.ticket.token, since=follower.modseq, account_id=follower.account_id
        )
        self._requests.put_nowait(change_pb2.WatchRequest(add_account=add))

    async def _run(self) -> None:
        pause, longest = RECONNECT_SECONDS
        while True:
            started = time.monotonic()
            try:
                await self._follow()
            except PostroomError as error:
                log.warning("changes.lost", why=error.kind)
            except Exception:
                # Without this stream every session here would slowly go blind.
                log.exception("changes.failed")
            if time.monotonic() - started > longest:
                pause = RECONNECT_SECONDS[0]
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _follow(self) -> None:
        """Ask for every mailbox from where its view is, and hand out what comes."""
        self._requests = asyncio.Queue()
        for key, follower in self._followers.items():
            self._ask(key, follower)
        for account in self._accounts.values():
            self._ask_account(account)
        open_stream = cast(Callable[..., Any], self._stub.Watch)
        stream = open_stream(None)
        sender = asyncio.create_task(self._send(stream, self._requests))
        try:
            async for response in stream:
                self._hand_out(response)
        except grpc.aio.AioRpcError as error:
            raise PostroomError(Kind.UNAVAILABLE, error.code().name) from error
        finally:
            sender.cancel()
            stream.cancel()

    async def _send(self, stream: Any, requests: asyncio.Queue[change_pb2.WatchRequest]) -> None:
        try:
            while True:
                await stream.write(await requests.get())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            stream.cancel()  # whoever reads it learns why

    def _hand_out(self, response: change_pb2.WatchResponse) -> None:
        for refusal in response.refusals:
            self._refuse(refusal)
        for told in response.changes:
            key = (told.account_id, told.change.mailbox_id)
            follower = self._followers.get(key)
            # What this process did itself is mostly known by then, from the answer.
            if follower is None:
                continue
            if told.change.modseq > follower.modseq or told.change.rights_changed:
                follower.follow(change_of(told.change))
        for news in response.accounts:
            account = self._accounts.get(news.account_id)
            if account is not None:
                account.follow_account(_news_of(news))

    def _refuse(self, refusal: change_pb2.Refusal) -> None:
        """An addition failed, or the right to read a mailbox went away later on.

        It is never the end: the ticket of another session may be better, and whether the mailbox
        is gone is found out where it is read anew.
        """
        if refusal.mailbox_id == WHOLE_ACCOUNT:
            account = self._accounts.pop(refusal.account_id, None)
            if account is not None:
                account.lose_account()
            return
        follower = self._followers.pop((refusal.account_id, refusal.mailbox_id), None)
        if follower is not None:
            follower.lose(temporary=True)


def _news_of(news: change_pb2.AccountNews) -> AccountNews:
    return AccountNews(
        account_id=news.account_id,
        modseq=news.modseq,
        mailboxes=[mailbox_of(mailbox) for mailbox in news.mailboxes],
        tree=news.tree,
        annotated={one.mailbox_id: one.entries for one in news.annotated},
    )
