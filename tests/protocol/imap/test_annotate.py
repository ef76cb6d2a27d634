"""ANNOTATE-EXPERIMENT-1 (RFC 5257): annotations of messages, by the examples of its section 4."""

from __future__ import annotations

import re

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import Deployment
from tests.protocol.imap.sharing import share, shared
from tests.protocol.imap.system import Imap, small
from tests.protocol.imap.test_condstore import modseq_of

MOST_BYTES = 65_536
TWO_PARTS = (
    b"Subject: two parts\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    + b"--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n"
)


async def watching(imap: Imap, parameters: str = "ANNOTATE") -> ImapClient:
    """A client that wants to hear of annotations."""
    client = await imap.login()
    await client.ok(f"SELECT INBOX ({parameters})")
    return client


async def modseqs(client: ImapClient) -> list[int]:
    told = await client.ok("FETCH 1:* (MODSEQ)")
    return [int(number) for line in told for number in re.findall(r"MODSEQ \((\d+)\)", line)]


# Section 4.2: SELECT.


async def test_what_a_mailbox_can_have(imap: Imap) -> None:
    client = await imap.login()
    (line,) = await client.ok("CAPABILITY")
    assert "ANNOTATE-EXPERIMENT-1" in line.split()
    told = await client.ok("SELECT INBOX (ANNOTATE)")
    assert f"* OK [ANNOTATIONS {MOST_BYTES}] Annotations" in told
    assert f"* OK [ANNOTATIONS {MOST_BYTES}] Annotations" in await client.ok("SELECT INBOX")
    told = await client.ok("EXAMINE INBOX (CONDSTORE ANNOTATE)")
    assert "* OK [ANNOTATIONS READ-ONLY] Annotations" in told
    await client.bad("SELECT INBOX (ANNOTATIONS)")


# Sections 4.3, 4.4: FETCH.


async def test_private_and_shared_values(imap: Imap) -> None:
    client = await imap.select(messages=1)
    assert await client.ok("FETCH 1 (ANNOTATION (/comment value))") == [
        "* 1 FETCH (ANNOTATION (/comment (value.priv NIL value.shared NIL)))"
    ]
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "My comment"))')
    assert await client.ok("FETCH 1 (ANNOTATION (/comment value))") == [
        '* 1 FETCH (ANNOTATION (/comment (value.priv "My comment" value.shared NIL)))'
    ]
    assert await client.ok("FETCH 1 (ANNOTATION (/comment (value size)))") == [
        '* 1 FETCH (ANNOTATION (/comment (value.priv "My comment" value.shared NIL'
        ' size.priv "10" size.shared "0")))'
    ]
    await client.ok('STORE 1 ANNOTATION (/comment (value.shared "Group note"))')
    assert await client.ok("FETCH 1 (ANNOTATION (/comment value))") == [
        '* 1 FETCH (ANNOTATION (/comment (value.priv "My comment" value.shared "Group note")))'
    ]
    assert await client.ok("FETCH 1 ANNOTATION ((/comment /altsubject) value.priv)") == [
        '* 1 FETCH (ANNOTATION (/comment (value.priv "My comment") /altsubject (value.priv NIL)))'
    ]
    # Names are case-sensitive.
    assert await client.ok('FETCH 1 (ANNOTATION ("/Comment" "size.priv"))') == [
        '* 1 FETCH (ANNOTATION (/Comment (size.priv "0")))'
    ]


