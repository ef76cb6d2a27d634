"""What others share (RFC 4314 section 4, RFC 2342): every command on somebody else's mailboxes."""

from __future__ import annotations

import asyncio

import pytest
from postroom.auth.v1 import account_pb2
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.sharing import EVERYTHING, listed, share, shared, somebody
from tests.protocol.imap.system import Imap, small

ENDED = "* BYE The selected mailbox is shared with you no more"


async def opened(imap: Imap, rights: str, messages: int = 2) -> tuple[ImapClient, ImapClient, Imap]:
    """A client of the owner and one of a guest, who both have a mailbox selected; the guest."""
    friend = await somebody(imap)
    owner = await share(imap, friend, rights)
    for number in range(1, messages + 1):
        await owner.append("Work", small(number))
    await owner.ok("SELECT Work")
    guest = await friend.login()
    await guest.ok(f"SELECT {shared(imap)}")
    return owner, guest, friend


async def until(client: ImapClient, command: str, pattern: str) -> None:
    """Repeat a command until its answer begins so: news take their way from store to front."""
    async with asyncio.timeout(20):
        while not (await client.transact(command))[1].startswith(pattern):
            pass


async def until_told(client: ImapClient, line: str) -> None:
    """Idle until something is told; who is told of \\Recent depends on who comes first."""
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await hear(client, line)
    await client.send(b"DONE\r\n")
    await hear(client, "i OK IDLE terminated")


async def hear(client: ImapClient, line: str) -> None:
    """Hear a line, and nothing else before it but of \\Recent."""
    while (heard := (await client.hear()).decode()).endswith(" RECENT"):
        pass
    assert heard == line


# LIST, LSUB, NAMESPACE.


async def test_what_is_listed(imap: Imap) -> None:
    friend = await somebody(imap)
    owner = await share(imap, friend, "lr", "Work/Plans")
    guest = await friend.login()
    whole = f"Other Users/{imap.person.name}"
    plans = f'* LIST (\\HasNoChildren) "/" "{whole}/Work/Plans"'
    assert await listed(guest, '"" "*"') == [plans]
    assert await listed(guest, '"" "%"') == [
        '* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "Other Users"'
    ]
    assert await listed(guest, '"Other Users/" "%"') == [
        f'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "{whole}"'
    ]
    assert await listed(guest, f'"" "{whole}/%"') == [
        f'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "{whole}/Work"'
    ]
    assert await listed(guest, f'"" "{whole}/%/%"') == [plans]
    assert await listed(guest, f'"" "{whole}/Work"') == []
    # Section 4, LIST: what is above, and may not be looked up, doesn't exist.
    assert await listed(guest, f'"" "{whole}/Work*"') == [plans]
    await owner.ok(f"SETACL Work {friend.person.name} l")
    assert await listed(guest, f'"" "{whole}/%"') == [f'* LIST (\\HasChildren) "/" "{whole}/Work"']
    await owner.ok(f"SETACL Work/Plans {friend.person.name} -l")
    assert await listed(guest, '"" "*"') == [f'* LIST (\\HasNoChildren) "/" "{whole}/Work"']
    assert await listed(owner, '"" "*"') == []


async def test_extended_lists(imap: Imap) -> None:
    friend = await somebody(imap)
    owner = await share(imap, friend, "l")
    await owner.append("Work", small(1))
    guest = await friend.login()
    name = shared(imap)
    status = "RETURN (STATUS (MESSAGES) SUBSCRIBED)"
    line = f'* LIST (\\HasNoChildren) "/" {name}'
    assert await listed(guest, f'"" "*" {status}') == [line]  # counts are for those who may read
    await owner.ok(f"SETACL Work {friend.person.name} +r")
    assert await listed(guest, f'"" "*" {status}') == [line, f"* STATUS {name} (MESSAGES 1)"]
    assert await listed(guest, '(SUBSCRIBED) "" "*"') == []
    await guest.ok(f"SUBSCRIBE {name}")
    assert await listed(guest, '(SUBSCRIBED) "" "*"') == [
        f'* LIST (\\HasNoChildren \\Subscribed) "/" {name}'
    ]
    assert await listed(guest, '(SUBSCRIBED) "" "%"') == []
    recursive = '(SUBSCRIBED RECURSIVEMATCH) "" "%"'
    assert (await listed(guest, recursive))[0].endswith(
        '"/" "Other Users" ("CHILDINFO" ("SUBSCRIBED"))'
    )
    assert await guest.ok('LSUB "" "Other*"') == [f'* LSUB () "/" {name}']
    assert await guest.ok('LSUB "" "Other%"') == ['* LSUB (\\Noselect) "/" "Other Users"']
    await owner.ok("DELETE Work")
    assert await listed(guest, '(SUBSCRIBED) "" "*"') == [
        f'* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" {name}'
    ]
    await guest.ok(f"UNSUBSCRIBE {name}")
    assert await listed(guest, '"" "*"') == []


