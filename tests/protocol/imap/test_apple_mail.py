"""What Apple Mail says, on the Mac and on phones."""

from __future__ import annotations

import base64
import re

import pytest

from tests.protocol.imap.client import ImapClient, matches
from tests.protocol.imap.system import Imap, small
from tests.protocol.imap.test_condstore import modseq_of
from tests.protocol.imap.test_thunderbird import ATTACHED, WITH_ATTACHMENT, parts_of

ID = (
    'ID ("name" "Mac OS X Mail" "version" "16.0 (3774.600.62)" "os" "Mac OS X" '
    '"os-version" "14.6.1 (23G93)" "vendor" "Apple Inc.")'
)
FIELDS = (
    "date subject from to cc message-id in-reply-to references content-type x-priority "
    "x-uniform-type-identifier x-universally-unique-identifier list-id list-unsubscribe "
    "bimi-indicator bimi-location x-bimi-indicator-hash authentication-results dkim-signature"
)
SUMMARY = f"INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({FIELDS})]"
STATUS = "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"


async def begin(imap: Imap) -> ImapClient:
    """Everything up to the first mailbox."""
    client = await imap.connect()
    await client.ok("CAPABILITY")
    initial = base64.b64encode(f"\0{imap.person.name}\0{imap.person.password}".encode()).decode()
    await client.ok(f"AUTHENTICATE PLAIN {initial}")
    await client.ok("CAPABILITY")
    await client.ok(ID)
    await client.ok("ENABLE CONDSTORE")
    return client


def without_modseqs(told: list[str]) -> list[str]:
    return [re.sub(r"MODSEQ \(\d+\)", "MODSEQ", line) for line in told]


async def test_it_finds_its_way(imap: Imap) -> None:
    client = await imap.connect()
    (told,) = await client.ok("CAPABILITY")
    assert {"AUTH=PLAIN", "SASL-IR", "ID"} <= set(told.split())
    initial = base64.b64encode(f"\0{imap.person.name}\0{imap.person.password}".encode()).decode()
    _, done = await client.transact(f"AUTHENTICATE PLAIN {initial}")
    assert matches(done, "OK [CAPABILITY ...] ...")
    (told,) = await client.ok("CAPABILITY")
    wanted = {"CONDSTORE", "ENABLE", "ESEARCH", "IDLE", "LIST-STATUS", "MOVE", "NAMESPACE"}
    wanted |= {"QRESYNC", "SPECIAL-USE", "UIDPLUS"}
    assert wanted <= set(told.split())
    (told,) = await client.ok(ID)
    assert matches(told, '* ID ("name" "Postroom"...)')
    assert await client.ok("ENABLE CONDSTORE") == ["* ENABLED CONDSTORE"]
    assert await client.ok("NAMESPACE") == ['* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']
    assert await client.ok('LIST "" ""') == ['* LIST (\\Noselect) "/" ""']
    listed = [
        '* LIST (\\HasNoChildren \\Archive) "/" Archive',
        '* LIST (\\HasNoChildren \\Drafts) "/" Drafts',
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasNoChildren \\Junk) "/" Junk',
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        '* LIST (\\HasNoChildren \\Trash) "/" Trash',
    ]
    assert await client.ok('LIST "" "*"') == listed
    assert await client.ok('LIST (SPECIAL-USE) "" "*"') == listed[:2] + listed[3:]
    assert len(await client.ok('LSUB "" "*"')) == len(listed)


async def test_by_login_and_literals(imap: Imap) -> None:
    client = await imap.connect()
    name, password = imap.person.name.encode(), imap.person.password.encode()
    await client.send(b"1.1 LOGIN {%d}\r\n" % len(name))
    await client.expect("+ ...")
    await client.send(name + b" {%d}\r\n" % len(password))
    await client.expect("+ ...")
    await client.send(password + b"\r\n")
    await client.expect("1.1 OK [CAPABILITY ...] ...")


@pytest.mark.parametrize(
    "command",
    [
        "XAPPLEPUSHSERVICE aps-version 2 aps-account-id 0715A26B aps-device-token 2918390218931890",
        'XLIST "" "*"',
        'XAPPLELITERAL "x"',
    ],
)
async def test_apples_own_commands_are_not_there(imap: Imap, command: str) -> None:
    """None is offered, so that none is used; whoever tries hears BAD and goes on."""
    client = await begin(imap)
    (told,) = await client.ok("CAPABILITY")
    assert not [name for name in told.split() if name.startswith("X")]
    await client.bad(command)
    await client.ok("NOOP")


