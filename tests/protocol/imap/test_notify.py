"""NOTIFY (RFC 5465). News come at any time: what is expected is heard, whenever it comes."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient, matches
from tests.protocol.imap.front import Deployment, FrontAlone
from tests.protocol.imap.system import Imap, small

PAIR = "MessageNew MessageExpunge"


async def hear(client: ImapClient, *patterns: str) -> None:
    """Hear these untagged responses, no command being under way."""
    await client.expect(*patterns)


async def nothing_waits(client: ImapClient) -> None:
    """Nothing was told that nobody asked for."""
    assert await client.ok("NOOP") == []


async def test_new_messages_of_the_selected_mailbox(imap: Imap) -> None:
    """RFC 5465 sections 3.1, 5.2."""
    client, other = await imap.select(), await imap.login()
    fetched = "(UID BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])"
    await client.ok(f"NOTIFY SET (selected (MessageNew {fetched} MessageExpunge))")
    await other.append("INBOX", small(1))
    await hear(
        client,
        "* 1 EXISTS",
        "* 1 RECENT",
        "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (FROM SUBJECT)] {...}...Subject: message 1...)",
    )
    await other.append("INBOX", small(2))
    await other.append("INBOX", small(3))
    heard: list[str] = []
    while not any("UID 3 " in line for line in heard):
        heard.append((await client.hear()).decode())
    assert [line for line in heard if " UID 2 " in line or "(UID 2 " in line]
    await nothing_waits(client)


async def test_expunged_messages_of_the_selected_mailbox(imap: Imap) -> None:
    """RFC 5465 section 5.3."""
    client, other = await imap.select(messages=3), await imap.select()
    await client.ok(f"NOTIFY SET (selected ({PAIR}))")
    await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await hear(client, "* 2 EXPUNGE")
    await nothing_waits(client)  # flags are not among the events


async def test_flags_of_the_selected_mailbox(imap: Imap) -> None:
    """RFC 5465 section 5.1."""
    client, other = await imap.select(messages=2), await imap.select()
    await client.ok(f"NOTIFY SET (selected ({PAIR} FlagChange))")
    await other.ok("STORE 2 +FLAGS (\\Flagged)")
    await hear(client, "* 2 FETCH (...FLAGS (...\\Flagged...)...)")


async def test_delayed_expunges(imap: Imap) -> None:
    """RFC 5465 section 6.1.2."""
    client, other = await imap.select(messages=2), await imap.select()
    await client.ok(f"NOTIFY SET (selected-delayed ({PAIR} FlagChange))")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await hear(client, "* 1 FETCH (FLAGS (...\\Deleted...))")
    await other.ok("EXPUNGE")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await hear(client, "* 2 FETCH (FLAGS (...\\Flagged...))")  # by the number that it had
    assert await client.ok("NOOP") == ["* 1 EXPUNGE"]


async def test_delayed_expunges_in_idle(imap: Imap) -> None:
    client, other = await imap.select(messages=2), await imap.select()
    await client.ok(f"NOTIFY SET (selected-delayed ({PAIR}))")
    tag = await client.start("IDLE")
    await client.expect("+ ...")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await client.expect("* 1 EXPUNGE")
    await client.send(b"DONE\r\n")
    assert (await client.finish(tag))[0] == []


async def test_other_mailboxes(imap: Imap) -> None:
    """RFC 5465 sections 3.1, 5.2, 5.3: the example of the lists."""
    client, other = await imap.login(), await imap.login()
    for name in ("Lists/Lemonade", "Lists/Im2000"):
        await client.ok(f"CREATE {name}")
    await client.append("Lists/Lemonade", small(0))
    told = await client.ok(f"NOTIFY SET STATUS (selected ({PAIR})) (subtree Lists ({PAIR}))")
    assert len(told) == 3
    assert matches(told[2], "* STATUS Lists/Lemonade (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ...)")
    await client.ok("SELECT INBOX")
    await other.append("Sent", small(9))  # of no interest
    await other.append("Lists/Lemonade", small(1))
    await hear(client, "* STATUS Lists/Lemonade (UIDNEXT 3 MESSAGES 2)")
    await other.append("INBOX", small(2))
    await hear(client, "* 1 EXISTS", "* 1 RECENT")
    await other.ok("SELECT Lists/Lemonade")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await hear(client, "* STATUS Lists/Lemonade (UIDNEXT 3 MESSAGES 1)")
    await client.ok(f"NOTIFY SET (mailboxes Sent ({PAIR}))")
    await other.append("Lists/Lemonade", small(3))
    await other.append("Sent", small(4))
    await hear(client, "* STATUS Sent (UIDNEXT 3 MESSAGES 2)")


async def test_flags_of_other_mailboxes(imap: Imap) -> None:
    """RFC 5465 section 5.1."""
    client, other = await imap.login(), await imap.select("Sent", messages=1)
    told = await client.ok(f"NOTIFY SET STATUS (personal ({PAIR} FlagChange))")
    assert any(
        matches(line, "* STATUS Sent (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ... HIGHESTMODSEQ ...)")
        for line in told
    )
    await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await hear(client, "* STATUS Sent (UNSEEN 0)")
    await other.ok("STORE 1 +FLAGS.SILENT (odd)")  # nothing that a client without modseqs sees
    await client.ok("ENABLE CONDSTORE")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    heard = (await client.hear()).decode()
    assert matches(heard, "* STATUS Sent (UIDVALIDITY ... HIGHESTMODSEQ ...)")
    await other.append("Sent", small(2))
    while "MESSAGES" not in heard:
        heard = (await client.hear()).decode()
    assert matches(heard, "* STATUS Sent (UIDNEXT 3 MESSAGES 2 UNSEEN 1 HIGHESTMODSEQ ...)")


async def test_names_of_mailboxes(imap: Imap) -> None:
    """RFC 5465 section 5.4."""
    client, other = await imap.login(), await imap.login()
    await client.ok("NOTIFY SET (personal (MailboxName))")
    await other.ok("CREATE NewMailbox")
    await hear(client, '* LIST (\\HasNoChildren) "/" NewMailbox')
    await other.ok("CREATE NewMailbox/inner")
    await hear(
        client,
        '* LIST (\\HasNoChildren) "/" NewMailbox/inner',
        '* LIST (\\HasChildren) "/" NewMailbox',
    )
    await other.ok("RENAME NewMailbox Other")
    await hear(client, '* LIST (\\HasChildren) "/" Other ("OLDNAME" (NewMailbox))')
    await other.ok("DELETE Other/inner")
    await hear(
        client,
        '* LIST (\\NonExistent \\Noselect \\HasNoChildren) "/" Other/inner',
        '* LIST (\\HasNoChildren) "/" Other',
    )
    await other.ok("SUBSCRIBE Other")
    await client.ok("CREATE mine")
    await other.ok("CREATE theirs")
    await hear(client, '* LIST (\\HasNoChildren) "/" theirs')


async def test_subscriptions(imap: Imap) -> None:
    """RFC 5465 section 5.5."""
    client, other = await imap.login(), await imap.login()
    await client.ok("NOTIFY SET (subscribed (SubscriptionChange)) (mailboxes x (MailboxName))")
    await other.ok("UNSUBSCRIBE Sent")
    await hear(client, '* LIST (\\HasNoChildren \\Sent) "/" Sent')
    await other.ok("SUBSCRIBE Sent")
    await hear(client, '* LIST (\\HasNoChildren \\Subscribed \\Sent) "/" Sent')
    await other.ok("CREATE y")
    await other.ok("CREATE x")
    await hear(client, '* LIST (\\HasNoChildren) "/" x')


async def test_annotations(imap: Imap) -> None:
    """RFC 5465 sections 5.6, 5.7."""
    client, other = await imap.login(), await imap.login()
    await client.ok("NOTIFY SET (personal (MailboxMetadataChange ServerMetadataChange))")
    await other.ok('SETMETADATA INBOX (/shared/comment "x" /private/comment "y")')
    await hear(client, "* METADATA INBOX /private/comment /shared/comment")
    await other.ok("SETMETADATA INBOX (/shared/comment NIL)")
    await hear(client, "* METADATA INBOX /shared/comment")
    await other.ok('SETMETADATA "" (/private/comment "z")')
    await hear(client, '* METADATA "" /private/comment')


async def test_none(imap: Imap) -> None:
    """RFC 5465 section 3.1: then nothing is told of, in commands either, until it is asked for."""
    client, other = await imap.select(messages=1), await imap.login()
    await client.ok("NOTIFY NONE")
    await other.append("INBOX", small(2))
    await other.append("INBOX", small(3))
    await nothing_waits(client)
    assert await client.ok("FETCH 1:* UID") == ["* 1 FETCH (UID 1)"]
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert "* 1 EXPUNGE" in await client.ok("EXPUNGE")  # what it does itself it must hear
    told = await client.ok(f"NOTIFY SET (selected ({PAIR}))")
    await other.append("INBOX", small(4))
    while "* 3 EXISTS" not in told:
        told.append((await client.hear()).decode())


async def test_news_during_a_command(imap: Imap) -> None:
    """What happens meanwhile is told afterwards, however many events there were."""
    client, other = await imap.login(), await imap.login()
    await client.ok(f"NOTIFY SET (personal ({PAIR} MailboxName))")
    await client.send(b"a APPEND INBOX {4}\r\n")
    await client.expect("+ ...")
    for number in range(5):
        await other.append("Sent", small(number))
    await other.ok("CREATE new")
    await client.send(b"x\r\ny\r\n")
    heard: list[str] = []
    while not {"* STATUS Sent (UIDNEXT 6 MESSAGES 5)"} <= {*heard} or not any(
        line.endswith(" new") for line in heard
    ):
        heard.append((await client.hear()).decode())
    assert any(line.startswith("a OK") for line in heard)


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [("SET (personal (FrobChange))", "NO [BADEVENT (MessageNew ...)] ...")],
)
async def test_unknown_events(imap: Imap, arguments: str, pattern: str) -> None:
    client = await imap.login()
    await client.no(f"NOTIFY {arguments}", pattern)


async def test_names_that_do_not_exist_are_passed_over(imap: Imap) -> None:
    client, other = await imap.login(), await imap.login()
    await client.ok(f'NOTIFY SET STATUS (mailboxes (later "*" Sent) ({PAIR}))')
    await other.ok("CREATE later")
    await other.append("later", small(1))
    await hear(client, "* STATUS later (UIDNEXT 2 MESSAGES 1)")


async def test_across_processes(deployment: Deployment) -> None:
    person = await deployment.person()
    near = await Imap(deployment.fronts[0], person).login()
    far = await Imap(deployment.fronts[-1], person).login()
    await far.ok(f"NOTIFY SET (personal ({PAIR} MailboxName MailboxMetadataChange))")
    await near.append("Sent", small(1))
    await hear(far, "* STATUS Sent (UIDNEXT 2 MESSAGES 1)")
    await near.ok("RENAME Sent Gone")
    await hear(far, '* LIST (\\HasNoChildren \\Sent) "/" Gone ("OLDNAME" (Sent))')
    await near.ok('SETMETADATA Gone (/shared/comment "x")')
    await hear(far, "* METADATA Gone /shared/comment")


async def test_too_much_at_once(imap: Imap, alone: FrontAlone) -> None:
    """RFC 5465 section 5.8: a client that is told of too much is told of nothing more."""
    client, other = await imap.login(), await imap.login()
    await client.ok(f"NOTIFY SET (personal ({PAIR} SubscriptionChange))")
    await client.send(b"a APPEND INBOX {4}\r\n")  # a command that goes on
    await client.expect("+ ...")
    witness = await imap.login()  # hears in the same process, of the end alone
    await witness.ok("NOTIFY SET (mailboxes end (SubscriptionChange))")
    await other.send(b"".join(b"s%d SUBSCRIBE name%d\r\n" % (n, n) for n in range(1100)))
    for number in range(1100):
        await other.finish(f"s{number}")
    await other.ok("SUBSCRIBE end")
    await hear(witness, "* LIST (...\\Subscribed) ... end")
    await client.send(b"x\r\ny\r\n")
    heard: list[str] = []
    while not any(line.startswith("* OK [NOTIFICATIONOVERFLOW] ") for line in heard):
        heard.append((await client.hear()).decode())
    assert not any(line.startswith("* LIST") for line in heard)
    await other.append("Sent", small(1))
    await nothing_waits(client)
    await client.ok(f"NOTIFY SET (mailboxes Trash ({PAIR}))")
    await other.append("Trash", small(2))
    await hear(client, "* STATUS Trash (UIDNEXT 2 MESSAGES 1)")
