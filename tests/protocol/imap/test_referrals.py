"""MAILBOX-REFERRALS (RFC 2193): every mailbox is here, so nothing is referred to."""

from __future__ import annotations

from tests.protocol.imap.system import Imap


async def test_rlist_and_rlsub_tell_what_list_and_lsub_tell(imap: Imap) -> None:
    client = await imap.login()
    (line,) = await client.ok("CAPABILITY")
    assert "MAILBOX-REFERRALS" in line.split()
    await client.ok("CREATE work/reports")
    await client.ok("SUBSCRIBE work/reports")
    for arguments in ('"" *', '"" %', "work %", '"" INBOX', '"" ""'):
        assert await client.ok(f"RLIST {arguments}") == await client.ok(f"LIST {arguments}")
        assert await client.ok(f"RLSUB {arguments}") == await client.ok(f"LSUB {arguments}")


async def test_rlist_has_no_extended_form(imap: Imap) -> None:
    client = await imap.login()
    await client.bad('RLIST (REMOTE) "" *')
    await client.bad('RLIST "" (INBOX Sent)')
    await client.bad('RLIST "" * RETURN (CHILDREN)')