async def test_wildcards(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok(
        'UID STORE 1 ANNOTATION (/comment (value.priv "My comment")'
        ' /altsubject (value.priv "Rhinoceroses!" value.shared "Patches?")'
        ' /vendor/foobar/label.priv (value.priv "label43")'
        ' /1/comment (value.priv "the text"))'
    )
    assert await client.ok("UID FETCH 1 (UID ANNOTATION (/* (value.priv size.priv)))") == [
        "* 1 FETCH (UID 1 ANNOTATION ("
        '/1/comment (value.priv "the text" size.priv "8")'
        ' /altsubject (value.priv "Rhinoceroses!" size.priv "13")'
        ' /comment (value.priv "My comment" size.priv "10")'
        ' /vendor/foobar/label.priv (value.priv "label43" size.priv "7")))'
    ]
    # Of messages without such an annotation there is nothing to tell.
    assert await client.ok("FETCH 1:* (ANNOTATION (/% value.shared))") == [
        '* 1 FETCH (ANNOTATION (/altsubject (value.shared "Patches?")))'
    ]
    assert await client.ok("FETCH 1:* (RFC822.SIZE ANNOTATION (/vendor/* size.shared) FLAGS)") == [
        "* 1 FETCH (FLAGS () RFC822.SIZE 169)",
        "* 2 FETCH (FLAGS () RFC822.SIZE 169)",
    ]
    assert await client.ok(
        "FETCH 1 (FLAGS ANNOTATION ((/vendor/foobar/% /comment) size.priv))"
    ) == [
        "* 1 FETCH (FLAGS () ANNOTATION ("
        '/comment (size.priv "10") /vendor/foobar/label.priv (size.priv "7")))'
    ]


async def test_together_with_other_items(imap: Imap) -> None:
    client = await imap.select(messages=2)
    large = b"Subject: large\r\n\r\n" + b"x" * 1_500_000
    await client.append("INBOX", large)
    await client.ok('STORE 1:* ANNOTATION (/comment (value.shared "x"))')
    wanted = "ANNOTATION (/comment value.shared)"
    told = await client.ok(f"FETCH 1:2 ({wanted} BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert told == [
        "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {22}\r\nSubject: message 1\r\n\r\n"
        ' ANNOTATION (/comment (value.shared "x")))',
        "* 2 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {22}\r\nSubject: message 2\r\n\r\n"
        ' ANNOTATION (/comment (value.shared "x")))',
    ]
    (told_large,) = await client.ok(f"FETCH 3 ({wanted} UID BODY.PEEK[])")
    assert told_large.startswith("* 3 FETCH (UID 3 BODY[] {1500018}\r\n")
    assert told_large.endswith('x ANNOTATION (/comment (value.shared "x")))')


async def test_any_octets_and_long_values(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.send(
        b"b STORE 1 ANNOTATION (/comment (value.priv ~{3+}\r\n\0\r\n value.shared {2+}\r\nab))\r\n"
    )
    assert (await client.finish("b"))[1].startswith("OK")
    assert await client.ok("FETCH 1 (ANNOTATION (/comment value))") == [
        '* 1 FETCH (ANNOTATION (/comment (value.priv ~{3}\r\n\0\r\n value.shared "ab")))'
    ]
    for size, answer in ((MOST_BYTES, "OK"), (MOST_BYTES + 1, "NO [ANNOTATE TOOBIG]")):
        head = f"c STORE 1 ANNOTATION (/comment (value.priv {{{size}+}}\r\n".encode()
        await client.send(head + b"x" * size + b"))\r\n")
        assert (await client.finish("c"))[1].startswith(answer)
    assert await client.ok("FETCH 1 (ANNOTATION (/comment size.priv))") == [
        f'* 1 FETCH (ANNOTATION (/comment (size.priv "{MOST_BYTES}")))'
    ]


# Section 4.5: STORE.


async def test_set_replace_remove(imap: Imap) -> None:
    client = await imap.select(messages=2)
    wanted = "FETCH 1:2 (ANNOTATION (/* value))"
    assert await client.ok('STORE 1 ANNOTATION (/comment (value.priv "My new comment"))') == []
    await client.ok(
        'STORE 1:2 ANNOTATION (/comment (value.priv "Get tix Tuesday")'
        ' /altsubject (value.priv "Wots On"))'
    )
    await client.ok('STORE 2 ANNOTATION (/comment (value.priv "x" value.shared "foo\'s bar"))')
    assert await client.ok(wanted) == [
        '* 1 FETCH (ANNOTATION (/altsubject (value.priv "Wots On" value.shared NIL)'
        ' /comment (value.priv "Get tix Tuesday" value.shared NIL)))',
        '* 2 FETCH (ANNOTATION (/altsubject (value.priv "Wots On" value.shared NIL)'
        ' /comment (value.priv "x" value.shared "foo\'s bar")))',
    ]
    await client.ok("STORE 1:2 ANNOTATION (/comment (value.priv NIL value.shared NIL))")
    await client.ok("STORE 1 ANNOTATION (/altsubject (value.priv NIL))")
    assert await client.ok(wanted) == [
        '* 2 FETCH (ANNOTATION (/altsubject (value.priv "Wots On" value.shared NIL)))'
    ]


@pytest.mark.parametrize(
    "command",
    [
        'STORE 1 ANNOTATION (/comment (value "x"))',
        'STORE 1 ANNOTATION (/comment (size.priv "1"))',
        "STORE 1 ANNOTATION (/comment (value.priv))",
        "STORE 1 ANNOTATION (/comment ())",
        "STORE 1 ANNOTATION ()",
        "STORE 1 ANNOTATION /comment",
        'STORE 1 +ANNOTATION (/comment (value.priv "x"))',
        'STORE 1 ANNOTATION (/odd (value.priv "x"))',
        'STORE 1 ANNOTATION (/flags/seen (value.priv "1"))',
        'STORE 1 ANNOTATION (/comment/ (value.priv "x"))',
        'STORE 1 ANNOTATION (/vendor//x (value.priv "x"))',
        'STORE 1 ANNOTATION (/vendor/* (value.priv "x"))',
        'STORE 1 ANNOTATION (//comment (value.priv "x"))',
        'STORE 1 ANNOTATION (/1/flags/seen (value.priv "yes"))',
        'STORE 1 ANNOTATION (/1./comment (value.priv "x"))',
        'STORE 1 ANNOTATION (/2/comment (value.priv "x"))',
        'STORE 1 ANNOTATION (/comment (value.priv "x" value.priv "y"))',
        "FETCH 1 (ANNOTATION (/comment odd))",
        "FETCH 1 (ANNOTATION (/comment Value))",
        "FETCH 1 (ANNOTATION (/comment value.priv.shared))",
        "FETCH 1 (ANNOTATION (/comment/ value))",
        "FETCH 1 (ANNOTATION (/comment))",
        "FETCH 1 (ANNOTATION /comment value)",
        "FETCH 1 (ANNOTATION (/comment value) ANNOTATION (/altsubject value))",
        'SEARCH ANNOTATION /comment size "1"',
        "SEARCH ANNOTATION /comment value",
        "SORT (ANNOTATION /comment value) UTF-8 ALL",
        "SORT (ANNOTATION /comment size.priv) UTF-8 ALL",
        "SORT (ANNOTATION /% value.priv) UTF-8 ALL",
    ],
)
async def test_what_can_not_be(imap: Imap, command: str) -> None:
    client = await imap.select(messages=1)
    await client.bad(command)
    assert await client.ok("FETCH 1 (ANNOTATION (* value))") == []


async def test_parts(imap: Imap) -> None:
    """Section 3.2.1: a part is there, in every message."""
    client = await imap.select(messages=1)
    await client.append("INBOX", TWO_PARTS)
    await client.ok('STORE 2 ANNOTATION (/2/flags/seen (value.priv "1"))')
    await client.bad('STORE 1:2 ANNOTATION (/2/comment (value.priv "second"))')
    await client.ok('STORE 1:2 ANNOTATION (/1/vendor/example/x (value.priv "first"))')
    assert await client.ok("FETCH 1:2 (ANNOTATION (/*/* value.priv))") == [
        '* 1 FETCH (ANNOTATION (/1/vendor/example/x (value.priv "first")))',
        '* 2 FETCH (ANNOTATION (/1/vendor/example/x (value.priv "first")'
        ' /2/flags/seen (value.priv "1")))',
    ]


async def test_too_many_of_one_message(imap: Imap) -> None:
    client = await imap.select(messages=1)
    many = " ".join(f'/vendor/x/{number} (value.priv "x")' for number in range(100))
    await client.ok(f"STORE 1 ANNOTATION ({many})")
    await client.no('STORE 1 ANNOTATION (/comment (value.priv "x"))', "NO [ANNOTATE TOOMANY] ...")
    await client.ok('STORE 1 ANNOTATION (/vendor/x/7 (value.priv "y"))')
    await client.ok("STORE 1 ANNOTATION (/vendor/x/7 (value.priv NIL))")
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')


async def test_who_may_not_write(imap: Imap) -> None:
    client = await imap.select(messages=1)
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    await client.ok("EXAMINE INBOX")
    await client.no('STORE 1 ANNOTATION (/comment (value.priv "y"))')
    assert await client.ok("FETCH 1 (ANNOTATION (/comment value.priv))") == [
        '* 1 FETCH (ANNOTATION (/comment (value.priv "x")))'
    ]


async def test_modseqs(imap: Imap) -> None:
    """What is annotated has changed (RFC 7162); one who follows modseqs is told of its own."""
    client = await imap.select(messages=2)
    before = await modseqs(client)
    told = await client.ok('STORE 2 ANNOTATION (/comment (value.priv "x"))')
    after = await modseqs(client)
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert told == [f"* 2 FETCH (UID 2 MODSEQ ({after[1]}))"]
    # What is so already changes nothing.
    await client.ok('STORE 2 ANNOTATION (/comment (value.priv "x"))')
    assert await modseqs(client) == after
    assert await client.ok(
        f"FETCH 1:* (ANNOTATION (/comment value.priv)) (CHANGEDSINCE {before[1]})"
    ) == [f'* 2 FETCH (MODSEQ ({after[1]}) ANNOTATION (/comment (value.priv "x")))']
    command = f'STORE 1:2 (UNCHANGEDSINCE {before[1]}) ANNOTATION (/comment (value.priv "y"))'
    told, done = await client.transact(command)
    assert done.startswith("OK [MODIFIED 2] ")
    assert await modseqs(client) == [modseq_of(told), after[1]]


# Section 4.4: what others do.


async def test_others_hear_of_names(imap: Imap) -> None:
    client = await imap.select(messages=2)
    watcher, plain = await watching(imap), await imap.select()
    assert await client.ok('STORE 2 ANNOTATION (/comment (value.priv "x"))') == []
    assert await watcher.ok("NOOP") == ["* 2 FETCH (FLAGS () ANNOTATION (/comment))"]
    assert await plain.ok("NOOP") == []
    await client.ok(
        'STORE 1:2 ANNOTATION (/comment (value.priv NIL) /altsubject (value.shared "y"))'
    )
    await client.ok("STORE 2 +FLAGS (\\Seen)")
    assert await watcher.ok("STORE 1 +FLAGS (\\Flagged)") == [
        "* 1 FETCH (FLAGS (\\Flagged) ANNOTATION (/altsubject))",
        "* 2 FETCH (FLAGS (\\Seen) ANNOTATION (/altsubject /comment))",
        "* 1 FETCH (FLAGS (\\Flagged))",
    ]
    # What it does itself it isn't told of.
    assert await watcher.ok('STORE 1 ANNOTATION (/comment (value.priv "z"))') == []
    assert await watcher.ok("NOOP") == []
    # It must ask with each SELECT.
    await watcher.ok("SELECT INBOX")
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "w"))')
    assert await watcher.ok("NOOP") == []