async def test_special_uses_are_the_owners(imap: Imap) -> None:
    friend = await somebody(imap)
    await share(imap, friend, "lrk", "INBOX")
    owner = await imap.login()
    await owner.ok(f"SETACL Sent {friend.person.name} lr")
    guest = await friend.login()
    sent = shared(imap, "Sent")
    assert await listed(guest, '"" "Other*Sent"') == [f'* LIST (\\HasNoChildren) "/" {sent}']
    await guest.no(f"CREATE {shared(imap, 'INBOX/mine')} (USE (\\Junk))", "NO [NOPERM] ...")


# SELECT, STATUS.


@pytest.mark.parametrize(
    ("rights", "code", "flags"),
    [
        ("lr", "READ-ONLY", "()"),
        ("lrkxpa", "READ-ONLY", "()"),
        ("lrs", "READ-WRITE", "(\\Seen)"),
        ("lrt", "READ-WRITE", "(\\Deleted)"),
        ("lrw", "READ-WRITE", "(\\Answered \\Flagged \\Draft $Todo \\*)"),
        ("lri", "READ-WRITE", "()"),
        ("lre", "READ-WRITE", "()"),
        ("r", "READ-ONLY", "()"),
        (EVERYTHING, "READ-WRITE", "(\\Answered \\Flagged \\Deleted \\Seen \\Draft $Todo \\*)"),
    ],
)
async def test_select(imap: Imap, rights: str, code: str, flags: str) -> None:
    """Sections 5.1 and 5.2: what can be changed here, all have in common."""
    friend = await somebody(imap)
    owner = await share(imap, friend, rights)
    await owner.append("Work", small(1), "($Todo)")
    guest = await friend.login()
    told, done = await guest.transact(f"SELECT {shared(imap)}")
    assert done.startswith(f"OK [{code}] ")
    assert f"* OK [PERMANENTFLAGS {flags}] Flags that can be changed" in told
    assert "* 1 EXISTS" in told
    told, done = await guest.transact(f"EXAMINE {shared(imap)}")
    assert done.startswith("OK [READ-ONLY] ")
    assert "* OK [PERMANENTFLAGS ()] Flags that can be changed" in told


@pytest.mark.parametrize("command", ["SELECT {}", "EXAMINE {}", "STATUS {} (MESSAGES)"])
async def test_who_may_not_read(imap: Imap, command: str) -> None:
    friend = await somebody(imap)
    owner = await share(imap, friend, "lswipkxtea")
    guest = await friend.login()
    await guest.no(command.format(shared(imap)), "NO [NOPERM] ...")
    await owner.ok(f"SETACL Work {friend.person.name} -lr")
    await guest.no(command.format(shared(imap)), "NO [NONEXISTENT] ...")
    await guest.no(command.format(shared(imap, "Sent")), "NO [NONEXISTENT] ...")
    await guest.no(command.format(shared(friend, "INBOX")), "NO [NONEXISTENT] ...")
    await guest.no(command.format('"Other Users"'), "NO [NONEXISTENT] ...")


async def test_object_ids_are_those_that_the_owner_sees(imap: Imap) -> None:
    owner, guest, _ = await opened(imap, "lrkc", 1)
    (line,) = await owner.ok("STATUS Work (MAILBOXID MESSAGES)")
    name = shared(imap)
    assert await guest.ok(f"STATUS {name} (MAILBOXID MESSAGES)") == [line.replace("Work", name)]
    told = await guest.ok(f'LIST "" {name} RETURN (STATUS (MAILBOXID MESSAGES))')
    assert told[1] == line.replace("Work", name)
    fetched = await owner.ok("FETCH 1 (EMAILID THREADID)")
    assert await guest.ok("FETCH 1 (EMAILID THREADID)") == fetched
    email_id = fetched[0].split("(")[2].split(")")[0]
    assert await guest.ok(f"SEARCH EMAILID {email_id} SUBJECT message") == ["* SEARCH 1"]
    _, done = await guest.transact(f"CREATE {shared(imap, 'Work/new')}")
    (line,) = await owner.ok("STATUS Work/new (MAILBOXID)")
    assert f"MAILBOXID {line.split()[-1][:-1]}" in done


