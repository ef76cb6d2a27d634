"""Keys of extensions: WITHIN (RFC 5032), SAVEDATE (RFC 8514), OBJECTID (RFC 8474)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, small


def internal_date(seconds_ago: int) -> str:
    moment = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return moment.strftime('"%d-%b-%Y %H:%M:%S +0000"')


def day(days_from_now: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days_from_now)).strftime("%d-%b-%Y")


async def aged(imap: Imap) -> ImapClient:
    """Messages of ten days, of three hours and of five minutes ago."""
    client = await imap.select()
    for number, seconds in enumerate((864_000, 10_800, 300), 1):
        await client.append("INBOX", small(number), internal_date(seconds))
    await client.ok("NOOP")
    return client


async def test_how_long_ago(imap: Imap) -> None:
    client = await aged(imap)
    assert await client.ok("SEARCH UNSEEN YOUNGER 259200") == ["* SEARCH 2 3"]
    assert await client.ok("SEARCH OLDER 7200") == ["* SEARCH 1 2"]
    assert await client.ok("SEARCH OR OLDER 604800 YOUNGER 3600") == ["* SEARCH 1 3"]
    assert await client.ok("SEARCH OLDER 4294967295") == ["* SEARCH"]


async def test_when_it_was_saved(imap: Imap) -> None:
    client = await aged(imap)
    assert await client.ok("SEARCH SAVEDATESUPPORTED") == ["* SEARCH 1 2 3"]
    assert await client.ok(f"SEARCH SAVEDSINCE {day(-1)}") == ["* SEARCH 1 2 3"]
    assert await client.ok(f"SEARCH SAVEDBEFORE {day(-1)}") == ["* SEARCH"]
    assert await client.ok(f"SEARCH OR SAVEDON {day(0)} SAVEDON {day(-1)} 2:3") == ["* SEARCH 2 3"]
    assert await client.ok(f"SEARCH SAVEDON {day(-10)}") == ["* SEARCH"]


async def test_object_ids(imap: Imap) -> None:
    client = await imap.select()
    await client.append("INBOX", small(1))
    await client.append("INBOX", small(2))
    reply = small(3).replace(b"\r\n\r\n", b"\r\nIn-Reply-To: <1@example.org>\r\n\r\n", 1)
    await client.append("INBOX", reply)
    await client.ok("NOOP")
    await client.ok("COPY 1 INBOX")
    status = await client.ok("STATUS INBOX (MAILBOXID)")
    (account,) = re.findall(r"F(\d+)-", status[0])
    assert await client.ok(f"SEARCH EMAILID M{account}-1") == ["* SEARCH 1 4"]
    assert await client.ok(f"SEARCH EMAILID M{account}-1 TEXT hello") == ["* SEARCH 1 4"]
    assert await client.ok(f"UID SEARCH THREADID T{account}-1") == ["* SEARCH 1 3 4"]
    for stranger in (f"M{account}-99", f"M{int(account) + 1}-1", "no-such"):
        assert await client.ok(f"SEARCH EMAILID {stranger}") == ["* SEARCH"]
        assert await client.ok(f"SEARCH THREADID {stranger}") == ["* SEARCH"]