async def test_in_idle_and_with_modseqs(imap: Imap) -> None:
    client = await imap.select(messages=1)
    watcher, follower = (
        await watching(imap, "ANNOTATE CONDSTORE"),
        await watching(imap, "CONDSTORE"),
    )
    tag = await watcher.start("IDLE")
    await watcher.expect("+ ...")
    await client.ok('STORE 1 ANNOTATION (/comment (value.shared "x"))')
    await watcher.expect("* 1 FETCH (UID 1 MODSEQ (...) FLAGS () ANNOTATION (/comment))")
    await watcher.send(b"DONE\r\n")
    await watcher.finish(tag)
    (told,) = await follower.ok("NOOP")
    assert re.fullmatch(r"\* 1 FETCH \(UID 1 MODSEQ \(\d+\) FLAGS \(\)\)", told)


async def test_in_another_process(deployment: Deployment) -> None:
    """By the change stream alone, or by what the other store reads from the database."""
    person = await deployment.person()
    near, far = (Imap(deployment.fronts[place], person) for place in (0, -1))
    client = await near.select(messages=2)
    watcher = await watching(far)
    tag = await watcher.start("IDLE")
    await watcher.expect("+ ...")
    for command, told in (
        ('STORE 1:2 ANNOTATION (/comment (value.priv "x"))', "/comment"),
        ("STORE 1:2 ANNOTATION (/comment (value.priv NIL))", "/comment"),
        (
            'STORE 1:2 ANNOTATION (/comment (value.shared "y") /altsubject (value.priv "z"))',
            "... ...",
        ),
    ):
        await client.ok(command)
        for number in (1, 2):
            await watcher.expect(f"* {number} FETCH (FLAGS () ANNOTATION ({told}))")
    await watcher.send(b"DONE\r\n")
    await watcher.finish(tag)
    assert await watcher.ok("FETCH 2 (ANNOTATION (* value))") == [
        '* 2 FETCH (ANNOTATION (/altsubject (value.priv "z" value.shared NIL)'
        ' /comment (value.priv NIL value.shared "y")))'
    ]


