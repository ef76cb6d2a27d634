"""Connections that are ready for another message, for the little while that one may come."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from postroom_smtp.sending.connector import Way
from postroom_smtp.sending.link import Link

MOST_IDLE = 500


class Pool:
    """Keeps connections open between batches.

    Args:
        seconds: how long one may wait; 0: none does.
        messages: after which a connection isn't used any more.
    """

    def __init__(self, seconds: float, messages: int) -> None:
        self._seconds = seconds
        self._messages = messages
        self._idle: dict[Way, list[tuple[Link, asyncio.TimerHandle]]] = {}
        self._count = 0

    def take(self, way: Way) -> Link | None:
        """A connection that goes this way. Where there is none, one that goes to the same domain
        is closed: a destination is to have no more of them than there are batches.
        """
        key = _key(way)
        while key in self._idle:
            link = self._remove(key, -1)
            if link.usable:
                return link
            link.close()
        for other in [one for one in self._idle if one.domain == key.domain]:
            self._remove(other, 0).close()
            break
        return None

    def give(self, way: Way, link: Link) -> None:
        """A message is done with: keep the connection, or close it."""
        if not self.may_go_on(link) or not self._seconds or self._count >= MOST_IDLE:
            link.close()
            return
        key = _key(way)
        timer = asyncio.get_running_loop().call_later(self._seconds, self._expire, key, link)
        self._idle.setdefault(key, []).append((link, timer))
        self._count += 1

    def may_go_on(self, link: Link) -> bool:
        """Whether another message may be begun (RFC 9422: MAILMAX)."""
        told = link.conversation
        most = told.offer.limit("MAILMAX") or self._messages
        return link.usable and told.messages < min(most, self._messages)

    def close(self) -> None:
        """Close all that wait."""
        for way in list(self._idle):
            while way in self._idle:
                self._remove(way, -1).close()

    def _remove(self, key: Way, at: int) -> Link:
        waiting = self._idle[key]
        link, timer = waiting.pop(at)
        timer.cancel()
        self._count -= 1
        if not waiting:
            del self._idle[key]
        return link

    def _expire(self, key: Way, link: Link) -> None:
        for at, (waiting, _) in enumerate(self._idle.get(key, ())):
            if waiting is link:
                self._remove(key, at).close()
                return


def _key(way: Way) -> Way:
    """A host that a setting names serves all domains."""
    return replace(way, domain=way.route.host) if way.route.host else way
