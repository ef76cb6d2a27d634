"""URLAUTH (RFC 4467), URLAUTH=BINARY (RFC 5524): URLs that let others read one part."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap, Person, small

TEXT = b"Si vis pacem, para bellum.\r\n"
IMAGE = bytes(range(256)) * 2
MESSAGE = (
    b"Subject: adages\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\n" + TEXT + b"\r\n--b\r\nContent-Type: image/png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(IMAGE) + b"\r\n"
    b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: X-BLURDYBLOOP\r\n\r\n"
    b"x\r\n--b--\r\n"
)


def rump(person: Person, rest: str = "INBOX/;uid=1/;section=1", access: str = "authuser") -> str:
    return f"imap://{quote(person.name)}@mail.example.org/{rest};urlauth={access}"


async def owner(imap: Imap, mailbox: str = "INBOX") -> ImapClient:
    client = await imap.login()
    await client.append(mailbox, MESSAGE)
    return client


async def stranger(imap: Imap) -> tuple[Person, ImapClient]:
    person = await imap.system.person()
    client = await imap.system.connect()
    await client.hear()
    await client.ok(f'LOGIN "{person.name}" "{person.password}"')
    return person, client


async def authorized(client: ImapClient, url: str) -> str:
    (told,) = await client.ok(f'GENURLAUTH "{url}" INTERNAL')
    prefix = f'* GENURLAUTH "{url}:internal:'
    assert told.startswith(prefix)
    token = told.removeprefix(prefix).removesuffix('"')
    assert len(token) >= 32
    assert int(token, 16)
    return f"{url}:internal:{token}"


async def test_the_example(imap: Imap) -> None:
    client = await owner(imap)
    _, other = await stranger(imap)
    url = await authorized(client, rump(imap.person))
    for someone in (client, other):
        assert await someone.ok(f'URLFETCH "{url}"') == [
            f'* URLFETCH "{url}" {{{len(TEXT)}}}\r\n{TEXT.decode()}'
        ]
    # Nothing is marked as read by it, and no mailbox need be selected.
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]


async def test_the_mechanism_is_told(imap: Imap) -> None:
    client = await owner(imap)
    assert "* OK [URLMECH INTERNAL] URLs can be authorized" in await client.ok("SELECT INBOX")
    _, done = await client.transact("RESETKEY INBOX INTERNAL")
    assert done.startswith("OK [URLMECH INTERNAL] ")
    await client.bad("RESETKEY INBOX XSAMPLE")
    await client.no("RESETKEY nowhere", "NO [NONEXISTENT] ...")


async def test_several_urls(imap: Imap) -> None:
    client = await owner(imap)
    await client.append("INBOX", small(2))
    first, second = rump(imap.person), rump(imap.person, "INBOX/;uid=2", "anonymous")
    (told,) = await client.ok(f'GENURLAUTH "{first}" INTERNAL "{second}" internal')
    urls = [piece.strip('"') for piece in told.removeprefix("* GENURLAUTH ").split(" ")]
    assert [url.rpartition(":internal:")[0] for url in urls] == [first, second]
    heard = await client.ok(f'URLFETCH "{urls[1]}" nonsense "{urls[0]}"')
    assert heard == [
        f'* URLFETCH "{urls[1]}" {{{len(small(2))}}}\r\n{small(2).decode()}',
        '* URLFETCH "nonsense" NIL',
        f'* URLFETCH "{urls[0]}" {{{len(TEXT)}}}\r\n{TEXT.decode()}',
    ]


async def test_nothing_of_a_url_can_be_changed(imap: Imap) -> None:
    client = await owner(imap)
    _, other = await stranger(imap)
    url = await authorized(
        client, rump(imap.person, "INBOX/;uid=1/;section=1;expire=2100-01-01T00:00:00Z")
    )
    token = url.rpartition(":")[2]
    forged = [
        url.replace("section=1", "section=2"),
        url.replace("uid=1", "uid=2"),
        url.replace("2100", "2101"),
        url.replace("INBOX", "Drafts"),
        url.replace("authuser", "anonymous"),
        url.replace("mail.example.org", "other.example.org"),
        url.replace(":internal:", ":XSAMPLE:"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace(token, "0" * len(token)),
        url.replace(token, "0" * 32),
        url.replace(token, "02" + token[2:]),
        url.replace(token, token[:2] + "0" * 15 + "9" + token[18:]),
        url.partition(":internal:")[0],
        "/INBOX/;uid=1",
    ]
    for bad in forged:
        assert bad != url
        assert await other.ok(f'URLFETCH "{bad}"') == [f'* URLFETCH "{bad}" NIL']
    assert "NIL" not in (await other.ok(f'URLFETCH "{url}"'))[0]


async def test_whom_it_is_for(imap: Imap) -> None:
    client = await owner(imap)
    person, other = await stranger(imap)
    _, third = await stranger(imap)
    name = quote(person.name)
    readers = {f"user+{name}": [other], "authuser": [client, other, third], f"submit+{name}": []}
    for access, allowed in readers.items():
        url = await authorized(client, rump(imap.person, access=access))
        for someone in (client, other, third):
            (line,) = await someone.ok(f'URLFETCH "{url}"')
            assert line.endswith(" NIL") == (someone not in allowed), (access, line)


async def test_it_expires(imap: Imap) -> None:
    client = await owner(imap)
    past = await authorized(
        client, rump(imap.person, "INBOX/;uid=1;expire=2001-02-03T04:05:06+01:00")
    )
    assert await client.ok(f'URLFETCH "{past}"') == [f'* URLFETCH "{past}" NIL']


async def test_it_is_taken_back(imap: Imap) -> None:
    client = await owner(imap)
    await client.append("Drafts", MESSAGE)
    inbox = await authorized(client, rump(imap.person))
    drafts = await authorized(client, rump(imap.person, "Drafts/;uid=1/;section=1"))

    async def opens(url: str) -> bool:
        (line,) = await client.ok(f'URLFETCH "{url}"')
        return not line.endswith(" NIL")

    assert await opens(inbox)
    await client.ok("RESETKEY INBOX")
    assert not await opens(inbox)
    assert await opens(drafts)
    again = await authorized(client, rump(imap.person))
    assert again != inbox
    await client.ok("RESETKEY")
    assert not await opens(again)
    assert not await opens(drafts)


async def test_a_mailbox_of_the_same_name_is_another(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE folder")
    await client.append("folder", MESSAGE)
    url = await authorized(client, rump(imap.person, "folder/;uid=1/;section=1"))
    await client.ok("DELETE folder")
    await client.ok("CREATE folder")
    await client.append("folder", MESSAGE)
    assert await client.ok(f'URLFETCH "{url}"') == [f'* URLFETCH "{url}" NIL']


async def test_uid_validity_parts_and_ranges(imap: Imap) -> None:
    client = await owner(imap)
    (told,) = await client.ok("STATUS INBOX (UIDVALIDITY)")
    validity = told.rstrip(")").rpartition(" ")[2]
    found = {
        f"INBOX;UIDVALIDITY={validity}/;uid=1/;section=1": TEXT,
        "INBOX;UIDVALIDITY=1/;uid=1/;section=1": None,
        "INBOX/;uid=1/;section=1/;partial=3.3": b"vis",
        "INBOX/;uid=1/;section=HEADER.FIELDS%20(Subject)": b"Subject: adages\r\n\r\n",
        "INBOX/;uid=1/;section=9": None,
        "INBOX/;uid=77": None,
    }
    for rest, data in found.items():
        url = await authorized(client, rump(imap.person, rest))
        (line,) = await client.ok(f'URLFETCH "{url}"')
        told = line.removeprefix(f'* URLFETCH "{url}" ')
        if data is None:
            assert told == "NIL"
        else:
            assert told in (f'"{data.decode()}"', f"{{{len(data)}}}\r\n{data.decode()}")


async def test_binary(imap: Imap) -> None:
    client = await owner(imap)
    image = await authorized(client, rump(imap.person, "INBOX/;uid=1/;section=2"))
    data = IMAGE.decode("utf-8", "surrogateescape")
    assert await client.ok(f'URLFETCH ("{image}" BODYPARTSTRUCTURE BINARY)') == [
        f'* URLFETCH "{image}" (BODYPARTSTRUCTURE ("image" "png" NIL NIL NIL "binary" {len(IMAGE)}'
        f" NIL NIL NIL NIL)) (BINARY ~{{{len(IMAGE)}}}\r\n{data})"
    ]
    text = await authorized(client, rump(imap.person))
    assert await client.ok(f'URLFETCH ("{text}" BINARY) ("{text}" BODY) ("{text}")') == [
        f'* URLFETCH "{text}" (BINARY {{28}}\r\n{TEXT.decode()})',
        f'* URLFETCH "{text}" (BODY {{28}}\r\n{TEXT.decode()})',
        f'* URLFETCH "{text}" {{28}}\r\n{TEXT.decode()}',
    ]
    unknown = await authorized(client, rump(imap.person, "INBOX/;uid=1/;section=3"))
    assert await client.ok(f'URLFETCH ("{unknown}" BINARY BODYPARTSTRUCTURE)') == [
        f'* URLFETCH "{unknown}" (BINARY NIL) (BODYPARTSTRUCTURE ("text" "plain" ("charset"'
        ' "us-ascii") NIL NIL "x-blurdybloop" 1 0 NIL NIL NIL NIL))'
    ]
    nothing = unknown + "00"
    assert await client.ok(f'URLFETCH ("{nothing}" BINARY)') == [f'* URLFETCH "{nothing}" NIL']


async def test_a_large_part(imap: Imap) -> None:
    client = await imap.login()
    data = bytes(range(256)) * 12_000
    head = b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    await client.append("INBOX", head + base64.encodebytes(data).replace(b"\n", b"\r\n"))
    url = await authorized(client, rump(imap.person))
    (line,) = await client.ok(f'URLFETCH ("{url}" BINARY)')
    told = data.decode("utf-8", "surrogateescape")
    assert line == f'* URLFETCH "{url}" (BINARY ~{{{len(data)}}}\r\n{told})'


@pytest.mark.parametrize(
    "rest",
    [
        "{own}INBOX;urlauth=authuser",
        "{own}INBOX/;uid=1",
        "{own}nowhere/;uid=1;urlauth=authuser",
        "{own}INBOX/;uid=1;urlauth=nobody",
        "{own}INBOX/;uid=1;urlauth=authuser:internal:91354a473744909de610943775f92038",
        "imap://mail.example.org/INBOX/;uid=1;urlauth=authuser",
        "imap://somebody%40example.org@mail.example.org/INBOX/;uid=1;urlauth=authuser",
        "/INBOX/;uid=1;urlauth=authuser",
        "nonsense",
    ],
)
async def test_what_is_not_authorized(imap: Imap, rest: str) -> None:
    client = await owner(imap)
    url = rest.replace("{own}", f"imap://{quote(imap.person.name)}@mail.example.org/")
    await client.bad(f'GENURLAUTH "{rump(imap.person)}" INTERNAL "{url}" INTERNAL')


async def test_bad_arguments(imap: Imap) -> None:
    client = await owner(imap)
    for command in (
        "GENURLAUTH",
        f'GENURLAUTH "{rump(imap.person)}"',
        f'GENURLAUTH "{rump(imap.person)}" XSAMPLE',
        "URLFETCH",
        "URLFETCH (x SIZE)",
        "URLFETCH (x BODY BINARY)",
        "URLFETCH (x BODY BODY)",
        "URLFETCH (x BODY",
        "RESETKEY INBOX ",
    ):
        await client.bad(command)
    await client.bad("URLFETCH " + " ".join(["x"] * 101))
    await client.send(b'a URLFETCH {3+}\r\n\xff"]\r\n')
    heard, done = await client.finish("a")
    assert done.startswith("OK ")
    assert heard[0].endswith(" NIL")