async def test_several_people_at_one_front(deployment: Deployment) -> None:
    """Each hears of what they have done elsewhere, and of nobody else's private annotations."""
    owner = Imap(deployment.fronts[0], await deployment.person())
    guest = Imap(deployment.fronts[0], await deployment.person())
    near = await share(owner, guest, "lrswn")
    await near.append("Work", small(1))
    hearing = []
    for imap, name in ((owner, "Work"), (guest, shared(owner))):
        client = await imap.login()
        await client.ok(f"SELECT {name} (ANNOTATE)")
        tag = await client.start("IDLE")
        await client.expect("+ ...")
        hearing.append((client, tag))
    elsewhere = []
    for person, name in ((owner.person, "Work"), (guest.person, shared(owner))):
        client = await Imap(deployment.fronts[-1], person).login()
        await client.ok(f"SELECT {name}")
        elsewhere.append(client)
    for number, (client, tag) in enumerate(hearing):
        await elsewhere[number].ok(f'STORE 1 ANNOTATION (/comment (value.priv "{number}"))')
        while (heard := (await client.hear()).decode()) != (
            "* 1 FETCH (FLAGS () ANNOTATION (/comment))"
        ):
            assert "ANNOTATION" not in heard
        await elsewhere[number].ok(f'STORE 1 ANNOTATION (/altsubject (value.shared "{number}"))')
        for other, _ in hearing:
            while "/altsubject" not in (heard := (await other.hear()).decode()):
                assert "/comment" not in heard
        await client.send(b"DONE\r\n")
        await client.finish(tag)
        hearing[number] = (client, await client.start("IDLE"))
        await client.expect("+ ...")


