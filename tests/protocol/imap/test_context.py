"""Results that are kept true: CONTEXT=SEARCH, CONTEXT=SORT (RFC 5267)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, small


async def two(imap: Imap, *, messages: int = 5) -> tuple[ImapClient, ImapClient]:
    """Two clients in one mailbox; 2 and 4 are flagged."""
    client = await imap.select(messages=messages)
    await client.ok("STORE 2,4 +FLAGS.SILENT (\\Flagged)")
    return client, await imap.select()


def about(lines: list[str]) -> list[str]:
    return [line.removeprefix("* ESEARCH ") for line in lines if line.startswith("* ESEARCH")]


async def hear(client: ImapClient) -> list[str]:
    """What a client is told of its results, by two commands: news may follow the first."""
    return about([*await client.ok("NOOP"), *await client.ok("NOOP")])


async def test_flags_make_messages_come_and_go(imap: Imap) -> None:
    client, other = await two(imap)
    await client.send(b"B01 UID SEARCH RETURN (UPDATE COUNT ALL) FLAGGED\r\n")
    await client.expect('* ESEARCH (TAG "B01") UID ALL 2,4 COUNT 2', "B01 OK ...")
    await other.ok("STORE 1,5 +FLAGS (\\Flagged)")
    await other.ok("STORE 4 -FLAGS (\\Flagged)")
    assert await hear(client) == [
        '(TAG "B01") UID REMOVEFROM (0 4)',
        '(TAG "B01") UID ADDTO (0 1,5)',
    ]
    assert await hear(client) == []


async def test_what_a_client_does_itself_counts(imap: Imap) -> None:
    client, _ = await two(imap)
    await client.send(b"B02 SEARCH RETURN (UPDATE ALL) FLAGGED\r\n")
    await client.expect('* ESEARCH (TAG "B02") ALL 2,4', "B02 OK ...")
    await client.ok("STORE 3 +FLAGS (\\Flagged)")
    assert await hear(client) == ['(TAG "B02") ADDTO (0 3)']


async def test_new_messages(imap: Imap) -> None:
    client, other = await two(imap)
    await client.send(b'B03 UID SEARCH RETURN (UPDATE COUNT) SUBJECT "message 6" UNSEEN\r\n')
    await client.expect('* ESEARCH (TAG "B03") UID COUNT 0', "B03 OK ...")
    for number in (7, 6, 8):
        await other.append("INBOX", small(number))
    assert await hear(client) == ['(TAG "B03") UID ADDTO (0 7)']
    await other.ok("NOOP")
    await other.ok("UID STORE 7 +FLAGS (\\Seen)")
    assert await hear(client) == ['(TAG "B03") UID REMOVEFROM (0 7)']


async def test_what_is_expunged_leaves_before_its_number_does(imap: Imap) -> None:
    client, other = await two(imap)
    await client.ok("SEARCH RETURN (UPDATE ALL) FLAGGED")
    await other.ok("STORE 1,4 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    told = await client.ok("NOOP")
    shifts = [line for line in told if "EXPUNGE" in line or "ESEARCH" in line]
    assert shifts[0].endswith("REMOVEFROM (0 4)")
    assert shifts[1:] == ["* 4 EXPUNGE", "* 1 EXPUNGE"]


async def test_a_sort(imap: Imap) -> None:
    client, other = await two(imap)
    await client.send(b"C01 UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 FLAGGED\r\n")
    await client.expect('* ESEARCH (TAG "C01") UID ALL 4,2', "C01 OK ...")
    await other.ok("STORE 3,5 +FLAGS (\\Flagged)")
    assert await hear(client) == ['(TAG "C01") UID ADDTO (1 5 3 3)']  # now 5, 4, 3, 2
    await other.append("INBOX", small(1), "(\\Flagged)")
    assert await hear(client) == ['(TAG "C01") UID ADDTO (5 6)']  # 5, 4, 3, 2, 6
    await other.ok("STORE 4,2 -FLAGS (\\Flagged)")
    assert await hear(client) == ['(TAG "C01") UID REMOVEFROM (4 2 2 4)']  # 5, 3, 6
    await other.ok("STORE 3 +FLAGS (\\Deleted)")
    await other.ok("EXPUNGE")
    assert await hear(client) == ['(TAG "C01") UID REMOVEFROM (2 3)']


async def test_it_is_told_in_idle(imap: Imap) -> None:
    client, other = await two(imap)
    await client.ok("UID SEARCH RETURN (UPDATE) SUBJECT message FLAGGED")
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await other.ok("STORE 5 +FLAGS (\\Flagged)")
    await client.expect("* 5 FETCH (...)", "* ESEARCH (TAG ...) UID ADDTO (0 5)")
    await client.send(b"DONE\r\n")
    await client.expect("i OK ...")


async def test_numbers_and_the_saved_result_mean_what_they_meant(imap: Imap) -> None:
    client, other = await two(imap)
    await client.ok("SEARCH RETURN (SAVE) 4:5")
    await client.send(b"D01 UID SEARCH RETURN (UPDATE COUNT) OR $ 2 FLAGGED\r\n")
    await client.expect('* ESEARCH (TAG "D01") UID COUNT 2', "D01 OK ...")
    await client.ok("SEARCH RETURN (SAVE) 1")
    await client.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    await other.ok("NOOP")
    await other.ok("UID STORE 3,5 +FLAGS (\\Flagged)")
    assert await hear(client) == ['(TAG "D01") UID ADDTO (0 5)']


async def test_no_more_updates(imap: Imap) -> None:
    client, other = await two(imap)
    for tag in ("E1", "E2", "E3"):
        await client.send(f"{tag} UID SEARCH RETURN (UPDATE) FLAGGED\r\n".encode())
        await client.expect(f'* ESEARCH (TAG "{tag}") UID', f"{tag} OK ...")
    await client.ok('CANCELUPDATE "E1" "E3" "unknown"')
    await other.ok("STORE 1 +FLAGS (\\Flagged)")
    assert await hear(client) == ['(TAG "E2") UID ADDTO (0 1)']
    await client.ok("SELECT INBOX")
    await other.ok("STORE 1 -FLAGS (\\Flagged)")
    assert await hear(client) == []


async def test_too_many(imap: Imap) -> None:
    client, other = await two(imap)
    for number in range(10):
        assert len(await client.ok("UID SEARCH RETURN (UPDATE COUNT) FLAGGED")) == 1, number
    await client.send(b"F11 UID SEARCH RETURN (UPDATE COUNT) FLAGGED\r\n")
    await client.expect(
        '* NO [NOUPDATE "F11"] ...', '* ESEARCH (TAG "F11") UID COUNT 2', "F11 OK ..."
    )
    await other.ok("STORE 1 +FLAGS (\\Flagged)")
    assert len(await hear(client)) == 10


async def test_the_hint_alone_changes_nothing(imap: Imap) -> None:
    client, other = await two(imap)
    await client.send(b"G01 UID SORT RETURN (CONTEXT PARTIAL 1:1) (SUBJECT) UTF-8 FLAGGED\r\n")
    await client.expect('* ESEARCH (TAG "G01") UID PARTIAL (1:1 2)', "G01 OK ...")
    await other.ok("STORE 1 +FLAGS (\\Flagged)")
    assert await hear(client) == []


@pytest.mark.parametrize("arguments", ["", "E1", '("E1")', '"E1"  "E2"'])
async def test_what_is_not_understood(imap: Imap, arguments: str) -> None:
    client, _ = await two(imap)
    await client.bad(f"CANCELUPDATE {arguments}".rstrip())