async def test_it_counts_all_mailboxes_first(imap: Imap) -> None:
    await imap.select(messages=3)
    client = await begin(imap)
    for name, messages in (("INBOX", 3), ("Sent", 0), ("Trash", 0)):
        (told,) = await client.ok(f"STATUS {name} {STATUS}")
        assert matches(
            told,
            f"* STATUS {name} (MESSAGES {messages} UIDNEXT {messages + 1} UIDVALIDITY ... "
            f"UNSEEN {messages} HIGHESTMODSEQ ...)",
        )
    told = await client.ok(f'LIST "" "*" RETURN (STATUS {STATUS})')
    assert [line.split()[1] for line in told] == ["LIST", "STATUS"] * 6


async def test_status_tells_whether_there_is_anything_new(imap: Imap) -> None:
    other = await imap.select(messages=1)
    client = await begin(imap)
    before = modseq_of(await client.ok(f"STATUS INBOX {STATUS}"))
    assert modseq_of(await client.ok(f"STATUS INBOX {STATUS}")) == before
    await other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    assert modseq_of(await client.ok(f"STATUS INBOX {STATUS}")) > before
    # What SELECT and the messages themselves tell is the same.
    now = modseq_of(await client.ok(f"STATUS INBOX {STATUS}"))
    assert modseq_of(await client.ok("SELECT INBOX")) == now
    assert modseq_of(await client.ok("UID FETCH 1 (MODSEQ)")) == now


async def test_a_mailbox_is_opened(imap: Imap) -> None:
    await imap.select(messages=3)
    client = await begin(imap)
    told = await client.ok("SELECT INBOX (CONDSTORE)")
    assert "* 3 EXISTS" in told
    assert modseq_of(told)
    told = await client.ok("FETCH 1:3 (FLAGS UID MODSEQ)")
    assert without_modseqs(told) == [
        "* 1 FETCH (UID 1 FLAGS () MODSEQ)",
        "* 2 FETCH (UID 2 FLAGS () MODSEQ)",
        "* 3 FETCH (UID 3 FLAGS () MODSEQ)",
    ]
    told = await client.ok(f"UID FETCH 1,3 ({SUMMARY} MODSEQ)")
    assert [line.split(" (")[0] for line in told] == ["* 1 FETCH", "* 3 FETCH"]
    for line, number in zip(told, (1, 3), strict=True):
        message = small(number).decode()
        assert f"UID {number} " in line
        assert f"RFC822.SIZE {len(message)} " in line
        assert re.search(r'INTERNALDATE "[ \d]\d-\w{3}-\d{4} [\d:]{8} [+-]\d{4}"', line)
        assert re.search(r"MODSEQ \(\d+\)", line)
        assert f"BODY[HEADER.FIELDS ({FIELDS})] " in line
        # In the message's own order, and as it spells them.
        assert parts_of(line) == [message.partition("\r\n\r\n")[0] + "\r\n\r\n"]


async def test_header_fields_it_asks_for_and_no_others(imap: Imap) -> None:
    client = await begin(imap)
    head = (
        "List-Id: <list.example.org>\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc\r\n"
        "X-Other: left out\r\n"
        "SUBJECT: a\r\n"
        "Content-type: text/plain\r\n"
    )
    await client.append("INBOX", f"{head}\r\ntext\r\n".encode())
    await client.ok("SELECT INBOX")
    (told,) = await client.ok(f"UID FETCH 1 ({SUMMARY})")
    assert parts_of(told) == [head.replace("X-Other: left out\r\n", "") + "\r\n"]


