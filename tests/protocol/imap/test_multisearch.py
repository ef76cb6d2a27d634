"""MULTISEARCH: the command ESEARCH (RFC 7377)."""

from __future__ import annotations

import re

import pytest
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small

FOLDERS = ("folder1", "folder2", "folder2/banana", "folder2/peach", "folder2/peach/stone")


async def fruit(imap: Imap) -> ImapClient:
    """Two messages in each of some folders: the second is seen, the first is about the number."""
    client = await imap.login()
    for number, folder in enumerate(FOLDERS, 1):
        await client.ok(f"CREATE {folder}")
        await client.append(folder, small(number))
        await client.append(folder, small(99), "(\\Seen)")
    return client


def found(lines: list[str]) -> dict[str, str]:
    """What is told of each mailbox, once the correlators have been looked at."""
    told: dict[str, str] = {}
    for line in lines:
        parts = re.fullmatch(
            r'\* ESEARCH \(TAG "t\d+" MAILBOX (\S+) UIDVALIDITY [1-9]\d*\) UID(.*)', line
        )
        assert parts, line
        assert parts[1] not in told
        told[parts[1]] = parts[2].strip()
    return told


async def test_the_examples(imap: Imap) -> None:
    client = await fruit(imap)
    (line,) = await client.ok("CAPABILITY")
    assert "MULTISEARCH" in line.split()
    await client.send(
        b'tag1 ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen\r\n'
        b'tag2 ESEARCH IN (mailboxes "folder1" subtree-one "folder2") subject "3"\r\n'
    )
    await client.expect(
        '* ESEARCH (TAG "tag1" MAILBOX folder1 UIDVALIDITY ...) UID ALL 1',
        '* ESEARCH (TAG "tag1" MAILBOX folder2 UIDVALIDITY ...) UID ALL 1',
        '* ESEARCH (TAG "tag1" MAILBOX folder2/banana UIDVALIDITY ...) UID ALL 1',
        '* ESEARCH (TAG "tag1" MAILBOX folder2/peach UIDVALIDITY ...) UID ALL 1',
        '* ESEARCH (TAG "tag1" MAILBOX folder2/peach/stone UIDVALIDITY ...) UID ALL 1',
        "tag1 OK ESEARCH completed",
        '* ESEARCH (TAG "tag2" MAILBOX folder2/banana UIDVALIDITY ...) UID ALL 1',
        "tag2 OK ESEARCH completed",
    )


async def test_uid_validity_is_that_of_the_mailbox(imap: Imap) -> None:
    client = await fruit(imap)
    for folder in FOLDERS[:2]:
        (status,) = await client.ok(f"STATUS {folder} (UIDVALIDITY)")
        (told,) = await client.ok(f"ESEARCH IN (mailboxes {folder}) ALL")
        (validity,) = re.findall(r"UIDVALIDITY \d+", status)
        assert validity in told


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("sources", "folders"),
    [
        ("personal", ["INBOX", *FOLDERS]),
        ("inboxes", ["INBOX"]),
        ("INBOXES SUBTREE folder2/peach", ["INBOX", *FOLDERS[3:]]),
        ("subscribed", ["INBOX", "folder1"]),
        ("subtree folder2", [*FOLDERS[1:]]),
        ("subtree-one folder2", [*FOLDERS[1:4]]),
        ("subtree-one (folder2/peach folder1)", ["folder1", *FOLDERS[3:]]),
        ("mailboxes (folder1 nowhere inbox)", ["INBOX", "folder1"]),
        ("mailboxes folder1 mailboxes folder1 personal", ["INBOX", *FOLDERS]),
        ("mailboxes nowhere", []),
        ('mailboxes "folder%"', []),
        ("mailboxes folder2*", None),
    ],
)
async def test_sources(imap: Imap, sources: str, folders: list[str] | None) -> None:
    client = await fruit(imap)
    await client.append("INBOX", small(7))
    await client.ok("SUBSCRIBE folder1")
    if folders is None:
        await client.bad(f"ESEARCH IN ({sources}) UNSEEN")
        return
    told = found(await client.ok(f"ESEARCH IN ({sources}) UNSEEN"))
    assert told == dict.fromkeys(sorted(folders), "ALL 1")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("RETURN () ", "ALL 1:2"),
        ("RETURN (COUNT) ", "COUNT 2"),
        ("RETURN (MIN MAX COUNT) ", "MIN 1 MAX 2 COUNT 2"),
        ("RETURN (PARTIAL 2:9) ", "PARTIAL (2:9 2)"),
        ("RETURN (PARTIAL 5:9) ", "PARTIAL (5:9 NIL)"),
    ],
)
async def test_result_options(imap: Imap, options: str, answer: str) -> None:
    client = await fruit(imap)
    told = found(await client.ok(f"ESEARCH IN (mailboxes (folder1 folder2)) {options}ALL"))
    assert told == {"folder1": answer, "folder2": answer}
    assert await client.ok(f"ESEARCH IN (personal) {options}SUBJECT nothing") == []