# Messages.


async def test_store_changes_what_it_may(imap: Imap) -> None:
    """Section 4, STORE: it succeeds where any of the flags may be changed."""
    owner, guest, friend = await opened(imap, "lrs", 1)
    assert await guest.ok("STORE 1 +FLAGS (\\Seen \\Flagged \\Deleted)") == [
        "* 1 FETCH (FLAGS (\\Seen))"
    ]
    await guest.no("STORE 1 +FLAGS (\\Flagged)", "NO [NOPERM] ...")
    assert await guest.ok("STORE 1 -FLAGS.SILENT (\\Seen)") == []
    # What was left out, a client that wants silence can't know.
    for change in ("+FLAGS.SILENT (\\Seen \\Flagged)", "FLAGS.SILENT (\\Seen)"):
        assert await guest.ok(f"STORE 1 {change}") == ["* 1 FETCH (FLAGS (\\Seen))"]
    await guest.no("STORE 1 -FLAGS (\\Deleted $Todo)", "NO [NOPERM] ...")
    await owner.ok("STORE 1 FLAGS (\\Flagged \\Seen)")
    assert "* 1 FETCH (FLAGS (\\Flagged))" in await guest.ok("STORE 1 FLAGS (\\Answered)")
    await owner.ok(f"SETACL Work {friend.person.name} lrt")
    await guest.ok("STORE 1 +FLAGS (\\Deleted)")
    await guest.no("STORE 1 +FLAGS (\\Seen)", "NO [NOPERM] ...")
    await owner.ok(f"SETACL Work {friend.person.name} lrw")
    await guest.ok("STORE 1 +FLAGS ($Todo)")
    assert (await owner.ok("FETCH 1 FLAGS"))[-1] == (
        "* 1 FETCH (FLAGS (\\Flagged \\Deleted $Todo))"
    )
    await owner.ok(f"SETACL Work {friend.person.name} lrie")
    for change in ("+FLAGS (\\Seen)", "FLAGS ()", "FLAGS (\\Seen $Todo)", "-FLAGS (\\Deleted)"):
        await guest.no(f"STORE 1 {change}", "NO [NOPERM] ...")


async def test_reading_is_noted_by_those_who_may(imap: Imap) -> None:
    """Section 4, FETCH: without the right "s" it is not, and the command succeeds."""
    owner, guest, friend = await opened(imap, "lrw", 2)
    (told,) = await guest.ok("FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]")
    assert "Subject: message 1" in told
    assert "FLAGS" not in told
    assert await owner.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]
    await owner.ok(f"SETACL Work {friend.person.name} +s")
    await until(guest, "FETCH 2 BODY[TEXT]", "OK")
    async with asyncio.timeout(20):
        while (await owner.ok("FETCH 2 FLAGS"))[-1] != "* 2 FETCH (FLAGS (\\Seen))":
            await guest.ok("FETCH 2 BODY[TEXT]")


async def test_expunge_and_close(imap: Imap) -> None:
    owner, guest, friend = await opened(imap, "lrt", 3)
    await guest.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await guest.no("EXPUNGE", "NO [NOPERM] ...")
    await guest.no("UID EXPUNGE 1", "NO [NOPERM] ...")
    await guest.ok("CLOSE")
    await owner.ok("NOOP")
    assert await owner.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Deleted))"]
    await owner.ok(f"SETACL Work {friend.person.name} lre")
    await guest.ok(f"SELECT {shared(imap)}")
    assert await guest.ok("EXPUNGE") == ["* 1 EXPUNGE"]
    await owner.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await until(guest, "NOOP", "OK")
    await guest.ok(f"SELECT {shared(imap)}")
    await guest.ok("CLOSE")
    assert "* 2 EXPUNGE" in [*(await owner.ok("NOOP")), *(await owner.ok("NOOP"))]


async def test_append_sets_the_flags_that_it_may(imap: Imap) -> None:
    """Section 4, APPEND."""
    friend = await somebody(imap)
    owner = await share(imap, friend, "i")
    guest = await friend.login()
    flags = "(\\Seen \\Deleted \\Flagged $Todo)"
    for rights in ("i", "is", "it", "iw", "istw"):
        await owner.ok(f"SETACL Work {friend.person.name} {rights}")
        await guest.append(shared(imap), small(1), flags)
    await owner.ok("SELECT Work")
    assert await owner.ok("FETCH 1:* FLAGS") == [
        "* 1 FETCH (FLAGS ())",
        "* 2 FETCH (FLAGS (\\Seen))",
        "* 3 FETCH (FLAGS (\\Deleted))",
        "* 4 FETCH (FLAGS (\\Flagged $Todo))",
        "* 5 FETCH (FLAGS (\\Flagged \\Deleted \\Seen $Todo))",
    ]


