"""What stands between a front and its ports, where a test wants to see calls or to disturb them.

Nothing is answered here: every call goes through to the real thing, or fails as the test said.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from postroom_imap.ports.changes import Changes, Follower
from postroom_imap.ports.columns import Change

T = TypeVar("T")


class Calls:
    """The calls that a front makes.

    Attributes:
        made: how often each was made, by the name of the port's method.
        faults: errors that the next calls of a name raise instead, first one first.
    """

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.faults: dict[str, list[Exception]] = {}
        self._answered: Counter[str] = Counter()
        self._gates: dict[str, asyncio.Event] = {}
        self._news = asyncio.Event()

    def clear(self) -> None:
        """Count from nought."""
        self.made.clear()
        self._answered.clear()

    def watch(self, port: T) -> T:
        """A port whose calls are counted, and fail on demand."""
        return cast(T, _Watched(port, self))

    async def answered(self, name: str, count: int) -> None:
        """Wait until so many calls were answered, and whoever asked has heard it."""
        while self._answered[name] < count:
            self._news.clear()
            await self._news.wait()

    @contextmanager
    def answers_held(self, name: str) -> Iterator[None]:
        """Let no answer to a call reach the front, until the context ends."""
        self._gates[name] = asyncio.Event()
        try:
            yield
        finally:
            self._gates.pop(name).set()

    def enter(self, name: str) -> None:
        """A call is made."""
        self.made[name] += 1
        if faults := self.faults.get(name):
            raise faults.pop(0)

    async def follow(self, name: str, call: Awaitable[T]) -> T:
        """Wait for a call's answer."""
        answer = await call
        if gate := self._gates.get(name):
            await gate.wait()
        self._answered[name] += 1
        self._news.set()
        return answer


class _Watched:
    """Any port: what it has is looked up when it is called, so that this knows no methods."""

    def __init__(self, port: Any, calls: Calls) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._calls.enter(name)
            answer = method(*arguments, **named)
            return self._calls.follow(name, answer) if inspect.isawaitable(answer) else answer

        return call


class HeldChanges:
    """Changes that wait on their way from the stream to the views, while a test wants it."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._followers: dict[tuple[int, int], _Between] = {}
        self._holding = False
        self._waiting: list[tuple[_Between, Change]] = []
        self._news = asyncio.Event()

    def add(self, follower: Follower) -> None:
        between = _Between(follower, self._keep)
        if self._holding:
            between.hold()
        self._followers[follower.account_id, follower.mailbox_id] = between
        self._changes.add(cast(Follower, between))

    def remove(self, follower: Follower) -> None:
        key = (follower.account_id, follower.mailbox_id)
        between = self._followers.get(key)
        if between is not None and between.follower is follower:
            del self._followers[key]
            self._changes.remove(cast(Follower, between))

    def hold(self) -> None:
        """Keep changes back from now on."""
        self._holding = True
        for between in self._followers.values():
            between.hold()

    async def held(self, count: int) -> None:
        """Wait until so many changes are kept back."""
        while len(self._waiting) < count:
            self._news.clear()
            await self._news.wait()

    def tell(self) -> None:
        """Let go of the changes that are kept back, and hold no more."""
        self._holding = False
        waiting, self._waiting = self._waiting, []
        for between in self._followers.values():
            between.release()
        for between, change in waiting:
            between.follower.follow(change)

    def lose(self) -> None:
        """As if the tickets that mailboxes are watched with had expired."""
        followers, self._followers = self._followers, {}
        for between in followers.values():
            self._changes.remove(cast(Follower, between))
            between.lose(temporary=True)

    def _keep(self, between: _Between, change: Change) -> None:
        self._waiting.append((between, change))
        self._news.set()


class _Between:
    """Follows a mailbox for a view. While it holds, it doesn't show what the view knows already."""

    def __init__(self, follower: Follower, keep: Callable[[_Between, Change], None]) -> None:
        self.follower = follower
        self._keep = keep
        self._held_at: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.follower, name)

    @property
    def modseq(self) -> int:
        return self.follower.modseq if self._held_at is None else self._held_at

    def hold(self) -> None:
        self._held_at = self.follower.modseq

    def release(self) -> None:
        self._held_at = None

    def follow(self, change: Change) -> None:
        if self._held_at is None:
            self.follower.follow(change)
        else:
            self._held_at = change.modseq
            self._keep(self, change)

    def lose(self, temporary: bool) -> None:
        self.follower.lose(temporary)
