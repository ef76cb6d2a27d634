"""What Thunderbird says, in the order and the case in which it says it."""

from __future__ import annotations

import base64
import re
import zlib

from tests.protocol.imap.client import ImapClient, matches
from tests.protocol.imap.system import Imap, small
from tests.protocol.imap.test_condstore import modseq_of

FIELDS = (
    "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups "
    "In-Reply-To Content-Type Reply-To"
)
HEADERS = f"(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({FIELDS})])"

ATTACHED = base64.encodebytes(bytes(range(256)) * 800).replace(b"\n", b"\r\n")
WITH_ATTACHMENT = (
    b"From: Ann <ann@example.org>\r\n"
    b"Subject: attached\r\n"
    b"X-Mailer: left out\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="------------b"\r\n'
    b"\r\n"
    b"--------------b\r\n"
    b"Content-Type: text/plain; charset=UTF-8\r\n"
    b"\r\n"
    b"see below\r\n"
    b"--------------b\r\n"
    b'Content-Type: application/pdf; name="a.pdf"\r\n'
    b'Content-Disposition: attachment; filename="a.pdf"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n" + ATTACHED + b"\r\n"
    b"--------------b--\r\n"
)


async def begin(imap: Imap) -> ImapClient:
    """Everything up to the first mailbox."""
    client = await imap.connect()
    initial = base64.b64encode(f"\0{imap.person.name}\0{imap.person.password}".encode())
    await client.send(b"1 authenticate PLAIN\r\n")
    await client.expect("+ ")
    await client.send(initial + b"\r\n")
    await client.expect("1 OK [CAPABILITY ...] ...")
    await client.ok('ID ("name" "Thunderbird" "version" "128.5.0esr")')
    await client.ok("ENABLE UTF8=ACCEPT")
    return client


def parts_of(response: str) -> list[str]:
    """The literals of a response."""
    literals, rest = [], response
    while found := re.search(r"\{(\d+)\}\r\n", rest):
        literals.append(rest[found.end() : found.end() + int(found[1])])
        rest = rest[found.end() + int(found[1]) :]
    return literals


async def test_it_finds_its_way(imap: Imap) -> None:
    client = await imap.connect()
    (told,) = await client.ok("capability")
    offered = set(told.split())
    assert {"AUTH=PLAIN", "ID", "SASL-IR", "STARTTLS"} <= offered
    await client.send(b"2 STARTTLS\r\n")
    await client.expect("2 OK ...")
    await client.start_tls(imap.system.tls)
    (told,) = await client.ok("capability")
    assert "STARTTLS" not in told
    initial = base64.b64encode(f"\0{imap.person.name}\0{imap.person.password}".encode())
    await client.send(b"4 authenticate PLAIN\r\n")
    await client.expect("+ ")
    await client.send(initial + b"\r\n")
    told = (await client.hear()).decode()
    assert matches(told, "4 OK [CAPABILITY ...] ...")
    wanted = {"COMPRESS=DEFLATE", "CONDSTORE", "IDLE", "LIST-EXTENDED", "MOVE", "NAMESPACE"}
    wanted |= {"QUOTA", "SPECIAL-USE", "UIDPLUS", "UTF8=ACCEPT"}
    assert wanted <= set(told.replace("]", " ").split())
    (told,) = await client.ok('ID ("name" "Thunderbird" "version" "128.5.0esr")')
    assert matches(told, '* ID ("name" "Postroom"...)')
    assert await client.ok("ENABLE UTF8=ACCEPT") == ["* ENABLED UTF8=ACCEPT"]
    assert await client.ok("namespace") == ['* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL']
    assert await client.ok('list (subscribed) "" "*" return (special-use)') == [
        '* LIST (\\HasNoChildren \\Subscribed \\Archive) "/" Archive',
        '* LIST (\\HasNoChildren \\Subscribed \\Drafts) "/" Drafts',
        '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        '* LIST (\\HasNoChildren \\Subscribed \\Junk) "/" Junk',
        '* LIST (\\HasNoChildren \\Subscribed \\Sent) "/" Sent',
        '* LIST (\\HasNoChildren \\Subscribed \\Trash) "/" Trash',
    ]
    assert await client.ok('list "" "INBOX"') == ['* LIST (\\HasNoChildren) "/" INBOX']


