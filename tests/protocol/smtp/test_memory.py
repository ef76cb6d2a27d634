"""What one message costs a front in memory, whatever its size."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator

import pytest
from postroom_smtp.ports import Uploaded
from postroom_smtp.spool import MEMORY_BYTES

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import greeted
from tests.protocol.smtp.test_submission import signed_in

MANY = 600  # of pieces of 64 KiB
PIECE = (b"x" * 1022 + b"\r\n") * 64
HEADER = b"Subject: large\r\n\r\n"


@pytest.mark.parametrize("by", ["DATA", "BDAT", "submission"])
async def test_a_large_message_is_never_held_whole(system: FrontAlone, by: str) -> None:
    ann = await system.person()
    taken = 0

    async def upload(pieces: AsyncIterator[bytes]) -> Uploaded:
        nonlocal taken
        async for piece in pieces:
            assert len(piece) <= MEMORY_BYTES
            taken += len(piece)
        system.store.uploads[b"u"] = b""
        return Uploaded(b"u")

    system.store.upload = upload  # type: ignore[method-assign]
    wire = await (signed_in(system, ann) if by == "submission" else greeted(system))
    await wire.play(f"C: MAIL FROM:<{ann.name}>\nS: 250 ...\nC: RCPT TO:<{ann.name}>\nS: 250 ...")
    tracemalloc.start()
    try:
        if by == "BDAT":
            await wire.send(b"BDAT %d LAST\r\n" % (len(HEADER) + MANY * len(PIECE)))
        else:
            await wire.play("C: DATA\nS: 354 ...")
        await wire.send(HEADER)
        for _ in range(MANY):
            await wire.send(PIECE)
        if by != "BDAT":
            await wire.send(b".\r\n")
        await wire.expect("250 2.0.0 taken as ...")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken > MANY * len(PIECE)
    assert peak < 8 * MEMORY_BYTES


@pytest.mark.parametrize("settings", [{"spool_folder": "/nowhere"}])
async def test_a_front_without_room_for_large_messages_takes_small_ones(
    system: FrontAlone,
) -> None:
    ann = await system.person()
    wire = await greeted(system)
    begin = f"""
        C: MAIL FROM:<a@client.example>
        S: 250 ...
        C: RCPT TO:<{ann.name}>
        S: 250 ...
        C: DATA
        S: 354 ...
        """
    await wire.play(begin)
    await wire.send(PIECE * 20 + b".\r\n")
    await wire.expect("452 4.3.1 ...")
    await wire.play(begin)
    await wire.play("C: .\nS: 250 2.0.0 ...")
