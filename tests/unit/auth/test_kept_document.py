"""A document that is kept: when it is fetched, and what happens where that fails."""

from __future__ import annotations

import asyncio

import pytest
from postroom_auth.kept_document import KeptDocument
from postroom_chassis.errors import Kind, PostroomError


class Publisher:
    """Counts its fetches, each another number; may be away."""

    def __init__(self) -> None:
        self.fetched = 0
        self.away = False
        self.now = 0.0
        self.document = KeptDocument(self._fetch, 60, 600, 10, lambda: self.now)

    async def _fetch(self) -> int:
        self.fetched += 1
        await asyncio.sleep(0)
        if self.away:
            raise PostroomError(Kind.UNAVAILABLE, "away")
        return self.fetched


async def turn() -> None:
    """Let what was begun in the background come to its end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_is_fetched_once_for_all_who_ask() -> None:
    publisher = Publisher()
    asked = [publisher.document.current() for _ in range(5)]
    assert await asyncio.gather(*asked) == [1] * 5
    assert await publisher.document.current() == 1


async def test_an_old_copy_serves_while_it_is_refreshed() -> None:
    publisher = Publisher()
    await publisher.document.current()
    publisher.now = 61
    assert await publisher.document.current() == 1
    await turn()
    assert await publisher.document.current() == 2


async def test_an_old_copy_serves_for_a_while_where_nothing_newer_is_had() -> None:
    publisher = Publisher()
    await publisher.document.current()
    publisher.away, publisher.now = True, 599
    assert await publisher.document.current() == 1
    await turn()
    publisher.now = 601
    with pytest.raises(PostroomError):
        await publisher.document.current()
    assert publisher.fetched == 2  # the last fetch was two seconds ago
    publisher.away, publisher.now = False, 620
    assert await publisher.document.current() == 3


async def test_who_misses_something_has_it_fetched_not_too_often() -> None:
    publisher = Publisher()
    assert await publisher.document.current() == 1
    assert await publisher.document.since(0) == 1  # no newer one is needed
    publisher.now = 9
    with pytest.raises(PostroomError):
        await publisher.document.since(9)
    publisher.now = 10
    assert await publisher.document.since(10) == 2
    publisher.away, publisher.now = True, 20
    for _ in range(3):
        with pytest.raises(PostroomError):
            await publisher.document.since(20)
    assert publisher.fetched == 3
    assert await publisher.document.current() == 2


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    publisher = Publisher()
    first, second = (asyncio.create_task(publisher.document.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1
    await publisher.document.close()