async def test_append_where_one_may_not(imap: Imap) -> None:
    friend = await somebody(imap)
    owner = await share(imap, friend, "lrswte")
    guest = await friend.login()
    large = b"x" * (2 * 1024 * 1024)
    for message in (small(1), large):
        await guest.send(f"a APPEND {shared(imap)} {{{len(message)}+}}\r\n".encode())
        await guest.send(message + b"\r\n")
        assert (await guest.finish("a"))[1].startswith("NO [NOPERM] ")
        await guest.send(f"b APPEND {shared(imap, 'None')} {{{len(message)}+}}\r\n".encode())
        await guest.send(message + b"\r\n")
        assert (await guest.finish("b"))[1].startswith("NO [TRYCREATE] ")
    await guest.send(f"c APPEND {shared(imap)} {{{len(large)}}}\r\n".encode())
    await guest.expect("c NO [NOPERM] ...")
    await owner.ok(f"SETACL Work {friend.person.name} i")
    await guest.append(shared(imap), large)


async def test_copies_and_moves(imap: Imap) -> None:
    """Section 4, COPY; RFC 6851 section 4.4 for MOVE."""
    owner, guest, friend = await opened(imap, "lr", 3)
    you = friend.person.name
    await owner.ok("STORE 1 +FLAGS.SILENT (\\Seen \\Flagged)")
    await owner.ok("CREATE Drop")
    await guest.ok("NOOP")
    # Out of somebody else's.
    assert "COPYUID" in (await guest.transact("COPY 1:2 INBOX"))[1]
    await guest.no("MOVE 1 INBOX", "NO [NOPERM] ...")
    await guest.no(f"COPY 1 {shared(imap)}", "NO [NOPERM] ...")
    await guest.no(f"COPY 1 {shared(imap, 'Drop')}", "NO [TRYCREATE] ...")
    # Into it, and from one of another's mailboxes into another.
    await owner.ok(f"SETACL Drop {you} is")
    await guest.ok(f"COPY 1:2 {shared(imap, 'Drop')}")
    await owner.ok(f"SETACL Work {you} +te")
    told, done = await guest.transact(f"UID MOVE 3 {shared(imap, 'Drop')}")
    assert done.startswith("OK")
    assert told[0].startswith("* OK [COPYUID ")
    assert told[1:] == ["* 3 EXPUNGE"]
    told, done = await guest.transact("MOVE 2 Archive")
    assert told[0].startswith("* OK [COPYUID ")
    assert told[1:] == ["* 2 EXPUNGE"]
    await guest.ok("SELECT Archive")
    assert await guest.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]") == [
        "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {22}\r\nSubject: message 2\r\n\r\n)"
    ]
    await guest.ok(f"MOVE 1 {shared(imap, 'Drop')}")
    await owner.ok("SELECT Drop")
    assert await owner.ok("FETCH 1:* (FLAGS)") == [
        "* 1 FETCH (FLAGS (\\Seen))",
        "* 2 FETCH (FLAGS ())",
        "* 3 FETCH (FLAGS ())",
        "* 4 FETCH (FLAGS ())",
    ]


async def test_replace_in_somebody_elses(imap: Imap) -> None:
    """RFC 8508: in one account alone, as it is one step."""
    _, guest, _ = await opened(imap, "lrite", 2)
    message = small(9)
    await guest.send(f"a REPLACE 1 {shared(imap)} {{{len(message)}+}}\r\n".encode() + message)
    await guest.send(b"\r\n")
    told, done = await guest.finish("a")
    assert done.startswith("OK")
    # The stream of changes, which tells both at once, may be quicker than the answer.
    assert [line for line in told if line.endswith(("EXISTS", "EXPUNGE"))] in (
        ["* 3 EXISTS", "* 1 EXPUNGE"],
        ["* 1 EXPUNGE", "* 2 EXISTS"],
    )
    await guest.send(f"b REPLACE 1 INBOX {{{len(message)}+}}\r\n".encode() + message + b"\r\n")
    assert (await guest.finish("b"))[1].startswith("NO [CANNOT]")