async def test_notify(imap: Imap) -> None:
    """RFC 5465 section 5.4: AnnotationChange, in a mailbox that was selected with ANNOTATE."""
    client = await imap.select(messages=1)
    watcher = await watching(imap)
    await watcher.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge AnnotationChange))")
    await client.ok("STORE 1 +FLAGS (\\Answered)")
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    await watcher.expect("* 1 FETCH (FLAGS (\\Answered) ANNOTATION (/comment))")
    await watcher.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))")
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "y"))')
    await client.ok("STORE 1 -FLAGS (\\Answered)")
    await watcher.expect("* 1 FETCH (FLAGS ())")


# Section 4.6: COPY.


@pytest.mark.parametrize("verb", ["COPY", "MOVE"])
async def test_copies_take_annotations_along(imap: Imap, verb: str) -> None:
    client = await imap.select(messages=3)
    await client.ok('STORE 1:2 ANNOTATION (/comment (value.priv "mine" value.shared "all"))')
    await client.ok("STORE 2 ANNOTATION (/comment (value.shared NIL))")
    await client.ok(f"{verb} 1:3 Archive")
    await client.ok("SELECT Archive")
    assert await client.ok("FETCH 1:* (UID ANNOTATION (/% value))") == [
        '* 1 FETCH (UID 1 ANNOTATION (/comment (value.priv "mine" value.shared "all")))',
        '* 2 FETCH (UID 2 ANNOTATION (/comment (value.priv "mine" value.shared NIL)))',
        "* 3 FETCH (UID 3)",
    ]