async def test_relevancy_and_modseqs(imap: Imap) -> None:
    client = await fruit(imap)
    lines = await client.ok(
        "ESEARCH IN (mailboxes folder1) RETURN (ALL RELEVANCY) FUZZY BODY numbers"
    )
    assert found(lines) == {"folder1": "ALL 1:2 RELEVANCY (60 60)"}
    (status,) = await client.ok("STATUS folder1 (HIGHESTMODSEQ)")
    (highest,) = re.findall(r"HIGHESTMODSEQ (\d+)", status)
    lines = await client.ok("ESEARCH IN (mailboxes folder1) MODSEQ 1")
    assert found(lines) == {"folder1": f"ALL 1:2 MODSEQ {highest}"}
    (line,) = found(
        await client.ok("ESEARCH IN (mailboxes folder1) RETURN (MIN) MODSEQ 1")
    ).values()
    told = re.fullmatch(r"MIN 1 MODSEQ (\d+)", line)
    assert told
    assert int(told[1]) < int(highest)


async def test_the_selected_mailbox(imap: Imap) -> None:
    client = await fruit(imap)
    await client.bad("ESEARCH UNSEEN")
    await client.bad("ESEARCH IN (selected) UNSEEN")
    await client.bad("ESEARCH IN (personal selected) UNSEEN")
    await client.ok("SELECT folder2")
    assert found(await client.ok("ESEARCH UNSEEN")) == {"folder2": "ALL 1"}
    assert found(await client.ok("ESEARCH IN (selected) RETURN (COUNT) SUBJECT 99")) == {
        "folder2": "COUNT 1"
    }
    assert await client.ok("ESEARCH IN (selected) RETURN (COUNT) FLAGGED") == []
    told = found(await client.ok("ESEARCH IN (selected mailboxes folder1) SEEN"))
    assert told == {"folder1": "ALL 2", "folder2": "ALL 2"}
    assert await client.ok("UID SEARCH SEEN") == ["* SEARCH 2"]


async def test_another_mailbox_stays_selected(imap: Imap) -> None:
    client = await fruit(imap)
    await client.ok("SELECT folder1")
    assert len(await client.ok("ESEARCH IN (personal) ALL")) == len(FOLDERS)
    assert await client.ok("UID SEARCH SUBJECT 1") == ["* SEARCH 1"]


async def test_what_the_session_does_not_know_yet_is_not_told(imap: Imap) -> None:
    first = await fruit(imap)
    await first.ok("SELECT folder1")
    second = await imap.login()
    await second.append("folder1", small(8))
    lines = await first.ok("ESEARCH IN (mailboxes (folder1 folder2)) UNSEEN")
    assert "* 3 EXISTS" in lines
    assert found([line for line in lines if "ESEARCH" in line])["folder2"] == "ALL 1"
    lines = await first.ok("ESEARCH IN (mailboxes (folder1 folder2)) UNSEEN")
    assert found(lines) == {"folder1": "ALL 1,3", "folder2": "ALL 1"}


async def test_numbers(imap: Imap) -> None:
    client = await fruit(imap)
    other = "ESEARCH IN (mailboxes (folder1 Trash))"
    assert found(await client.ok(f"{other} 2")) == {"folder1": "ALL 2"}
    assert found(await client.ok(f"{other} *")) == {"folder1": "ALL 2"}
    assert found(await client.ok(f"{other} 9:*")) == {"folder1": "ALL 2"}
    assert await client.ok(f"{other} 3:100") == []
    assert found(await client.ok(f"{other} UID 4294967295:*")) == {"folder1": "ALL 2"}
    assert found(await client.ok(f"{other} NOT UID 2")) == {"folder1": "ALL 1"}
    assert await client.ok(f"{other} RECENT") == []
    assert found(await client.ok(f"{other} OLD 1")) == {"folder1": "ALL 1"}


async def test_numbers_of_the_selected_mailbox_are_the_sessions(imap: Imap) -> None:
    client, other = await fruit(imap), await imap.select("folder1")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("SELECT folder1")
    await other.ok("EXPUNGE")
    # Number 2 is still the second message here; folder2 has a second message, too.
    told = [
        line
        for line in await client.ok("ESEARCH IN (mailboxes (folder1 folder2)) 2")
        if "ESEARCH" in line
    ]
    assert found(told) == {"folder1": "ALL 2", "folder2": "ALL 2"}


async def test_saving(imap: Imap) -> None:
    client = await fruit(imap)
    await client.bad("ESEARCH IN (mailboxes folder1) RETURN (SAVE) ALL")
    await client.ok("SELECT folder1")
    await client.bad("ESEARCH IN (personal) RETURN (SAVE) ALL")
    await client.bad("ESEARCH IN (selected mailboxes folder2) RETURN (SAVE) ALL")
    assert await client.ok("ESEARCH RETURN (SAVE) SEEN") == []
    assert found(await client.ok("ESEARCH IN (selected) $")) == {"folder1": "ALL 2"}
    assert await client.ok("UID SEARCH $") == ["* SEARCH 2"]
    await client.bad("ESEARCH IN (personal) $")
    assert found(await client.ok("ESEARCH RETURN (SAVE COUNT) ALL")) == {"folder1": "COUNT 2"}
    assert await client.ok("UID SEARCH $") == ["* SEARCH 1 2"]
    assert await client.ok("ESEARCH RETURN (SAVE COUNT) FLAGGED") == []
    assert await client.ok("UID SEARCH $") == ["* SEARCH"]