async def test_catenate_reads_what_one_may_read(imap: Imap) -> None:
    """RFC 4469: a URL relative to the selected mailbox, and an absolute path."""
    owner, guest, friend = await opened(imap, "lr", 1)
    path = f"/Other%20Users/{imap.person.name.replace('@', '%40')}/Work/;UID=1"
    for url in (";UID=1", path):
        await guest.ok(f'APPEND INBOX CATENATE (URL "{url}")')
    await owner.ok(f"SETACL Work {friend.person.name} -r")
    other = await friend.login()
    await other.no(f'APPEND INBOX CATENATE (URL "{path}")', "NO [BADURL ...")


async def test_searches(imap: Imap) -> None:
    """RFC 5256, RFC 7377: a mailbox that is selected is searched, whosever it is."""
    _, guest, _ = await opened(imap, "lr", 2)
    await guest.append("INBOX", small(1))
    assert await guest.ok("SEARCH BODY number") == ["* SEARCH 1 2"]
    assert await guest.ok("SORT (REVERSE SUBJECT) UTF-8 ALL") == ["* SORT 2 1"]
    assert await guest.ok("THREAD REFERENCES UTF-8 ALL") == ["* THREAD (1)(2)"]
    whole = f"Other Users/{imap.person.name}/Work"
    (told,) = await guest.ok("ESEARCH IN (selected) RETURN (ALL) SUBJECT message")
    assert f'(MAILBOX "{whole}" UIDVALIDITY' not in told or told.endswith("UID ALL 1:2")
    assert whole in told
    told, own = await guest.ok("ESEARCH IN (selected personal) RETURN (ALL) SUBJECT message")
    assert whole in told
    assert told.endswith("UID ALL 1:2")
    assert "MAILBOX INBOX" in own or 'MAILBOX "INBOX"' in own
    assert await guest.ok(f'ESEARCH IN (mailboxes "{whole}") RETURN (ALL) ALL') == []


async def test_urls_are_the_owners_to_give(imap: Imap) -> None:
    """RFC 4467: whoever may read a message doesn't say who else may."""
    _, guest, friend = await opened(imap, EVERYTHING, 1)
    path = f"Other%20Users/{imap.person.name.replace('@', '%40')}/Work"
    user = friend.person.name.replace("@", "%40")
    await guest.bad(
        f'GENURLAUTH "imap://{user}@localhost/{path}/;UID=1;URLAUTH=anonymous" INTERNAL'
    )
    await guest.no(f"RESETKEY {shared(imap)}", "NO [NONEXISTENT] ...")
    assert not [line for line in await guest.ok(f"SELECT {shared(imap)}") if "URLMECH" in line]


# The tree.


async def test_create_delete_rename(imap: Imap) -> None:
    """Section 4: "k" on what is above, "x" on what goes; what is made inherits."""
    friend = await somebody(imap)
    owner = await share(imap, friend, "lrk")
    guest = await friend.login()
    you = friend.person.name
    await guest.ok(f"CREATE {shared(imap, 'Work/a/b')}")
    (line,) = await owner.ok("GETACL Work/a")
    assert line == f"* ACL Work/a {imap.person.name} {EVERYTHING} {you} lrkc"
    await guest.no(f"CREATE {shared(imap, 'Elsewhere')}", "NO [NOPERM] ...")
    await guest.no(f"DELETE {shared(imap, 'Work/a/b')}", "NO [NOPERM] ...")
    await guest.no(f"RENAME {shared(imap, 'Work/a')} {shared(imap, 'Work/c')}", "NO [NOPERM] ...")
    await owner.ok(f"SETACL Work/a {you} lrx")
    await guest.ok(f"RENAME {shared(imap, 'Work/a')} {shared(imap, 'Work/c')}")
    await guest.no(f"RENAME {shared(imap, 'Work/c')} {shared(imap, 'Up')}", "NO [NOPERM] ...")
    await guest.no(f"RENAME {shared(imap, 'Work/c')} Mine", "NO [CANNOT] ...")
    await guest.no(f"RENAME INBOX {shared(imap, 'Work/c/in')}", "NO [CANNOT] ...")
    await owner.ok(f"SETACL Work/c/b {you} x")
    await guest.ok(f"DELETE {shared(imap, 'Work/c/b')}")
    assert await listed(guest, '"" "*"') == [
        f'* LIST (\\HasChildren) "/" {shared(imap)}',
        f'* LIST (\\HasNoChildren) "/" {shared(imap, "Work/c")}',
    ]
    for name in ('"Other Users"', '"Other Users/x"', shared(friend, "x")):
        await guest.no(f"CREATE {name}")
    await guest.no('RENAME Sent "Other Users/x"')