# Section 4.7: APPEND.


async def test_append(imap: Imap) -> None:
    client = await imap.login()
    message = small(1)
    annotation = 'ANNOTATION (/comment (value.priv "Don\'t send until I say so"))'
    tag = await client.start(f"APPEND Drafts {annotation} {{{len(message)}}}")
    await client.expect("+ ...")
    await client.send(message + b"\r\n")
    assert (await client.finish(tag))[1].startswith("OK [APPENDUID ")
    both = '(\\Draft) "07-Feb-1994 21:52:25 -0800" ANNOTATION (/1/comment (value.shared ""))'
    await client.append("Drafts", message, both)
    await client.ok("SELECT Drafts")
    assert await client.ok("FETCH 1:2 (FLAGS ANNOTATION (/* value))") == [
        "* 1 FETCH (FLAGS () ANNOTATION (/comment "
        '(value.priv "Don\'t send until I say so" value.shared NIL)))',
        '* 2 FETCH (FLAGS (\\Draft) ANNOTATION (/1/comment (value.priv NIL value.shared "")))',
    ]


async def test_append_with_literals(imap: Imap) -> None:
    """Values are literals, too, before that of the message; each message has its own (RFC 3502)."""
    client = await imap.login()
    one, two = small(1), small(2)
    tag = await client.start("APPEND INBOX ANNOTATION (/comment (value.priv {3}")
    await client.expect("+ ...")
    await client.send(b"a\r\n value.shared ~{2}\r\n")
    await client.expect("+ ...")
    await client.send(b"\0b) /altsubject (value.priv {1+}\r\nc)) {%d}\r\n" % len(one))
    await client.expect("+ ...")
    await client.send(one + b" (\\Seen) ANNOTATION (/comment (value.priv NIL value.shared d))")
    await client.send(b" {%d+}\r\n" % len(two) + two + b"\r\n")
    assert (await client.finish(tag))[1].startswith("BAD ")  # "d" is no string
    tag = await client.start("APPEND INBOX ANNOTATION (/comment (value.priv {3+}")
    await client.send(b"a\r\n value.shared ~{2+}\r\n\0b) /altsubject (value.priv {1+}\r\nc))")
    await client.send(b" {%d+}\r\n" % len(one) + one)
    await client.send(b' (\\Seen) ANNOTATION (/comment (value.priv NIL value.shared "d"))')
    await client.send(b" {%d+}\r\n" % len(two) + two + b"\r\n")
    assert (await client.finish(tag))[1].startswith("OK [APPENDUID ")
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1:* (ANNOTATION (/% value))") == [
        '* 1 FETCH (ANNOTATION (/altsubject (value.priv "c" value.shared NIL)'
        " /comment (value.priv {3}\r\na\r\n value.shared ~{2}\r\n\0b)))",
        '* 2 FETCH (ANNOTATION (/comment (value.priv NIL value.shared "d")))',
    ]


async def test_append_what_can_not_be(imap: Imap) -> None:
    client = await imap.login()
    message = small(1)

    async def append(annotation: bytes) -> str:
        head = b"a APPEND INBOX ANNOTATION " + annotation
        await client.send(head + b" {%d+}\r\n" % len(message) + message + b"\r\n")
        return (await client.finish("a"))[1]

    for annotation, answer in (
        (b'(/odd (value.priv "x"))', "BAD "),
        (b'(/comment (value "x"))', "BAD "),
        (b'(/2/comment (value.priv "x"))', "BAD "),
        (b'(/comment (value.priv "x")', "BAD "),
        (b"(/comment (value.priv {65537+}\r\n" + b"x" * 65_537 + b"))", "NO [ANNOTATE TOOBIG] "),
        (b"(/comment (value.priv {200000+}\r\n" + b"x" * 200_000 + b"))", "BAD [TOOBIG] "),
    ):
        assert (await append(annotation)).startswith(answer), annotation[:80]
    assert "* 0 EXISTS" in await client.ok("SELECT INBOX")


