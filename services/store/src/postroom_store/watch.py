"""The hub that tells watchers what happens to mailboxes.

Writers publish after each commit. A watcher follows a mailbox's chain of changes: a change that
begins where the last one ended is passed on; at a gap (another replica's change, a slow watcher, a
start with an old modseq) what happened since is read from the database. So a lost or repeated
notice does no harm.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prometheus_client import Gauge

from postroom_store.accounts import AccountNews
from postroom_store.domain.change import Change, Published

WATCHED = Gauge("postroom_store_watched_mailboxes", "Mailboxes watched by fronts now")

MOST_WAITING = 256  # changes of one mailbox that wait for a slow watcher; more are read again
GATHER_SECONDS = 0.01
BATCH_WEIGHT = 5000  # messages told in one batch

Key = tuple[int, int]  # account id, mailbox id
ReadSince = Callable[[int, int, int], Awaitable[Change | None]]
ReadAccount = Callable[[int, int], Awaitable[AccountNews | None]]


@dataclass(slots=True)
class _Following:
    """Where a watcher is on one mailbox's chain."""

    told: int
    waiting: list[Change] = field(default_factory=list)
    behind: bool = True  # the database knows more than `waiting`


class Watcher:
    """One stream's subscriptions."""

    def __init__(self, hub: ChangeHub) -> None:
        self._hub = hub
        self._following: dict[Key, _Following] = {}
        self._accounts: dict[int, int] = {}  # the modseqs that they are told to
        self._stale: dict[Key, None] = {}
        self._stale_accounts: dict[int, None] = {}
        self._ready = asyncio.Event()

    def follow(self, account_id: int, mailbox_id: int, since: int) -> None:
        """Tell all that happens to a mailbox after `since`."""
        key = (account_id, mailbox_id)
        self._following[key] = _Following(since)
        self._hub.add(key, self)
        self._mark(key)

    def leave(self, account_id: int, mailbox_id: int) -> None:
        key = (account_id, mailbox_id)
        if self._following.pop(key, None) is not None:
            self._hub.remove(key, self)

    def follow_account(self, account_id: int, since: int) -> None:
        """Tell what is new in an account as a whole after one of its modseqs."""
        self._accounts[account_id] = since
        self._hub.add_account(account_id, self)
        self.notice_account(account_id)

    def leave_account(self, account_id: int) -> None:
        if self._accounts.pop(account_id, None) is not None:
            self._hub.remove_account(account_id, self)

    def close(self) -> None:
        for account_id, mailbox_id in list(self._following):
            self.leave(account_id, mailbox_id)
        for account_id in list(self._accounts):
            self.leave_account(account_id)

    def notice(self, key: Key, change: Change | None) -> None:
        """A mailbox changed; None where it is not known how."""
        following = self._following.get(key)
        if following is None:
            return
        last = following.waiting[-1].modseq if following.waiting else following.told
        if change is None or change.previous != last or len(following.waiting) >= MOST_WAITING:
            if change is not None and change.modseq <= last:
                return
            following.behind = True
        elif not following.behind:
            following.waiting.append(change)
        self._mark(key)

    def notice_account(self, account_id: int) -> None:
        """Something is new in an account, or may be."""
        if account_id in self._accounts:
            self._stale_accounts[account_id] = None
            self._ready.set()

    async def wait(self) -> list[Published | AccountNews]:
        """What happened, in order for each mailbox; waits until something did."""
        while True:
            await self._ready.wait()
            # Who made a change knows it already, by the answer to its call; the others can wait for
            # what follows at once, so that under load one message tells of many.
            await asyncio.sleep(GATHER_SECONDS)
            self._ready.clear()
            stale, self._stale = self._stale, {}
            told: list[Published | AccountNews] = []
            for key in stale:
                told += await self._collect(key)
            accounts, self._stale_accounts = self._stale_accounts, {}
            for account_id in accounts:
                told += await self._collect_account(account_id)
            if told:
                return told

    async def _collect(self, key: Key) -> list[Published]:
        following = self._following.get(key)
        if following is None:
            return []
        changes, following.waiting = following.waiting, []
        if changes:
            following.told = changes[-1].modseq
        if following.behind:
            # Cleared first: what is committed while we read makes it true again.
            following.behind = False
            since = await self._hub.read_since(*key, following.told)
            if since is not None:
                changes.append(since)
                following.told = since.modseq
                following.waiting = [c for c in following.waiting if c.modseq > since.modseq]
                if following.waiting and following.waiting[0].previous != since.modseq:
                    following.waiting.clear()
                    following.behind = True
            if following.waiting or following.behind:
                self._mark(key)
        return [Published(key[0], change) for change in changes]

    async def _collect_account(self, account_id: int) -> list[AccountNews]:
        since = self._accounts.get(account_id)
        news = None if since is None else await self._hub.read_account(account_id, since)
        # The account may have been left, or followed anew, while it was read.
        if news is None or self._accounts.get(account_id) != since:
            return []
        self._accounts[account_id] = news.modseq
        return [news]

    def _mark(self, key: Key) -> None:
        self._stale[key] = None
        self._ready.set()


class ChangeHub:
    """Hands published changes to watchers.

    Args:
        read_since: what happened to a mailbox after a modseq, from the database.
        read_account: what is new in an account after one of its modseqs.
    """

    def __init__(self, read_since: ReadSince, read_account: ReadAccount) -> None:
        self.read_since = read_since
        self.read_account = read_account
        self._watchers: defaultdict[Key, set[Watcher]] = defaultdict(set)
        self._account_watchers: defaultdict[int, set[Watcher]] = defaultdict(set)

    def publish(self, changes: list[tuple[int, Change]]) -> None:
        """Tell what was committed."""
        for account_id, change in changes:
            key = (account_id, change.mailbox_id)
            for watcher in self._watchers.get(key, ()):
                watcher.notice(key, change)
            for watcher in self._account_watchers.get(account_id, ()):
                watcher.notice_account(account_id)

    def notice(self, account_id: int, mailbox_id: int) -> None:
        """Another replica changed a mailbox."""
        for watcher in self._watchers.get((account_id, mailbox_id), ()):
            watcher.notice((account_id, mailbox_id), None)
        for watcher in self._account_watchers.get(account_id, ()):
            watcher.notice_account(account_id)

    def notice_all(self) -> None:
        """Other replicas may have changed any mailbox."""
        for account_id, mailbox_id in list(self._watchers):
            self.notice(account_id, mailbox_id)
        for account_id, watchers in self._account_watchers.items():
            for watcher in watchers:
                watcher.notice_account(account_id)

    def add(self, key: Key, watcher: Watcher) -> None:
        self._watchers[key].add(watcher)
        WATCHED.set(len(self._watchers))

    def add_account(self, account_id: int, watcher: Watcher) -> None:
        self._account_watchers[account_id].add(watcher)

    def remove_account(self, account_id: int, watcher: Watcher) -> None:
        self._account_watchers[account_id].discard(watcher)
        if not self._account_watchers[account_id]:
            del self._account_watchers[account_id]

    def remove(self, key: Key, watcher: Watcher) -> None:
        self._watchers[key].discard(watcher)
        if not self._watchers[key]:
            del self._watchers[key]
        WATCHED.set(len(self._watchers))
