"""EXPUNGE and UID EXPUNGE, with two clients."""

from __future__ import annotations

from tests.protocol.imap.system import Imap, small


async def test_expunge_tells_numbers_that_are_right_one_after_the_other(imap: Imap) -> None:
    client = await imap.select(messages=5)
    await client.ok("STORE 2,4:5 +FLAGS.SILENT (\\Deleted)")
    told = await client.ok("EXPUNGE")
    left = [1, 2, 3, 4, 5]
    for line in told:
        number = int(line.removeprefix("* ").removesuffix(" EXPUNGE"))
        del left[number - 1]
    assert left == [1, 3]
    assert await client.ok("FETCH 1:* UID") == ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 3)"]
    assert await client.ok("EXPUNGE") == []


async def test_uid_expunge_takes_only_what_it_names(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("UID EXPUNGE 2:3") == ["* 2 EXPUNGE"]
    assert await client.ok("UID EXPUNGE 77") == []
    assert await client.ok("SEARCH DELETED") == ["* SEARCH 1"]


async def test_the_other_client_is_told_when_numbers_may_shift(imap: Imap) -> None:
    client = await imap.select(messages=3)
    other = await imap.select()
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    assert await other.ok("FETCH 2 UID") == ["* 2 FETCH (UID 2)"]
    assert await other.ok("SEARCH UID 3") == ["* SEARCH 3"]
    assert await other.ok("CHECK") == ["* 1 EXPUNGE"]
    assert await other.ok("FETCH 2 UID") == ["* 2 FETCH (UID 3)"]


async def test_arrivals_wait_behind_expunges(imap: Imap) -> None:
    client = await imap.select(messages=2)
    other = await imap.select()
    await client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.append("INBOX", small(9))
    # Were EXISTS told first, it would have to say that there are fewer than before.
    assert await other.ok("SEARCH ALL") == ["* SEARCH 1 2"]
    told = await other.ok("NOOP")
    assert told[:3] == ["* 2 EXPUNGE", "* 1 EXPUNGE", "* 1 EXISTS"]
    assert await other.ok("FETCH 1 UID") == ["* 1 FETCH (UID 3)"]


async def test_both_expunge_at_once(imap: Imap) -> None:
    client = await imap.select(messages=4)
    other = await imap.select()
    await client.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    tags = await client.start("EXPUNGE"), await other.start("EXPUNGE")
    heard = [(await client.finish(tags[0]))[0], (await other.finish(tags[1]))[0]]
    heard[0] += await client.ok("NOOP")
    heard[1] += await other.ok("NOOP")
    for told in heard:
        assert [line for line in told if "EXPUNGE" in line] == ["* 3 EXPUNGE", "* 1 EXPUNGE"]
    for one in (client, other):
        assert await one.ok("UID SEARCH ALL") == ["* SEARCH 2 4"]