async def test_a_message_is_read(imap: Imap) -> None:
    client = await begin(imap)
    await client.append("INBOX", WITH_ATTACHMENT)
    await client.ok("SELECT INBOX")
    (told,) = await client.ok("UID FETCH 1 (BODYSTRUCTURE BODY.PEEK[HEADER])")
    assert matches(told, '* 1 FETCH (UID 1 BODYSTRUCTURE ((... "mixed" ...) BODY[HEADER] {...')
    assert parts_of(told) == [WITH_ATTACHMENT.decode().partition("\r\n\r\n")[0] + "\r\n\r\n"]
    (told,) = await client.ok("UID FETCH 1 BODY.PEEK[1]<0.16384>")
    assert told == "* 1 FETCH (UID 1 BODY[1]<0> {9}\r\nsee below)"
    heard, start = "", 0
    while True:
        (told,) = await client.ok(f"UID FETCH 1 BODY.PEEK[2]<{start}.16384>")
        assert told.startswith(f"* 1 FETCH (UID 1 BODY[2]<{start}> ")
        (part,) = parts_of(told)
        heard, start = heard + part, start + len(part)
        if len(part) < 16_384:
            break
    assert heard == ATTACHED.decode()
    (told,) = await client.ok("UID FETCH 1 (BODY.PEEK[2.MIME])")
    assert 'filename="a.pdf"' in parts_of(told)[0]
    (told,) = await client.ok("UID FETCH 1 BODY.PEEK[]")
    assert parts_of(told) == [WITH_ATTACHMENT.decode()]
    # Nothing of this has marked it as read.
    (told,) = await client.ok("UID FETCH 1 (FLAGS)")
    assert "\\Seen" not in told
    (told,) = await client.ok("UID STORE 1 +FLAGS.SILENT (\\Seen)")
    assert matches(told, "* 1 FETCH (UID 1 MODSEQ (...))")


async def test_several_parts_in_one_fetch(imap: Imap) -> None:
    client = await begin(imap)
    await client.append("INBOX", WITH_ATTACHMENT)
    await client.ok("SELECT INBOX")
    (told,) = await client.ok(
        "UID FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[1] BODY.PEEK[2]<0.100> BODY.PEEK[TEXT]<0.20>)"
    )
    whole = WITH_ATTACHMENT.decode()
    head, _, text = whole.partition("\r\n\r\n")
    assert parts_of(told) == [head + "\r\n\r\n", "see below", ATTACHED.decode()[:100], text[:20]]


async def test_flags_and_their_colours(imap: Imap) -> None:
    await imap.select(messages=2)
    client = await begin(imap)
    await client.ok("SELECT INBOX")
    told = await client.ok("UID STORE 1 +FLAGS.SILENT (\\Flagged $MailFlagBit0 $MailFlagBit2)")
    assert without_modseqs(told)[-1] == "* 1 FETCH (UID 1 MODSEQ)"
    told = await client.ok("UID STORE 2 +FLAGS.SILENT (JunkRecorded $NotJunk NotJunk)")
    assert without_modseqs(told)[-1] == "* 2 FETCH (UID 2 MODSEQ)"
    told = await client.ok("UID STORE 1 -FLAGS.SILENT ($MailFlagBit0)")
    assert without_modseqs(told) == ["* 1 FETCH (UID 1 MODSEQ)"]
    told = await client.ok("UID FETCH 1:* (FLAGS)")
    assert told == [
        "* 1 FETCH (UID 1 FLAGS (\\Flagged $MailFlagBit2))",
        "* 2 FETCH (UID 2 FLAGS (JunkRecorded $NotJunk NotJunk))",
    ]


async def test_it_searches(imap: Imap) -> None:
    await imap.select(messages=4)
    client = await begin(imap)
    seen = modseq_of(await client.ok("SELECT INBOX"))
    assert await client.ok("UID SEARCH 1:* NOT DELETED") == ["* SEARCH 1 2 3 4"]
    await client.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("UID SEARCH 1:* NOT DELETED") == ["* SEARCH 1 3 4"]
    assert await client.ok("UID SEARCH UID 3:* UNDELETED") == ["* SEARCH 3 4"]
    (told,) = await client.ok(f"UID SEARCH MODSEQ {seen + 1}")
    assert matches(told, "* SEARCH 2 (MODSEQ ...)")
    (told,) = await client.ok(f"UID SEARCH RETURN (ALL) MODSEQ {seen + 1}")
    assert matches(told, "* ESEARCH (TAG ...) UID ALL 2 MODSEQ ...")
    (told,) = await client.ok('UID SEARCH RETURN (MIN MAX COUNT) UNDELETED TEXT "hello"')
    assert matches(told, "* ESEARCH (TAG ...) UID MIN 1 MAX 4 COUNT 3")
    tag = await client.start("UID SEARCH CHARSET UTF-8 OR SUBJECT {9+}\r\nmessage 3 BODY {1+}\r\n4")
    assert (await client.finish(tag))[0] == ["* SEARCH 3 4"]