async def test_it_finds_its_way_as_it_did_before(imap: Imap) -> None:
    """Where it is told to use LOGIN and LSUB, or no LIST-EXTENDED was offered."""
    client = await imap.connect()
    await client.ok(f'login "{imap.person.name}" "{imap.person.password}"')
    listed = [f'"/" {name}' for name in ("Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash")]
    assert await client.ok('lsub "" "*"') == [f"* LSUB () {name}" for name in listed]
    told = await client.ok('list "" "*"')
    assert [line.partition(") ")[2] for line in told] == listed
    assert await client.ok('list "" "Sent/%"') == []
    assert await client.ok('list "" "%/%"') == []
    assert await client.ok('list "" ""') == ['* LIST (\\Noselect) "/" ""']


async def test_a_mailbox_is_opened(imap: Imap) -> None:
    await imap.select(messages=3)
    client = await begin(imap)
    await client.compress()
    told = await client.ok('select "INBOX" (CONDSTORE)')
    for pattern in (
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] ...",
        "* 3 EXISTS",
        "* 0 RECENT",
        "* OK [UIDVALIDITY ...] ...",
        "* OK [UIDNEXT 4] ...",
        "* OK [HIGHESTMODSEQ ...] ...",
    ):
        assert any(matches(line, pattern) for line in told), pattern
    root = imap.person.name
    told = await client.ok('getquotaroot "INBOX"')
    assert told[0] == f"* QUOTAROOT INBOX {root}"
    assert matches(told[1], f"* QUOTA {root} (...)")
    assert await client.ok("UID fetch 1:* (FLAGS)") == [
        "* 1 FETCH (UID 1 FLAGS ())",
        "* 2 FETCH (UID 2 FLAGS ())",
        "* 3 FETCH (UID 3 FLAGS ())",
    ]
    told = await client.ok(f"UID fetch 1:3 {HEADERS}")
    head = small(1).partition(b"\r\n\r\n")[0].decode() + "\r\n\r\n"
    assert told[0] == (
        f"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE {len(small(1))} "
        f"BODY[HEADER.FIELDS ({FIELDS})] {{{len(head)}}}\r\n{head})"
    )
    assert len(told) == 3


async def test_header_fields_in_another_case_and_order(imap: Imap) -> None:
    client = await begin(imap)
    await client.append("INBOX", WITH_ATTACHMENT)
    await client.ok('select "INBOX"')
    (told,) = await client.ok(f"UID fetch 1 {HEADERS}")
    assert parts_of(told) == [
        "From: Ann <ann@example.org>\r\nSubject: attached\r\n"
        'Content-Type: multipart/mixed; boundary="------------b"\r\n\r\n'
    ]


async def test_a_message_is_read(imap: Imap) -> None:
    client = await begin(imap)
    await client.append("INBOX", WITH_ATTACHMENT)
    await client.ok('select "INBOX"')
    (told,) = await client.ok("UID fetch 1 (UID RFC822.SIZE BODY.PEEK[])")
    assert told.startswith(f"* 1 FETCH (UID 1 RFC822.SIZE {len(WITH_ATTACHMENT)} BODY[] {{")
    assert parts_of(told) == [WITH_ATTACHMENT.decode()]
    (told,) = await client.ok("uid store 1 +Flags (\\Seen)")
    assert told == "* 1 FETCH (UID 1 FLAGS (\\Seen))"
    # The same with BODY[], by which it is seen at once.
    await client.ok("uid store 1 -Flags (\\Seen)")
    (told,) = await client.ok("UID fetch 1 (UID RFC822.SIZE BODY[])")
    assert "FLAGS (\\Seen)" in told
    assert parts_of(told) == [WITH_ATTACHMENT.decode()]


