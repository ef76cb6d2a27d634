"""FETCH: every item, sections, partials, \\Seen, and messages that others take away."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import matches
from tests.protocol.imap.system import Imap, small

MULTIPART = (
    b"From: ann@example.org\r\n"
    b"Subject: two parts\r\n"
    b"X-Long: one\r\n two\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n'
    b"\r\n"
    b"--b\r\n"
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"first part\r\n"
    b"--b\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"\r\n"
    b"Subject: inner\r\n"
    b"\r\n"
    b"inner text\r\n"
    b"--b--\r\n"
)


async def fetched(imap: Imap, items: str) -> str:
    """What a fetch of the multipart message's items answers, without the message number."""
    client = await imap.login()
    await client.append("INBOX", MULTIPART, '(\\Seen) "17-Jul-1996 02:44:25 -0700"')
    await client.ok("SELECT INBOX")
    (line,) = await client.ok(f"FETCH 1 {items}")
    assert line.startswith("* 1 FETCH (")
    return line.removeprefix("* 1 FETCH (").removesuffix(")")


def literal(text: str) -> str:
    return f"{{{len(text)}}}\r\n{text}"


@pytest.mark.parametrize(
    ("items", "wanted"),
    [
        ("UID", "UID 1"),
        ("FLAGS", "FLAGS (\\Seen)"),
        ("INTERNALDATE", 'INTERNALDATE "17-Jul-1996 09:44:25 +0000"'),
        ("RFC822.SIZE", f"RFC822.SIZE {len(MULTIPART)}"),
        ("ENVELOPE", 'ENVELOPE (NIL "two parts" ((NIL NIL "ann" "example.org")) ...)'),
        ("BODY", 'BODY (("text" "plain" ...)("message" "rfc822" ...) "mixed")'),
        ("BODYSTRUCTURE", 'BODYSTRUCTURE (... "mixed" ("boundary" "b") NIL NIL...)'),
        ("FAST", "FLAGS (\\Seen) INTERNALDATE ... RFC822.SIZE ..."),
        ("ALL", "FLAGS (\\Seen) INTERNALDATE ... RFC822.SIZE ... ENVELOPE (...)"),
        ("FULL", "FLAGS (\\Seen) INTERNALDATE ... RFC822.SIZE ... ENVELOPE (...) BODY (...)"),
        ("(UID FLAGS UID)", "UID 1 FLAGS (\\Seen)"),
    ],
)
async def test_items(imap: Imap, items: str, wanted: str) -> None:
    told = await fetched(imap, items)
    assert matches(told, wanted), told


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("[]", MULTIPART.decode()),
        ("[TEXT]", MULTIPART.partition(b"\r\n\r\n")[2].decode()),
        ("[HEADER]", MULTIPART.decode().partition("\r\n\r\n")[0] + "\r\n\r\n"),
        ("[HEADER.FIELDS (SUBJECT X-LONG)]", "Subject: two parts\r\nX-Long: one\r\n two\r\n\r\n"),
        ("[HEADER.FIELDS (Nothing)]", "\r\n"),
        ("[1]", "first part"),
        ("[1.MIME]", "Content-Type: text/plain\r\n\r\n"),
        ("[2]", "Subject: inner\r\n\r\ninner text"),
        ("[2.HEADER]", "Subject: inner\r\n\r\n"),
        ("[2.HEADER.FIELDS (SUBJECT)]", "Subject: inner\r\n\r\n"),
        ("[2.TEXT]", "inner text"),
        ("[2.1]", "inner text"),
    ],
)
async def test_sections(imap: Imap, section: str, wanted: str) -> None:
    assert await fetched(imap, f"BODY.PEEK{section}") == f"BODY{section} {literal(wanted)}"


async def test_fields_that_are_not_named(imap: Imap) -> None:
    section = "[HEADER.FIELDS.NOT (FROM SUBJECT X-LONG MIME-VERSION)]"
    wanted = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    assert await fetched(imap, f"BODY.PEEK{section}") == f"BODY{section} {literal(wanted)}"


@pytest.mark.parametrize("section", ["[3]", "[1.2]", "[1.HEADER]", "[2.7.MIME]"])
async def test_parts_that_are_not_there(imap: Imap, section: str) -> None:
    assert await fetched(imap, f"BODY.PEEK{section}") == f"BODY{section} NIL"


