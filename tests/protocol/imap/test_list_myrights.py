"""LIST-MYRIGHTS (RFC 8440)."""

from __future__ import annotations

from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.sharing import EVERYTHING, listed, share, shared, somebody
from tests.protocol.imap.system import Imap


async def test_own_mailboxes(imap: Imap) -> None:
    """Section 3's example: everything that is one's own."""
    client = await imap.login()
    assert await client.ok('LIST "" (INBOX Sent) RETURN (MYRIGHTS)') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        f"* MYRIGHTS INBOX {EVERYTHING}",
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        f"* MYRIGHTS Sent {EVERYTHING}",
    ]


async def test_what_others_share(imap: Imap) -> None:
    friend = await somebody(imap)
    await share(imap, friend, "lrs")
    guest, name = await friend.login(), shared(imap)
    assert await listed(guest, '"" "Other*" RETURN (MYRIGHTS)') == [
        f'* LIST (\\HasNoChildren) "/" {name}',
        f"* MYRIGHTS {name} lrs",
    ]
    await guest.ok(f"SUBSCRIBE {name}")
    told = await listed(guest, '(SUBSCRIBED) "" "Other*" RETURN (MYRIGHTS STATUS (MESSAGES))')
    assert told == [
        f'* LIST (\\HasNoChildren \\Subscribed) "/" {name}',
        f"* STATUS {name} (MESSAGES 0)",
        f"* MYRIGHTS {name} lrs",
    ]


async def test_names_of_no_mailbox_have_no_rights(imap: Imap) -> None:
    """Section 3's other example: what doesn't exist, or holds no messages."""
    friend = await somebody(imap)
    await share(imap, friend, "lr")
    guest = await friend.login()
    await guest.ok("SUBSCRIBE Gone")
    assert await guest.ok('LIST (SUBSCRIBED) "" Gone RETURN (MYRIGHTS)') == [
        '* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" Gone'
    ]
    assert len(await listed(guest, '"" "Other%" RETURN (MYRIGHTS)')) == 1
    # Told for what is below alone: it doesn't meet the criteria itself.
    await guest.ok("CREATE a/b")
    await guest.ok("SUBSCRIBE a/b")
    (line,) = await guest.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" a RETURN (MYRIGHTS)')
    assert line.startswith("* LIST ")


async def test_only_in_the_extended_form(imap: Imap) -> None:
    client = await imap.login()
    assert len(await client.ok('LIST "" INBOX RETURN ()')) == 1
    await client.bad('LIST (MYRIGHTS) "" INBOX')
    await client.bad('LIST "" INBOX RETURN (MYRIGHTS ())')


async def test_it_costs_nothing_more(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.login()
    alone.calls.clear()
    await client.ok('LIST "" "*" RETURN (MYRIGHTS STATUS (MESSAGES))')
    assert alone.calls.made == {"list": 1}