async def test_a_large_message_is_read_in_chunks(imap: Imap) -> None:
    client = await begin(imap)
    await client.append("INBOX", WITH_ATTACHMENT)
    await client.ok('select "INBOX"')
    size, chunk, heard = len(WITH_ATTACHMENT), 65_536, ""
    for start in range(0, size + 1, chunk):
        (told,) = await client.ok(f"UID fetch 1 (UID RFC822.SIZE BODY.PEEK[]<{start}.{chunk}>)")
        assert f" BODY[]<{start}> " in told
        heard += parts_of(told)[0]
    assert heard == WITH_ATTACHMENT.decode()
    (told,) = await client.ok(f"UID fetch 1 (UID RFC822.SIZE BODY.PEEK[]<{size}.{chunk}>)")
    assert told.endswith(f"BODY[]<{size}> {{0}}\r\n)")


async def test_a_message_is_read_without_its_attachment(imap: Imap) -> None:
    """With mime_parts_on_demand: by BODYSTRUCTURE, and each part with its own header."""
    client = await begin(imap)
    await client.append("INBOX", WITH_ATTACHMENT)
    await client.ok('select "INBOX"')
    (told,) = await client.ok("UID fetch 1 (BODYSTRUCTURE)")
    attachment = f'("application" "pdf" ("name" "a.pdf") NIL NIL "base64" {len(ATTACHED)} ...)'
    assert matches(
        told,
        '* 1 FETCH (UID 1 BODYSTRUCTURE (("text" "plain" ("charset" "UTF-8") NIL NIL "7bit" 9 ...)'
        f'{attachment} "mixed" ("boundary" "------------b") NIL NIL NIL))',
    ), told
    (told,) = await client.ok("UID fetch 1 (UID BODY.PEEK[HEADER] BODY.PEEK[1.MIME] BODY.PEEK[1])")
    assert parts_of(told) == [
        WITH_ATTACHMENT.decode().partition("\r\n\r\n")[0] + "\r\n\r\n",
        "Content-Type: text/plain; charset=UTF-8\r\n\r\n",
        "see below",
    ]
    (told,) = await client.ok("UID fetch 1 (UID BODY.PEEK[2.MIME] BODY.PEEK[2])")
    assert parts_of(told)[1] == ATTACHED.decode()


async def test_flags_labels_and_junk(imap: Imap) -> None:
    await imap.select(messages=3)
    client = await begin(imap)
    await client.ok('select "INBOX"')
    told = await client.ok("uid store 1:2 +FLAGS ($label1 NonJunk)")
    assert told[-2:] == [
        "* 1 FETCH (UID 1 FLAGS ($label1 NonJunk))",
        "* 2 FETCH (UID 2 FLAGS ($label1 NonJunk))",
    ]
    assert any("$label1 NonJunk" in line for line in told if line.startswith("* FLAGS "))
    await client.ok("uid store 1 +Flags (\\Answered)")
    await client.ok("uid store 3 +Flags ($Forwarded \\Flagged)")
    await client.ok("uid store 2 -FLAGS ($label1)")
    assert await client.ok("UID fetch 1:* (FLAGS)") == [
        "* 1 FETCH (UID 1 FLAGS (\\Answered $label1 NonJunk))",
        "* 2 FETCH (UID 2 FLAGS (NonJunk))",
        "* 3 FETCH (UID 3 FLAGS (\\Flagged $Forwarded))",
    ]


