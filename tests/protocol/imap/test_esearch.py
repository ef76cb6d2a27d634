"""What SEARCH answers and keeps: RFC 4731, RFC 5182, RFC 9394 section 3, RFC 9051 section 6.4.4."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap


async def flagged(imap: Imap) -> ImapClient:
    """Nine messages, of which 2, 3, 5 and 9 are flagged; UIDs are one higher."""
    client = await imap.select(messages=10)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.ok("STORE 2,3,5,9 +FLAGS.SILENT (\\Flagged)")
    return client


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("MIN COUNT", "MIN 2 COUNT 4"),
        ("MIN MAX", "MIN 2 MAX 9"),
        ("ALL", "ALL 2:3,5,9"),
        ("", "ALL 2:3,5,9"),
        ("COUNT ALL", "ALL 2:3,5,9 COUNT 4"),
        ("PARTIAL 1:2", "PARTIAL (1:2 2:3)"),
        ("PARTIAL -1:-2 COUNT", "COUNT 4 PARTIAL (-1:-2 5,9)"),
        ("PARTIAL 3:500", "PARTIAL (3:500 5,9)"),
        ("PARTIAL 24000:24500", "PARTIAL (24000:24500 NIL)"),
    ],
)
async def test_result_options(imap: Imap, options: str, answer: str) -> None:
    client = await flagged(imap)
    await client.send(f"A282 SEARCH RETURN ({options}) FLAGGED\r\n".encode())
    assert await client.finish("A282") == (
        [f'* ESEARCH (TAG "A282") {answer}'],
        "OK SEARCH completed",
    )


async def test_uids(imap: Imap) -> None:
    client = await flagged(imap)
    await client.send(b"A284 UID SEARCH RETURN (MAX ALL) FLAGGED\r\n")
    await client.expect('* ESEARCH (TAG "A284") UID MAX 10 ALL 3:4,6,10', "A284 OK ...")


async def test_nothing_found(imap: Imap) -> None:
    client = await flagged(imap)
    await client.send(b'A283 SEARCH RETURN (MIN MAX ALL) SUBJECT "no such"\r\n')
    await client.expect('* ESEARCH (TAG "A283")', "A283 OK ...")
    await client.send(b'A284 UID SEARCH RETURN (COUNT ALL) SUBJECT "no such"\r\n')
    await client.expect('* ESEARCH (TAG "A284") UID COUNT 0', "A284 OK ...")


async def test_a_tag_is_quoted(imap: Imap) -> None:
    client = await flagged(imap)
    await client.send(b"a[1] SEARCH RETURN (COUNT) ALL\r\n")
    await client.expect('* ESEARCH (TAG "a[1]") COUNT 9', "a[1] OK ...")


# -- the saved result (RFC 5182)


async def test_a_saved_result_is_fetched(imap: Imap) -> None:
    client = await flagged(imap)
    assert await client.ok("SEARCH RETURN (SAVE) FLAGGED") == []
    assert await client.ok("FETCH $ (UID)") == [
        "* 2 FETCH (UID 3)",
        "* 3 FETCH (UID 4)",
        "* 5 FETCH (UID 6)",
        "* 9 FETCH (UID 10)",
    ]
    assert await client.ok("UID FETCH $ (UID)") == await client.ok("UID FETCH 3:4,6,10 (UID)")


async def test_a_saved_result_is_searched_again(imap: Imap) -> None:
    client = await flagged(imap)
    await client.ok("SEARCH RETURN (SAVE) FLAGGED")
    assert await client.ok("UID SEARCH UID $ 1:3") == ["* SEARCH 3 4"]
    assert await client.ok('SEARCH OR $ 1 SUBJECT "message"') == ["* SEARCH 1 2 3 5 9"]
    assert await client.ok("SEARCH RETURN (SAVE) $ BODY 4") == []
    assert await client.ok("SEARCH $") == ["* SEARCH 3"]


async def test_commands_that_follow_at_once(imap: Imap) -> None:
    client = await flagged(imap)
    await client.send(b"b SEARCH RETURN (SAVE) FLAGGED\r\nc STORE $ +FLAGS.SILENT (\\Seen)\r\n")
    await client.expect("b OK ...", "c OK ...")
    assert await client.ok("SEARCH SEEN") == ["* SEARCH 2 3 5 9"]


async def test_every_command_takes_it(imap: Imap) -> None:
    client = await flagged(imap)
    await client.ok("SEARCH RETURN (SAVE) FLAGGED 5:9")
    await client.ok("COPY $ Archive")
    assert await client.ok("STATUS Archive (MESSAGES)") == ["* STATUS Archive (MESSAGES 2)"]
    await client.ok("STORE $ +FLAGS.SILENT (\\Deleted)")
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("UID EXPUNGE $") == ["* 9 EXPUNGE", "* 5 EXPUNGE"]
    assert await client.ok("FETCH $ (UID)") == []
    await client.ok("UID SEARCH RETURN (SAVE) 2:3")
    await client.ok("UID MOVE $ Archive")
    assert await client.ok("STATUS Archive (MESSAGES)") == ["* STATUS Archive (MESSAGES 4)"]


async def test_what_is_expunged_drops_out(imap: Imap) -> None:
    client = await flagged(imap)
    await client.ok("SEARCH RETURN (SAVE) FLAGGED")
    other = await imap.select()
    await other.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await client.ok("NOOP")
    assert await client.ok("SEARCH $") == ["* SEARCH 1 3 7"]


@pytest.mark.parametrize(
    ("options", "saved"),
    [
        ("SAVE", "2 3 5 9"),
        ("SAVE ALL", "2 3 5 9"),
        ("SAVE COUNT", "2 3 5 9"),
        ("SAVE MIN", "2"),
        ("SAVE MAX", "9"),
        ("SAVE MIN MAX", "2 9"),
        ("SAVE MIN COUNT", "2 3 5 9"),
        ("SAVE MAX ALL", "2 3 5 9"),
        ("SAVE PARTIAL 2:3", "3 5"),
        ("SAVE PARTIAL 2:3 MIN", "2 3 5"),
        ("SAVE PARTIAL 2:3 MIN MAX", "2 3 5 9"),
        ("SAVE PARTIAL 2:3 COUNT", "2 3 5 9"),
    ],
)
async def test_what_is_saved(imap: Imap, options: str, saved: str) -> None:
    client = await flagged(imap)
    await client.ok(f"SEARCH RETURN ({options}) FLAGGED")
    assert await client.ok("SEARCH $") == [f"* SEARCH {saved}"]


async def test_when_it_is_emptied(imap: Imap) -> None:
    client = await flagged(imap)
    assert await client.ok("FETCH $ (UID)") == []
    await client.ok("SEARCH RETURN (SAVE) FLAGGED")
    await client.ok("SEARCH ALL")
    await client.ok("SEARCH RETURN (COUNT) ALL")
    await client.bad("SEARCH RETURN (SAVE) NONSENSE")
    assert await client.ok("SEARCH $") == ["* SEARCH 2 3 5 9"]
    await client.no("SEARCH RETURN (SAVE) CHARSET X-UNKNOWN TEXT x", "NO [BADCHARSET (...)] ...")
    assert await client.ok("SEARCH $") == ["* SEARCH"]
    assert await client.ok("STORE $ +FLAGS (\\Seen)") == []
    assert await client.ok("COPY $ Archive") == []
    await client.ok("SEARCH RETURN (SAVE) FLAGGED")
    await client.ok("SELECT INBOX")
    assert await client.ok("SEARCH $") == ["* SEARCH"]