async def test_messages_go_to_other_mailboxes(imap: Imap) -> None:
    await imap.select(messages=4)
    client = await begin(imap)
    await client.ok("SELECT INBOX")
    await client.ok('CREATE "Deleted Messages"')
    await client.ok('SUBSCRIBE "Deleted Messages"')
    _, done = await client.transact('UID COPY 2 "Deleted Messages"')
    assert matches(done, "OK [COPYUID ... 2 1] ...")
    await client.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    told = await client.ok("UID EXPUNGE 2")
    assert told == ["* 2 EXPUNGE"]
    told = await client.ok('UID MOVE 1,4 "Archive"')
    assert matches(told[0], "* OK [COPYUID ... 1,4 1:2] ...")
    assert told[1:] == ["* 3 EXPUNGE", "* 1 EXPUNGE"]
    assert await client.ok("UID SEARCH ALL") == ["* SEARCH 3"]
    (told_status,) = await client.ok(f'STATUS "Deleted Messages" {STATUS}')
    assert matches(told_status, '* STATUS "Deleted Messages" (MESSAGES 1 UIDNEXT 2 ...')


async def test_a_sent_message_is_kept(imap: Imap) -> None:
    client = await begin(imap)
    message = small(1)
    await client.ok("SELECT Sent")
    await client.send(
        b'9.2 APPEND Sent (\\Seen $NotJunk NotJunk) "05-Nov-2024 10:11:12 +0100" {%d}\r\n'
        % len(message)
    )
    await client.expect("+ ...")
    await client.send(message + b"\r\n")
    while (heard := await client.hear()).startswith(b"* "):
        pass
    assert matches(heard.decode(), "9.2 OK [APPENDUID ... 1] ...")
    (told,) = await client.ok("UID FETCH 1 (INTERNALDATE FLAGS)")
    assert 'INTERNALDATE " 5-Nov-2024 09:11:12 +0000"' in told
    assert "FLAGS (\\Seen \\Recent $NotJunk NotJunk)" in told


async def test_it_idles(imap: Imap) -> None:
    other = await imap.select(messages=2)
    client = await begin(imap)
    await client.ok("SELECT INBOX")
    await client.send(b"12.2 IDLE\r\n")
    await client.expect("+ idling")
    await other.ok("UID STORE 1 +FLAGS.SILENT (\\Seen)")
    await client.expect("* 1 FETCH (UID 1 MODSEQ (...) FLAGS (\\Seen))")
    await other.append("INBOX", small(3))
    await client.expect("* 3 EXISTS", "* 1 RECENT")
    await other.ok("UID MOVE 2 Trash")
    await client.expect("* 2 EXPUNGE")
    await client.send(b"DONE\r\n")
    await client.expect("12.2 OK ...")
    told = await client.ok("FETCH 2 (FLAGS UID MODSEQ)")
    assert without_modseqs(told) == ["* 2 FETCH (UID 3 FLAGS (\\Recent) MODSEQ)"]


async def test_it_comes_back_by_modseqs(imap: Imap) -> None:
    other = await imap.select(messages=4)
    client = await begin(imap)
    seen = modseq_of(await client.ok("SELECT INBOX"))
    await client.ok("CLOSE")
    await client.ok("LOGOUT")
    await other.ok("UID STORE 2 +FLAGS.SILENT (\\Answered)")
    await other.ok("UID MOVE 3 Trash")
    client = await begin(imap)
    await client.ok("SELECT INBOX (CONDSTORE)")
    told = await client.ok(f"UID FETCH 1:4 (FLAGS UID) (CHANGEDSINCE {seen})")
    assert without_modseqs(told) == ["* 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ)"]
    # What is gone it finds by asking for what is there.
    (found,) = await client.ok("UID SEARCH RETURN (ALL) UID 1:4")
    assert matches(found, "* ESEARCH (TAG ...) UID ALL 1:2,4")


async def test_it_comes_back_by_qresync(imap: Imap) -> None:
    other = await imap.select(messages=4)
    client = await begin(imap)
    told = "\n".join(await client.ok("SELECT INBOX"))
    validity = re.search(r"UIDVALIDITY (\d+)", told)
    assert validity
    await client.ok("LOGOUT")
    await other.ok("UID STORE 2 +FLAGS.SILENT (\\Answered)")
    await other.ok("UID MOVE 3 Trash")
    client = await begin(imap)
    await client.ok("ENABLE QRESYNC")
    missed = await client.ok(f"SELECT INBOX (QRESYNC ({validity[1]} {modseq_of([told])} 1:4))")
    assert without_modseqs(missed)[-2:] == [
        "* VANISHED (EARLIER) 3",
        "* 2 FETCH (UID 2 FLAGS (\\Answered) MODSEQ)",
    ]