async def test_metadata(imap: Imap) -> None:
    """RFC 5464 section 3.3."""
    friend = await somebody(imap)
    owner = await share(imap, friend, "lr")
    guest, name = await friend.login(), shared(imap)
    await guest.ok(f'SETMETADATA {name} (/private/comment "mine")')
    await guest.no(f'SETMETADATA {name} (/shared/comment "ours")', "NO [NOPERM] ...")
    await owner.ok('SETMETADATA Work (/shared/comment "ours" /private/comment "the owner\'s")')
    assert await guest.ok(f"GETMETADATA {name} (/shared/comment /private/comment)") == [
        f'* METADATA {name} (/private/comment "mine" /shared/comment "ours")'
    ]
    told = await listed(guest, '"" "Other*" RETURN (METADATA (/shared/comment))')
    assert told[1] == f'* METADATA {name} (/shared/comment "ours")'
    await owner.ok(f"SETACL Work {friend.person.name} l")
    await guest.no(f"GETMETADATA {name} /shared/comment", "NO [NOPERM] ...")
    assert len(await listed(guest, '"" "Other*" RETURN (METADATA (/shared/comment))')) == 1


# Quota.


async def test_what_the_owner_may_keep_counts(imap: Imap, alone: FrontAlone) -> None:
    friend = await somebody(imap)
    change = account_pb2.UpdateAccountRequest(
        address=imap.person.name,
        quota_bytes=2 * len(small(1)),
        quota_mailboxes=8,
    )
    await alone.owners.accounts.UpdateAccount(change)
    await share(imap, friend, "lrik")
    guest = await friend.login()
    name = shared(imap)
    await guest.append(name, small(1))
    await guest.append(name, small(2))
    await guest.send(f"a APPEND {name} {{1+}}\r\nx\r\n".encode())
    assert (await guest.finish("a"))[1].startswith("NO [OVERQUOTA]")
    await guest.append("INBOX", small(3))
    await guest.ok("SELECT INBOX")
    await guest.no(f"COPY 1 {name}", "NO [OVERQUOTA] ...")
    await guest.ok(f"CREATE {shared(imap, 'Work/a')}")
    await guest.no(f"CREATE {shared(imap, 'Work/b')}", "NO [OVERQUOTA] ...")


async def test_quota_roots(imap: Imap) -> None:
    """RFC 9208: the root is the owner's; what the owner keeps is no guest's business."""
    friend = await somebody(imap)
    await share(imap, friend, "l")
    guest = await friend.login()
    root = imap.person.name
    assert await guest.ok(f"GETQUOTAROOT {shared(imap)}") == [f"* QUOTAROOT {shared(imap)} {root}"]
    for mailbox in ("Sent", "None"):
        await guest.no(f"GETQUOTAROOT {shared(imap, mailbox)}", "NO [NONEXISTENT] ...")
    await guest.no(f"GETQUOTA {root}", "NO [NONEXISTENT] ...")


# Several sessions.


async def test_what_one_does_all_are_told(imap: Imap) -> None:
    owner, guest, _ = await opened(imap, "lrswite")
    other = await somebody(imap)
    await owner.ok(f"SETACL Work {other.person.name} lr")
    third = await other.login()
    await third.ok(f"SELECT {shared(imap)}")
    for client in (owner, third):
        await client.send(b"i IDLE\r\n")
        await client.expect("+ idling")
    await guest.ok("STORE 1 +FLAGS.SILENT (\\Flagged $Todo)")
    for client in (owner, third):
        await client.expect("* FLAGS (...$Todo)", "* 1 FETCH (FLAGS (\\Flagged...$Todo))")
    await guest.append(shared(imap), small(3))
    for client in (owner, third):
        await client.expect("* 3 EXISTS")
    await guest.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await guest.ok("EXPUNGE")


async def test_the_right_to_read_goes_between_two_commands(imap: Imap) -> None:
    owner, guest, friend = await opened(imap, "lrs")
    await guest.ok("FETCH 1 BODY.PEEK[]")
    await owner.ok(f"SETACL Work {friend.person.name} -r")
    async with asyncio.timeout(20):
        while True:
            await guest.send(b"n FETCH 1:* (FLAGS BODY.PEEK[])\r\n")
            heard = (await guest.hear()).decode()
            if heard == ENDED:
                break
            while not heard.startswith("n "):
                heard = (await guest.hear()).decode()
    await guest.expect_end()
    assert await owner.ok("NOOP") == []