@pytest.mark.parametrize(
    ("section", "label", "wanted"),
    [
        ("[]<0.5>", "[]<0>", "From:"),
        ("[1]<6.100>", "[1]<6>", "part"),
        ("[1]<100.5>", "[1]<100>", ""),
        ("[HEADER]<6.3>", "[HEADER]<6>", "ann"),
        ("[HEADER.FIELDS (SUBJECT)]<9.3>", "[HEADER.FIELDS (SUBJECT)]<9>", "two"),
    ],
)
async def test_partials(imap: Imap, section: str, label: str, wanted: str) -> None:
    assert await fetched(imap, f"BODY.PEEK{section}") == f"BODY{label} {literal(wanted)}"


async def test_the_older_names(imap: Imap) -> None:
    head, _, text = MULTIPART.decode().partition("\r\n\r\n")
    told = await fetched(imap, "(RFC822 RFC822.HEADER RFC822.TEXT)")
    header = literal(head + "\r\n\r\n")
    whole, rest = literal(MULTIPART.decode()), literal(text)
    assert told == f"RFC822 {whole} RFC822.HEADER {header} RFC822.TEXT {rest}"


async def test_a_body_sets_seen_and_tells_it(imap: Imap) -> None:
    client = await imap.select(messages=3)
    other = await imap.select()
    answers = await client.ok("FETCH 1:2 (BODY[TEXT]<0.5>)")
    assert [answer.partition(" BODY")[0] for answer in answers] == [
        "* 1 FETCH (FLAGS (\\Seen)",
        "* 2 FETCH (FLAGS (\\Seen)",
    ]
    assert await client.ok("FETCH 3 BODY.PEEK[]") != []
    assert await client.ok("SEARCH SEEN") == ["* SEARCH 1 2"]
    assert await other.ok("NOOP") == [
        "* 1 FETCH (FLAGS (\\Seen))",
        "* 2 FETCH (FLAGS (\\Seen))",
    ]