async def test_uid_only(imap: Imap) -> None:
    client = await fruit(imap)
    await client.ok("ENABLE UIDONLY")
    assert found(await client.ok("ESEARCH IN (mailboxes folder1) UID 1")) == {"folder1": "ALL 1"}
    _, done = await client.transact("ESEARCH IN (mailboxes folder1) 1")
    assert done.startswith("BAD [UIDREQUIRED] ")


async def test_names_in_utf8_or_not(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE &AOk-")
    await client.append("&AOk-", small(1))
    assert found(await client.ok("ESEARCH IN (mailboxes &AOk-) ALL")) == {"&AOk-": "ALL 1"}
    await client.ok("ENABLE IMAP4rev2")
    await client.send('u ESEARCH IN (subtree "é") ALL\r\n'.encode())
    (line,), _ = await client.finish("u")
    assert 'MAILBOX "é" UIDVALIDITY' in line


async def test_filters_charsets_and_comparators(imap: Imap) -> None:
    client = await fruit(imap)
    await client.ok('SETMETADATA "" (/private/filters/values/new "UNSEEN SUBJECT message")')
    here = "ESEARCH IN (mailboxes folder1)"
    assert found(await client.ok(f"{here} FILTER new")) == {"folder1": "ALL 1"}
    await client.no(f"{here} FILTER old", "NO [UNDEFINED-FILTER old] ...")
    assert found(await client.ok(f"{here} CHARSET UTF-8 SUBJECT MESSAGE UNSEEN")) == {
        "folder1": "ALL 1"
    }
    await client.no(f"{here} CHARSET X-NONE SUBJECT MESSAGE", "NO [BADCHARSET ...] ...")
    await client.ok("COMPARATOR i;octet")
    assert await client.ok(f"{here} SUBJECT MESSAGE") == []
    assert found(await client.ok(f"{here} SUBJECT message UNSEEN")) == {"folder1": "ALL 1"}


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        " IN () ALL",
        " IN (bogus) ALL",
        ' IN ("personal") ALL',
        " IN (selected-delayed) ALL",
        " IN (subtree-one) ALL",
        " IN (subtree-one ) ALL",
        " IN (subtree (INBOX) ) ALL",
        " IN (mailboxes ()) ALL",
        " IN (personal (option)) ALL",
        " IN (personal)",
        " IN (personal) RETURN (BOGUS) ALL",
        " IN (personal) RETURN (ALL PARTIAL 1:2) ALL",
        " IN (personal) BOGUS",
        " IN (personal)ALL",
        f" IN ({' '.join(['personal'] * 60)}) ALL",
    ],
)
async def test_bad_input(imap: Imap, arguments: str) -> None:
    client = await imap.login()
    await client.bad(f"ESEARCH{arguments}")
    assert await client.ok("ESEARCH IN (personal) ALL") == []


async def test_it_needs_somebody_who_has_signed_in(imap: Imap) -> None:
    client = await imap.connect()
    await client.bad("ESEARCH IN (personal) ALL")


async def test_nobody_elses_mail_is_searched(imap: Imap) -> None:
    client = await fruit(imap)
    person = await imap.system.person()
    await client.ok("UNAUTHENTICATE")
    await client.ok(f'LOGIN "{person.name}" "{person.password}"')
    assert await client.ok("ESEARCH IN (personal subtree folder2) SUBJECT message") == []


async def test_what_it_costs(imap: Imap, alone: FrontAlone) -> None:
    client = await fruit(imap)
    await client.ok("SELECT folder1")
    alone.calls.clear()
    await client.ok("ESEARCH IN (personal) SUBJECT message")
    assert alone.calls.made == {"search_many": 1}
    alone.calls.clear()
    await client.ok("ESEARCH UNSEEN")
    assert alone.calls.made == {}


async def test_a_search_that_the_store_refuses(imap: Imap, alone: FrontAlone) -> None:
    client = await fruit(imap)
    alone.calls.faults["search_many"] = [PostroomError(Kind.LIMIT_EXCEEDED, "too much")]
    await client.no("ESEARCH IN (personal) ALL", "NO [LIMIT] ...")
    assert len(await client.ok("ESEARCH IN (personal) ALL")) == len(FOLDERS)


async def test_a_mailbox_that_is_deleted_is_not_searched(imap: Imap) -> None:
    first, second = await fruit(imap), await imap.login()
    await second.ok("DELETE folder2/banana")
    assert "folder2/banana" not in found(await first.ok("ESEARCH IN (subtree folder2) ALL"))
    await second.ok("RENAME folder2/peach plum")
    told = found(await first.ok("ESEARCH IN (personal) ALL"))
    assert {"plum", "plum/stone"} <= told.keys()