async def test_the_right_to_read_goes_while_somebody_idles(imap: Imap) -> None:
    owner, guest, friend = await opened(imap, "lrs")
    await guest.send(b"i IDLE\r\n")
    await guest.expect("+ idling")
    await owner.ok(f"DELETEACL Work {friend.person.name}")
    await owner.append("Work", small(3))
    await guest.expect(ENDED)
    await guest.expect_end()
    await owner.ok("NOOP")
    assert await owner.ok("FETCH 3 UID") == ["* 3 FETCH (UID 3)"]


async def test_the_right_to_read_goes_from_one_of_several(imap: Imap) -> None:
    """The first of them is whose ticket the mailbox is followed with."""
    friends = [await somebody(imap) for _ in range(3)]
    owner = await share(imap, friends[0], "lr")
    for friend in friends[1:]:
        await owner.ok(f"SETACL Work {friend.person.name} lr")
    guests = []
    for friend in friends:
        guests.append(await friend.login())
        await guests[-1].ok(f"SELECT {shared(imap)}")
        await guests[-1].send(b"i IDLE\r\n")
        await guests[-1].expect("+ idling")
    await owner.append("Work", small(1))
    for guest in guests:
        await hear(guest, "* 1 EXISTS")
    await owner.ok(f"SETACL Work {friends[0].person.name} l")
    await hear(guests[0], ENDED)
    await owner.append("Work", small(2))
    for guest in guests[1:]:
        await hear(guest, "* 2 EXISTS")
    await owner.ok(f"SETACL Work {friends[2].person.name} +s")
    await owner.ok(f"SETACL Work {friends[1].person.name} s")
    await owner.append("Work", small(3))
    await hear(guests[1], ENDED)
    await hear(guests[2], "* 3 EXISTS")


async def test_the_owner_goes_on_when_a_guest_who_came_first_may_not(imap: Imap) -> None:
    friend = await somebody(imap)
    owner = await share(imap, friend, "lr")
    guest = await friend.login()
    await guest.ok(f"SELECT {shared(imap)}")
    idle = await imap.select("Work")
    await idle.send(b"i IDLE\r\n")
    await idle.expect("+ idling")
    await owner.ok(f"DELETEACL Work {friend.person.name}")
    await owner.append("Work", small(1))
    await idle.expect("* 1 EXISTS", "* 1 RECENT")
    await owner.append("Work", small(2))
    await idle.expect("* 2 EXISTS", "* 2 RECENT")


async def test_other_rights_change_meanwhile(imap: Imap) -> None:
    owner, guest, friend = await opened(imap, "lr", 1)
    await guest.no("STORE 1 +FLAGS (\\Seen)", "NO [NOPERM] ...")
    await owner.ok(f"SETACL Work {friend.person.name} +s")
    await guest.ok("STORE 1 +FLAGS (\\Seen)")
    await owner.ok(f"SETACL Work {friend.person.name} -s")
    await guest.no("STORE 1 -FLAGS (\\Seen)", "NO [NOPERM] ...")
    assert await guest.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS (\\Seen))"]


async def test_a_mailbox_that_is_deleted_by_its_owner(imap: Imap) -> None:
    owner, guest, _ = await opened(imap, "lr", 1)
    await guest.send(b"i IDLE\r\n")
    await guest.expect("+ idling")
    await owner.ok("DELETE Work")
    while (heard := await guest.hear()) == b"* 1 EXPUNGE":
        pass  # its messages went first, or at once
    assert heard == b"* BYE The selected mailbox was deleted"


async def test_a_mailbox_that_is_renamed_by_its_owner(imap: Imap) -> None:
    owner, guest, _ = await opened(imap, "lrs", 1)
    await owner.ok("RENAME Work Play")
    await guest.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await owner.append("Play", small(2))
    await until_told(guest, "* 2 EXISTS")
    other = shared(imap, "Play")
    assert await guest.ok(f"STATUS {other} (MESSAGES)") == [f"* STATUS {other} (MESSAGES 2)"]


async def test_notify_of_the_selected_mailbox(imap: Imap) -> None:
    """RFC 5465; what others share is otherwise not watched."""
    owner, guest, friend = await opened(imap, "lr", 1)
    await guest.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
    await owner.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await guest.expect("* 1 FETCH (FLAGS (\\Flagged...))")
    await owner.ok(f"SETACL Work {friend.person.name} -r")
    await guest.expect(ENDED)
    await guest.expect_end()


# What it costs, and trouble.


