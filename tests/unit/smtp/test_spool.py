"""A message on its way through: small in memory, large in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from postroom_smtp.spool import HEADER_BYTES, MEMORY_BYTES, Spool

HEADER = b"Subject: one\r\nTo: two\r\n\r\n"


async def pieces(spool: Spool) -> bytes:
    return b"".join([piece async for piece in spool.pieces()])


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES])
async def test_what_went_in_comes_out(tmp_path: Path, size: int) -> None:
    message = (HEADER + bytes(range(256)) * (size // 256 + 1))[:size]
    async with Spool(tmp_path) as spool:
        for at in range(0, size, 100_000):
            await spool.write(message[at : at + 100_000])
        assert spool.size == size
        assert spool.in_memory == (size <= MEMORY_BYTES)
        for _ in range(2):
            assert await spool.whole() == message
            assert await pieces(spool) == message
        assert os.listdir(tmp_path) == []


async def test_the_header_section() -> None:
    async with Spool() as spool:
        await spool.write(HEADER[:-1])
        assert spool.header == HEADER[:-1]
        await spool.write(HEADER[-1:] + b"body\r\n\r\n")
        assert spool.header == HEADER
        await spool.write(b"x" * 2 * MEMORY_BYTES)
        assert spool.header == HEADER
        await spool.write(b"more")
        assert (await spool.whole()).endswith(b"xmore")


async def test_a_header_without_end_is_cut() -> None:
    async with Spool() as spool:
        await spool.write(b"x" * 2 * MEMORY_BYTES)
        assert len(spool.header) == HEADER_BYTES


async def test_a_message_that_begins_with_its_text_has_an_empty_header() -> None:
    async with Spool() as spool:
        await spool.write(b"\r\nReceived: of the text\r\n\r\n")
        assert spool.header == b"\r\n"


@pytest.mark.parametrize("size", [10, MEMORY_BYTES + 10])
async def test_the_rest_of_it(size: int) -> None:
    async with Spool() as spool:
        await spool.write(b"head" + b"x" * size)
        assert b"".join([piece async for piece in spool.pieces(4)]) == b"x" * size


async def test_letting_go_may_be_repeated() -> None:
    async with Spool() as spool:
        await spool.write(b"x" * 2 * MEMORY_BYTES)
        spool.close()
        spool.close()