async def test_seen_is_not_told_where_it_was_set(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok("STORE 1 FLAGS.SILENT (\\Seen)")
    (answer,) = await client.ok("FETCH 1 RFC822.TEXT")
    assert "FLAGS" not in answer


async def test_uid_fetch(imap: Imap) -> None:
    client = await imap.select(messages=3)
    await client.ok("STORE 1 FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    assert await client.ok("UID FETCH 1:2 FLAGS") == ["* 1 FETCH (UID 2 FLAGS ())"]
    assert await client.ok("UID FETCH 99:* (FLAGS)") == ["* 2 FETCH (UID 3 FLAGS ())"]
    assert await client.ok("UID FETCH 77 FLAGS") == []


async def test_numbers_beyond_the_mailbox(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.bad("FETCH 2 FLAGS")
    await client.bad("FETCH 1:2 FLAGS")
    assert await client.ok("FETCH 1:* UID") == ["* 1 FETCH (UID 1)"]


async def test_an_empty_mailbox_has_no_numbers(imap: Imap) -> None:
    client = await imap.select()
    await client.bad("FETCH 1:* FLAGS")
    assert await client.ok("UID FETCH 1:* FLAGS") == []


async def test_numbers_stay_until_the_client_is_told(imap: Imap) -> None:
    client = await imap.select(messages=3)
    other = await imap.select()
    await other.ok("STORE 1 FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await other.append("INBOX", small(4))
    # Message 1 is gone, but its number is not: 2 and 3 are who they were.
    assert await client.ok("FETCH 2:3 UID") == ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]
    await client.no("FETCH 1:2 (UID FLAGS)", "NO [EXPUNGEISSUED] ...")
    assert (await client.ok("NOOP"))[0] == "* 1 EXPUNGE"
    assert await client.ok("FETCH 1:3 UID") == [f"* {n} FETCH (UID {n + 1})" for n in (1, 2, 3)]


async def test_many_messages_and_each_exactly_once(imap: Imap) -> None:
    client = await imap.select(messages=120)
    for _ in range(2):  # what is cached answers the second
        told = await client.ok("FETCH 1:* (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert [line.split()[1] for line in told] == [str(n) for n in range(1, 121)]
        for number, line in enumerate(told, 1):
            subject = literal(f"Subject: message {number}\r\n\r\n")
            assert line.endswith(f"BODY[HEADER.FIELDS (SUBJECT)] {subject})")


async def test_a_walk_over_bodies(imap: Imap) -> None:
    client = await imap.select(messages=30)
    for number in range(1, 31):
        (line,) = await client.ok(f"UID FETCH {number} BODY.PEEK[]")
        body = literal(small(number).decode())
        assert line == f"* {number} FETCH (UID {number} BODY[] {body})"


async def test_pipelined_fetches(imap: Imap) -> None:
    client = await imap.select(messages=20)
    tags = [await client.start(f"UID FETCH {n} (BODY.PEEK[])") for n in range(1, 21)]
    for number, tag in enumerate(tags, 1):
        told, done = await client.finish(tag)
        assert done.startswith("OK")
        assert told == [f"* {number} FETCH (UID {number} BODY[] {literal(small(number).decode())})"]


@pytest.mark.parametrize("size", [200_000, 1024 * 1024 + 1, 3_500_000])
async def test_large_messages_come_whole(imap: Imap, size: int) -> None:
    client = await imap.select()
    line = b"0123456789" * 7 + b"\r\n"
    text = line * (size // len(line))
    message = b"Subject: large\r\n\r\n" + text
    await client.append("INBOX", small(1))
    await client.append("INBOX", message)
    await client.append("INBOX", small(3))
    tag = await client.start("FETCH 1:3 (BODY.PEEK[TEXT] UID BODY.PEEK[] RFC822.SIZE)")
    told, done = await client.finish(tag)
    assert done.startswith("OK"), done
    assert len(told) == 3
    assert literal(message.decode()) in told[1]
    assert literal(text.decode()) in told[1]
    assert f"RFC822.SIZE {len(message)}" in told[1]
    assert told[2].startswith("* 3 FETCH (UID 3 ")
    (part,) = await client.ok(f"FETCH 2 BODY.PEEK[]<{size - 100}.50>")
    assert part.endswith(literal(message[size - 100 : size - 50].decode()) + ")")


async def test_items_of_a_large_header_come_in_any_order(imap: Imap) -> None:
    client = await imap.select()
    header = b"A: one\r\nB: two\r\nX: " + b"x" * 90 + b"\r\n" + b"Y: yyyyyyyy\r\n" * 120_000
    text = b"text" * 400_000
    await client.append(
        "INBOX",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\n%b\r\n%b\r\n--b--\r\n" % (header, text),
    )
    (told,) = await client.ok(
        "FETCH 1 (BODY.PEEK[1.HEADER.FIELDS (A)] BODY.PEEK[1.TEXT] BODY.PEEK[1.HEADER]"
        " BODY.PEEK[1.HEADER.FIELDS (B)] UID BODY.PEEK[1.HEADER.FIELDS.NOT (Y)])"
    )
    kept = header.partition(b"Y:")[0]
    assert told == " ".join(
        [
            "* 1 FETCH (UID 1 BODY[1.HEADER.FIELDS (A)]",
            literal("A: one\r\n\r\n"),
            "BODY[1.TEXT]",
            literal(text.decode()),
            "BODY[1.HEADER]",
            literal(header.decode() + "\r\n"),
            "BODY[1.HEADER.FIELDS (B)]",
            literal("B: two\r\n\r\n"),
            "BODY[1.HEADER.FIELDS.NOT (Y)]",
            literal(kept.decode() + "\r\n") + ")",
        ]
    )


async def test_bytes_are_kept(imap: Imap) -> None:
    client = await imap.select()
    message = b"Subject: \xff\xfe\r\n\r\n" + bytes(b for b in range(1, 256)) + b"\nbare\rends"
    await client.append("INBOX", message)
    await client.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    assert await client.hear() == b"* 1 FETCH (BODY[] {%d}\r\n%b)" % (len(message), message)


async def test_bad_fetches(imap: Imap) -> None:
    client = await imap.select(messages=1)
    for command in ("FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 1 NONSENSE", "FETCH 1 (FLAGS"):
        await client.bad(command)
    assert await client.ok("FETCH 1 UID") == ["* 1 FETCH (UID 1)"]
