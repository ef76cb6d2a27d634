"""SORT (RFC 5256), its keys of display names (RFC 5957), and what RETURN makes of it (RFC 5267)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

# Date, From, To, Cc, Subject; they come in this order, each a little larger than the one before.
MAIL = (
    (5, "Zed <ann@example.org>", "mooch@example.net", "", "Re: lunch"),
    (1, "Bob <bob@example.org>", '"Émile" <x@example.net>', "c@example.net", "lunch"),
    (4, "ann@example.org", "adam@example.net", "b@example.net", "[list] Fwd: apples (fwd)"),
    (2, "=?utf-8?q?=C3=84nne?= <zoe@example.org>", "", "", "Äpfel"),
    (3, "carl@example.org", "ben@example.net", "a@example.net", "APPLES"),
)


def message(day: int, sender: str, to: str, cc: str, subject: str, length: int) -> bytes:
    fields = [f"Date: {day} Feb 1994 21:52:25 +0000", f"From: {sender}", f"Subject: {subject}"]
    fields += [f"To: {to}"] if to else []
    fields += [f"Cc: {cc}"] if cc else []
    return "\r\n".join([*fields, "", "x" * length, ""]).encode()


async def filled(imap: Imap) -> ImapClient:
    client = await imap.select()
    for number, each in enumerate(MAIL):
        date = f'" {9 - number}-Feb-1994 00:00:00 +0000"'
        await client.append("INBOX", message(*each, 100 * (number + 1)), date)
    await client.ok("NOOP")
    return client


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        ("DATE", "2 4 5 3 1"),
        ("REVERSE DATE", "1 3 5 4 2"),
        ("ARRIVAL", "5 4 3 2 1"),
        ("SIZE", "1 2 3 4 5"),
        ("REVERSE SIZE", "5 4 3 2 1"),
        ("SUBJECT", "3 5 4 1 2"),
        ("SUBJECT DATE", "5 3 4 2 1"),
        ("SUBJECT REVERSE DATE", "3 5 4 1 2"),
        ("REVERSE SUBJECT DATE", "2 1 4 5 3"),
        ("FROM", "1 3 2 5 4"),
        ("FROM REVERSE SIZE", "3 1 2 5 4"),
        ("TO", "4 3 5 1 2"),
        ("CC", "1 4 5 3 2"),
        ("CC REVERSE ARRIVAL", "1 4 5 3 2"),
        ("DISPLAYFROM", "3 4 2 5 1"),
        ("DISPLAYTO", "4 3 5 2 1"),
        ("REVERSE ARRIVAL SUBJECT DATE", "1 2 3 4 5"),
    ],
)
async def test_keys(imap: Imap, criteria: str, order: str) -> None:
    client = await filled(imap)
    assert await client.ok(f"SORT ({criteria}) UTF-8 ALL") == [f"* SORT {order}"]
    # What is kept from the first time says the same.
    assert await client.ok(f"SORT ({criteria}) UTF-8 ALL") == [f"* SORT {order}"]
    # And so does the store when it is asked for some alone.
    some = " ".join(number for number in order.split() if number in "345")
    other = await imap.select()
    assert await other.ok(f"SORT ({criteria}) US-ASCII LARGER 400 NOT SUBJECT x") == [
        f"* SORT {some}"
    ]


async def test_the_examples_of_the_rfc(imap: Imap) -> None:
    client = await filled(imap)
    assert await client.ok("SORT (SUBJECT) UTF-8 SINCE 7-Feb-1994") == ["* SORT 3 1 2"]
    assert await client.ok("SORT (SUBJECT REVERSE DATE) UTF-8 ALL") == ["* SORT 3 5 4 1 2"]
    assert await client.ok('SORT (SUBJECT) US-ASCII TEXT "not in mailbox"') == ["* SORT"]


async def test_one_of_many(imap: Imap) -> None:
    client = await imap.select(messages=30)
    await client.ok("STORE 3,17,29 +FLAGS.SILENT (\\Flagged)")
    assert await client.ok("SORT (REVERSE ARRIVAL REVERSE SUBJECT) UTF-8 FLAGGED 2:20") == [
        "* SORT 3 17"
    ]
    assert await client.ok("UID SORT (SIZE) UTF-8 UID 29:30") == ["* SORT 29 30"]


async def test_what_comes_and_goes_is_sorted_too(imap: Imap) -> None:
    client = await filled(imap)
    other = await imap.select()
    assert await client.ok("SORT (DATE) UTF-8 ALL") == ["* SORT 2 4 5 3 1"]
    await other.append("INBOX", message(3, "a@example.org", "", "", "new", 5))
    await other.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    assert {"* 4 EXPUNGE", "* 5 EXISTS"} <= set(await client.ok("NOOP"))
    assert await client.ok("SORT (DATE) UTF-8 ALL") == ["* SORT 2 4 5 3 1"]
    assert await client.ok("UID SORT (REVERSE DATE) UTF-8 ALL") == ["* SORT 1 3 5 6 2"]


async def test_numbers_do_not_shift_meanwhile(imap: Imap) -> None:
    client, other = await filled(imap), await imap.select()
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    told = await client.ok("SORT (DATE) UTF-8 ALL")
    assert "* SORT 2 4 5 3" in told[0]
    assert "* 1 EXPUNGE" not in told
    assert "* 1 EXPUNGE" in await client.ok("NOOP")


async def test_modseqs(imap: Imap) -> None:
    client = await imap.select(messages=2)
    (answer,) = [
        line for line in await client.ok("SORT (SUBJECT) UTF-8 MODSEQ 1") if "SORT" in line
    ]
    assert answer.startswith("* SORT 1 2 (MODSEQ ")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ("", "ALL 2,4:5,3,1"),
        ("ALL", "ALL 2,4:5,3,1"),
        ("MIN MAX COUNT", "MIN 2 MAX 1 COUNT 5"),
        ("PARTIAL 2:3", "PARTIAL (2:3 4:5)"),
        ("PARTIAL -1:-2 COUNT", "COUNT 5 PARTIAL (-1:-2 3,1)"),
    ],
)
async def test_return(imap: Imap, options: str, answer: str) -> None:
    """RFC 5267 section 3: in the order asked for, of which MIN is the first."""
    client = await filled(imap)
    await client.send(f"E01 SORT RETURN ({options}) (DATE) UTF-8 ALL\r\n".encode())
    await client.expect(f'* ESEARCH (TAG "E01") {answer}', "E01 OK ...")
    await client.send(f"E02 UID SORT RETURN ({options}) (DATE) UTF-8 ALL\r\n".encode())
    await client.expect(f'* ESEARCH (TAG "E02") UID {answer}', "E02 OK ...")


async def test_what_is_saved(imap: Imap) -> None:
    client = await filled(imap)
    assert await client.ok("SORT RETURN (SAVE) (DATE) UTF-8 SMALLER 500") == []
    assert await client.ok("SORT (REVERSE DATE) UTF-8 $") == await client.ok(
        "SORT (REVERSE DATE) UTF-8 SMALLER 500"
    )
    await client.no("SORT RETURN (SAVE) (DATE) x-none ALL", "NO [BADCHARSET ...] ...")
    assert await client.ok("SORT (DATE) UTF-8 $") == ["* SORT"]


async def test_by_relevancy(imap: Imap) -> None:
    """RFC 6203 section 5: the most relevant first."""
    client = await imap.select()
    for subject in ("The break", "IMAP breaks", "lunch"):
        await client.append("INBOX", f"Subject: {subject}\r\n\r\nx\r\n".encode())
    await client.ok("NOOP")
    assert await client.ok('SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"') == ["* SORT 2 1"]
    assert await client.ok('SORT (REVERSE RELEVANCY) UTF-8 FUZZY SUBJECT "IMAP break"') == [
        "* SORT 1 2"
    ]
    assert await client.ok("SORT (RELEVANCY SUBJECT) UTF-8 FUZZY ALL") == ["* SORT 2 3 1"]
    await client.bad("SORT (RELEVANCY) UTF-8 ALL")


async def test_with_utf_8_a_charset_is_named_all_the_same(imap: Imap) -> None:
    """SORT has one by its grammar; RFC 9755 section 3 forbids it in SEARCH alone."""
    client = await filled(imap)
    await client.ok("ENABLE UTF8=ACCEPT")
    assert await client.ok('SORT (DATE) UTF-8 SUBJECT "Äpfel"') == ["* SORT 4"]


async def test_by_another_comparator(imap: Imap) -> None:
    client = await filled(imap)
    assert await client.ok("SORT (SUBJECT) UTF-8 1:3,5") == ["* SORT 3 5 1 2"]
    await client.ok("COMPARATOR i;octet")
    assert await client.ok("SORT (SUBJECT) UTF-8 1:3,5") == ["* SORT 5 3 1 2"]
    await client.ok("COMPARATOR i;unicode-casemap")
    assert await client.ok("SORT (SUBJECT) UTF-8 1:3,5") == ["* SORT 3 5 1 2"]


async def test_in_a_session_without_numbers(imap: Imap) -> None:
    client = await filled(imap)
    await client.ok("ENABLE UIDONLY")
    await client.bad("SORT (DATE) UTF-8 ALL")
    await client.bad("UID SORT (DATE) UTF-8 1:2")
    assert await client.ok("UID SORT (DATE) UTF-8 UID 1:3") == ["* SORT 2 3 1"]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "() UTF-8 ALL",
        "DATE UTF-8 ALL",
        "(DATE) ALL",
        "(DATE) UTF-8",
        "(COLOUR) UTF-8 ALL",
        "(REVERSE) UTF-8 ALL",
        "(REVERSE REVERSE DATE) UTF-8 ALL",
        "(DATE DATE UTF-8 ALL",
        "RETURN (DATE) (DATE) UTF-8 ALL",
        "(" + "DATE " * 1001 + "DATE) UTF-8 ALL",
    ],
)
async def test_what_is_not_understood(imap: Imap, arguments: str) -> None:
    client = await filled(imap)
    await client.bad(f"SORT {arguments}".rstrip())
    assert await client.ok("SORT (SIZE) UTF-8 ALL") == ["* SORT 1 2 3 4 5"]


async def test_a_charset_that_is_not_known(imap: Imap) -> None:
    client = await filled(imap)
    await client.no("SORT (DATE) x-none ALL", "NO [BADCHARSET ...] ...")
    assert await client.ok('SORT (DATE) ISO-8859-1 SUBJECT "lunch"') == ["* SORT 2 1"]