async def test_it_idles_and_looks(imap: Imap) -> None:
    other = await imap.select(messages=2)
    client = await begin(imap)
    await client.ok('select "INBOX" (CONDSTORE)')
    await client.ok("UID fetch 1:* (FLAGS)")
    await client.send(b"20 IDLE\r\n")
    await client.expect("+ idling")
    await other.append("INBOX", small(3))
    await client.expect("* 3 EXISTS", "* 1 RECENT")
    await client.send(b"DONE\r\n")
    await client.expect("20 OK ...")
    await client.ok("noop")
    assert await client.ok("UID fetch 3:* (FLAGS)") == ["* 3 FETCH (UID 3 FLAGS (\\Recent))"]
    (told_headers,) = await client.ok(f"UID fetch 3 {HEADERS}")
    assert "Subject: message 3\r\n" in told_headers
    await client.send(b"24 IDLE\r\n")
    await client.expect("+ idling")
    await other.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.expect("* 1 FETCH (UID 1 MODSEQ (...) FLAGS (\\Deleted))")
    await other.ok("EXPUNGE")
    await client.expect("* 1 EXPUNGE")
    await client.send(b"DONE\r\n")
    await client.expect("24 OK ...")
    # From the highest UID on: the last message answers, though there is none beyond.
    assert await client.ok("UID fetch 4:* (FLAGS)") == ["* 2 FETCH (UID 3 FLAGS (\\Recent))"]


async def test_it_comes_back(imap: Imap) -> None:
    other = await imap.select(messages=3)
    client = await begin(imap)
    seen = modseq_of(await client.ok('select "INBOX" (CONDSTORE)'))
    await client.ok("close")
    await client.ok("logout")
    await client.expect_end()
    await other.ok("UID STORE 2 +FLAGS.SILENT (\\Seen)")
    await other.append("INBOX", small(4))
    client = await begin(imap)
    now = modseq_of(await client.ok('select "INBOX" (CONDSTORE)'))
    assert now > seen
    told = await client.ok(f"UID fetch 1:* (FLAGS) (CHANGEDSINCE {seen})")
    assert [re.sub(r"MODSEQ \(\d+\)", "MODSEQ", line) for line in told] == [
        "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ)",
        "* 4 FETCH (UID 4 FLAGS () MODSEQ)",
    ]
    assert await client.ok(f"UID fetch 1:* (FLAGS) (CHANGEDSINCE {now})") == []


async def test_messages_are_copied_moved_and_deleted(imap: Imap) -> None:
    await imap.select(messages=5)
    client = await begin(imap)
    await client.ok('select "INBOX"')
    _, done = await client.transact('uid copy 1:2 "Archive"')
    assert matches(done, "OK [COPYUID ... 1:2 1:2] ...")
    told = await client.ok('uid move 3 "Trash"')
    assert matches(told[0], "* OK [COPYUID ... 3 1] ...")
    assert told[1] == "* 3 EXPUNGE"
    assert await client.ok("uid store 4 +FLAGS (\\Deleted \\Seen)") == [
        "* 3 FETCH (UID 4 FLAGS (\\Deleted \\Seen))"
    ]
    assert await client.ok("uid expunge 4") == ["* 3 EXPUNGE"]
    await client.ok("uid store 5 +FLAGS (\\Deleted)")
    assert await client.ok("expunge") == ["* 3 EXPUNGE"]
    assert await client.ok('STATUS "Trash" (UIDNEXT MESSAGES UNSEEN RECENT)') == [
        "* STATUS Trash (UIDNEXT 2 MESSAGES 1 UNSEEN 1 RECENT 0)"
    ]
    assert await client.ok('STATUS "Archive" (UIDNEXT MESSAGES UNSEEN RECENT)') == [
        "* STATUS Archive (UIDNEXT 3 MESSAGES 2 UNSEEN 2 RECENT 0)"
    ]


async def test_a_sent_message_is_kept(imap: Imap) -> None:
    client = await begin(imap)
    await client.ok('list "" "Sent"')
    await client.send(b'30 append "Sent" (\\Seen) {%d+}\r\n%b\r\n' % (len(small(1)), small(1)))
    await client.expect("30 OK [APPENDUID ... 1] ...")
    await client.ok('select "Sent"')
    # Where no UID was told, it looks for the message.
    assert await client.ok("UID SEARCH UNDELETED HEADER Message-ID 1@example.org") == ["* SEARCH 1"]
    assert await client.ok("UID fetch 1:* (FLAGS)") == ["* 1 FETCH (UID 1 FLAGS (\\Seen))"]
    # A draft replaces the one before.
    await client.send(b'33 append "Drafts" (\\Seen \\Draft) {%d}\r\n' % len(small(2)))
    await client.expect("+ ...")
    await client.send(small(2) + b"\r\n")
    await client.expect("33 OK [APPENDUID ... 1] ...")