async def test_replace(imap: Imap) -> None:
    """RFC 8508: as APPEND; the annotations of the old message go with it."""
    client = await imap.select(messages=1)
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "old"))')
    message = small(2)
    head = f'a REPLACE 1 INBOX ANNOTATION (/altsubject (value.priv "new")) {{{len(message)}+}}\r\n'
    await client.send(head.encode() + message + b"\r\n")
    await client.finish("a")
    assert await client.ok("FETCH 1 (UID ANNOTATION (/* value.priv))") == [
        '* 1 FETCH (UID 2 ANNOTATION (/altsubject (value.priv "new")))'
    ]


# Sections 4.8, 4.9: SEARCH, SORT.


async def test_search(imap: Imap) -> None:
    client = await imap.select(messages=4)
    await client.ok('STORE 1 ANNOTATION (/comment (value.priv "About imap4"))')
    await client.ok('STORE 2 ANNOTATION (/comment (value.shared "IMAP4rev2"))')
    await client.ok('STORE 3 ANNOTATION (/vendor/x/y (value.priv "imap4, too"))')
    for key, found in (
        ('ANNOTATION /comment value "IMAP4"', " 1 2"),
        ('ANNOTATION * value.priv "IMAP4"', " 1 3"),
        ('ANNOTATION /% value.shared "IMAP4"', " 2"),
        ('ANNOTATION /vendor/% value "IMAP4"', ""),
        ('ANNOTATION "/vendor/%/y" value IMAP4', " 3"),
        ('ANNOTATION /* value ""', " 1 2 3"),
        ('NOT ANNOTATION /comment value.priv ""', " 2 3 4"),
        ('SUBJECT "message" ANNOTATION /comment value "4rev"', " 2"),
        ('OR ANNOTATION /comment value.shared "x" BODY "number 4"', " 4"),
    ):
        assert await client.ok(f"SEARCH {key}") == [f"* SEARCH{found}"], key
    assert await client.ok('UID SEARCH RETURN (COUNT) ANNOTATION /comment value "imap"') == [
        '* ESEARCH (TAG "...") UID COUNT 2'.replace("...", f"t{client._tag}")
    ]


async def test_sort(imap: Imap) -> None:
    client = await imap.select(messages=4)
    for number, subject in ((1, "pears"), (2, "Apples"), (4, "apples")):
        await client.ok(f'STORE {number} ANNOTATION (/altsubject (value.shared "{subject}"))')
    await client.ok('STORE 3 ANNOTATION (/altsubject (value.priv "zebras"))')
    for criteria, found in (
        ("ANNOTATION /altsubject value.shared", "3 2 4 1"),
        ("REVERSE ANNOTATION /altsubject value.shared", "1 2 4 3"),
        ("ANNOTATION /altsubject value.priv", "1 2 4 3"),
        ("ANNOTATION /altsubject value.shared REVERSE SUBJECT", "3 4 2 1"),
    ):
        assert await client.ok(f"SORT ({criteria}) UTF-8 ALL") == [f"* SORT {found}"], criteria
    # The order follows what is set since.
    await client.ok('STORE 1 ANNOTATION (/altsubject (value.shared "aardvarks"))')
    assert await client.ok("SORT (ANNOTATION /altsubject value.shared) UTF-8 1:2") == ["* SORT 1 2"]
    told = await client.ok('UID SORT (ANNOTATION /altsubject value.shared) UTF-8 BODY "hello"')
    assert told == ["* SORT 3 1 2 4"]


async def test_results_that_are_kept_true(imap: Imap) -> None:
    """RFC 5267: of searches for annotations, not of orders by them."""
    client = await imap.select(messages=2)
    other = await imap.select()
    (told,) = await client.ok('SEARCH RETURN (UPDATE COUNT) ANNOTATION /comment value "x"')
    tag = f"t{client._tag}"
    assert told == f'* ESEARCH (TAG "{tag}") COUNT 0'
    await other.ok('STORE 2 ANNOTATION (/comment (value.shared "x"))')
    assert await client.ok("NOOP") == []
    await client.expect(f'* ESEARCH (TAG "{tag}") ADDTO (0 2)')
    command = "SORT RETURN (UPDATE ALL) (ANNOTATION /comment value.shared) UTF-8 ALL"
    told_all = await client.ok(command)
    assert any("[NOUPDATE " in line for line in told_all)