async def test_calls(imap: Imap, alone: FrontAlone) -> None:
    """One a command, none where what is asked is known here."""
    _, guest, friend = await opened(imap, "lrswitekx", 3)
    name = shared(imap)
    free = ("NOOP", "FETCH 1:* FLAGS", "SEARCH UNSEEN", f"STATUS {name} (MESSAGES)")
    one = (
        "STORE 1 +FLAGS (\\Flagged)",
        "FETCH 1 ENVELOPE",
        "SEARCH SUBJECT message",
        f"COPY 1 {name}",
        "COPY 1 INBOX",
        "EXPUNGE",
        'LIST "" "*" RETURN (MYRIGHTS STATUS (MESSAGES))',
        f"CREATE {shared(imap, 'Work/new')}",
        f"MYRIGHTS {name}",
    )
    for calls, commands in enumerate((free, one)):
        for command in commands:
            alone.calls.clear()
            await guest.ok(command)
            made = alone.calls.made
            # Who the owner is, the directory's port remembers: most often it costs no call.
            assert made.total() - made["account"] == calls, (command, made)
    alone.calls.clear()
    other = await friend.login()
    await other.ok(f"SELECT {name}")
    assert not alone.calls.made["open"]


async def test_rights_that_can_not_be_asked(imap: Imap, alone: FrontAlone) -> None:
    """Nothing is told until they are certain."""
    owner, guest, friend = await opened(imap, "lrs", 1)
    await guest.ok("NOOP")
    alone.calls.faults["rights"] = [PostroomError(Kind.UNAVAILABLE, "away")]
    await owner.ok(f"SETACL Work {friend.person.name} lr")
    await until(guest, "NOOP", "NO [UNAVAILABLE]")
    assert await guest.ok("FETCH 1 FLAGS")


async def test_a_directory_that_can_not_be_asked(imap: Imap, alone: FrontAlone) -> None:
    owner, guest, friend = await opened(imap, "lri", 1)
    alone.calls.faults["account"] = [PostroomError(Kind.UNAVAILABLE, "away")] * 2
    await guest.no(f"COPY 1 {shared(imap)}", "NO [UNAVAILABLE] ...")
    await owner.no(f"SETACL Work {friend.person.name} lr", "NO [UNAVAILABLE] ...")
    await guest.ok(f"COPY 1 {shared(imap)}")


async def test_a_stream_that_breaks(imap: Imap, alone: FrontAlone) -> None:
    """What happened meanwhile to the rights is found out, too."""
    owner, guest, friend = await opened(imap, "lrs", 1)
    other = await somebody(imap)
    await owner.ok(f"SETACL Work {other.person.name} lr")
    third = await other.login()
    await third.ok(f"SELECT {shared(imap)}")
    alone.changes.lose()
    await owner.ok(f"DELETEACL Work {friend.person.name}")
    await owner.append("Work", small(2))
    await until_told(third, "* 2 EXISTS")
    await guest.send(b"n NOOP\r\n")
    await guest.expect(ENDED)


async def test_what_comes_after_is_never_seen(imap: Imap, alone: FrontAlone) -> None:
    """The owner's session is at the same front, which knows what it has done by its answers."""
    owner, guest, friend = await opened(imap, "lrs", 1)
    alone.changes.hold()
    await owner.ok(f"SETACL Work {friend.person.name} -r")
    await owner.append("Work", small(2))
    assert await guest.ok("NOOP") == []
    await guest.bad("FETCH 2 (FLAGS)")
    await alone.changes.held(1)
    alone.changes.tell()
    await guest.send(b"n NOOP\r\n")
    await guest.expect(ENDED)
    await guest.expect_end()
    assert await owner.ok("NOOP") == ["* 2 EXISTS", "* 1 RECENT"]


async def test_what_one_did_is_told_though_rights_changed(imap: Imap, alone: FrontAlone) -> None:
    """A client that follows modseqs takes none from beyond what it was told."""
    owner, guest, friend = await opened(imap, "lrte", 2)
    await guest.ok("ENABLE QRESYNC")
    await guest.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await owner.ok(f"SETACL Work {friend.person.name} +s")
    told, done = await guest.transact("EXPUNGE")
    assert told[-1] == "* VANISHED 1"
    assert done.startswith("OK [HIGHESTMODSEQ ")
    await guest.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    alone.calls.clear()
    alone.calls.faults["rights"] = [PostroomError(Kind.UNAVAILABLE, "away")]
    alone.changes.hold()
    await owner.ok(f"SETACL Work {friend.person.name} -s")
    tag = await guest.start("EXPUNGE")
    await alone.calls.answered("expunge", 1)
    await alone.changes.held(1)
    alone.changes.tell()
    assert await guest.finish(tag) == ([], "OK EXPUNGE completed")
    assert await guest.ok("NOOP") == ["* VANISHED 2"]