async def test_it_searches(imap: Imap) -> None:
    client = await begin(imap)
    await client.append("INBOX", "Subject: Größe\r\n\r\nlang und breit\r\n".encode())
    await client.append("INBOX", small(2), "(\\Deleted)")
    await client.append("INBOX", small(3))
    await client.ok('select "INBOX"')
    assert await client.ok('UID SEARCH UNDELETED SUBJECT "message"') == ["* SEARCH 3"]
    assert await client.ok("UID SEARCH UNDELETED OR SUBJECT hello BODY hello") == ["* SEARCH 3"]
    assert await client.ok('SEARCH UNDELETED FROM "fred" SINCE 1-Jan-2000') == ["* SEARCH 3"]
    # With UTF8=ACCEPT no CHARSET may be named (RFC 9755 section 3), and none need be.
    assert await client.ok('UID SEARCH UNDELETED SUBJECT "größe"') == ["* SEARCH 1"]


async def test_folders_are_made_renamed_and_thrown_away(imap: Imap) -> None:
    client = await begin(imap)
    await client.ok('create "Projekte"')
    await client.ok('subscribe "Projekte"')
    await client.ok('create "Projekte/Größe"')  # in UTF-8, as it has enabled
    await client.ok('subscribe "Projekte/Größe"')
    assert await client.ok('list (subscribed) "" "Projekte*" return (special-use)') == [
        '* LIST (\\HasChildren \\Subscribed) "/" Projekte',
        '* LIST (\\HasNoChildren \\Subscribed) "/" "Projekte/Größe"',
    ]
    await client.ok('rename "Projekte" "Trash/Projekte"')
    await client.ok('unsubscribe "Projekte"')
    await client.ok('unsubscribe "Projekte/Größe"')
    assert await client.ok('list "" "Trash/*"') == [
        '* LIST (\\HasChildren) "/" Trash/Projekte',
        '* LIST (\\HasNoChildren) "/" "Trash/Projekte/Größe"',
    ]
    await client.ok('delete "Trash/Projekte/Größe"')
    await client.ok('delete "Trash/Projekte"')
    assert await client.ok('list "" "Trash/*"') == []


async def test_several_connections_at_once(imap: Imap) -> None:
    """It keeps up to five, each in a mailbox of its own, and moves mail between them."""
    await imap.select(messages=3)
    inbox, trash = await begin(imap), await begin(imap)
    await inbox.ok('select "INBOX"')
    await trash.ok('select "Trash"')
    await trash.send(b"20 IDLE\r\n")
    await trash.expect("+ idling")
    await inbox.ok('uid move 1:2 "Trash"')
    await trash.expect("* 2 EXISTS", "* 2 RECENT")
    await trash.send(b"DONE\r\n")
    await trash.expect("20 OK ...")
    told = await trash.ok("UID fetch 1:* (FLAGS)")
    assert len(told) == 2


async def test_compression_begins_with_the_octets_behind_the_ok(imap: Imap) -> None:
    client = await begin(imap)
    await client.ok("COMPRESS DEFLATE")
    deflate, inflate, heard = zlib.compressobj(wbits=-15), zlib.decompressobj(-15), b""
    said = b'40 select "INBOX"\r\n41 getquotaroot "INBOX"\r\n'
    await client.send_as_it_is(deflate.compress(said) + deflate.flush(zlib.Z_SYNC_FLUSH))
    while b"\r\n41 OK " not in heard:
        heard += inflate.decompress(await client.hear_some())
    assert b"40 OK [READ-WRITE] " in heard
