"""METADATA (RFC 5464), LIST-METADATA (RFC 9590), /private/specialuse (RFC 6154 section 4)."""

from __future__ import annotations

import pytest

from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small

MOST_BYTES = 65_536
SERVER = {"server_comment": "Shared comment", "server_admin": "mailto:postmaster@example.org"}


async def test_comments_of_a_mailbox(imap: Imap) -> None:
    """RFC 5464 sections 4.2, 4.3."""
    client = await imap.login()
    comments = '(/private/comment "My own comment" /shared/comment "Shared comment")'
    assert await client.ok(f"SETMETADATA INBOX {comments}") == []
    assert await client.ok("GETMETADATA INBOX /private/comment") == [
        '* METADATA INBOX (/private/comment "My own comment")'
    ]
    assert await client.ok("GETMETADATA INBOX (/shared/comment /private/COMMENT)") == [
        '* METADATA INBOX (/private/comment "My own comment" /shared/comment "Shared comment")'
    ]
    await client.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert await client.ok("GETMETADATA INBOX /private/comment") == [
        "* METADATA INBOX (/private/comment NIL)"
    ]
    await client.no("GETMETADATA nowhere /private/comment", "NO [NONEXISTENT] ...")
    await client.no("SETMETADATA nowhere (/private/comment NIL)", "NO [NONEXISTENT] ...")


async def test_several_lines_and_any_octets(imap: Imap) -> None:
    client = await imap.login()
    lines = "My new comment across\r\ntwo lines.\r\n"
    tag = await client.start(f"SETMETADATA INBOX (/private/comment {{{len(lines)}}}")
    await client.expect("+ ...")
    await client.send(f"{lines})\r\n".encode())
    assert (await client.finish(tag))[1].startswith("OK")
    (told,) = await client.ok("GETMETADATA INBOX /private/comment")
    assert told == f"* METADATA INBOX (/private/comment {{{len(lines)}}}\r\n{lines})"
    await client.send(b"b SETMETADATA INBOX (/private/comment ~{3+}\r\n\0\r\n)\r\n")
    assert (await client.finish("b"))[1].startswith("OK")
    tag = await client.start("GETMETADATA INBOX /private/comment")
    assert await client.hear() == b"* METADATA INBOX (/private/comment ~{3}\r\n\0\r\n)"


async def test_only_short_values(imap: Imap) -> None:
    """RFC 5464 section 4.2.1, by its grammar and by its example."""
    client = await imap.login()
    long = "x" * 2199
    await client.ok(f'SETMETADATA INBOX (/shared/comment "{long}" /private/comment "short")')
    for command in (
        "GETMETADATA (MAXSIZE 1024) INBOX (/shared/comment /private/comment)",
        "GETMETADATA INBOX (MAXSIZE 1024) (/shared/comment /private/comment)",
    ):
        told, done = await client.transact(command)
        assert told == ['* METADATA INBOX (/private/comment "short")']
        assert done.startswith("OK [METADATA LONGENTRIES 2199] ")


async def test_entries_below(imap: Imap) -> None:
    """RFC 5464 section 4.2.2."""
    client = await imap.login()
    below = "/private/filters/values"
    values = f'({below}/small "SMALLER 5000" {below}/boss "FROM boss" {below}/boss/deep "x")'
    await client.ok(f"SETMETADATA INBOX {values}")
    await client.ok('SETMETADATA INBOX (/private/filters/values0 "no" /shared/filters "no")')
    assert await client.ok(f"GETMETADATA INBOX (DEPTH 1) ({below})") == [
        f'* METADATA INBOX ({below}/boss "FROM boss" {below}/small "SMALLER 5000")'
    ]
    (told,) = await client.ok(f"GETMETADATA (DEPTH infinity) INBOX {below}")
    assert f'{below}/boss/deep "x"' in told
    assert "no" not in told
    assert await client.ok(f"GETMETADATA INBOX {below}") == [f"* METADATA INBOX ({below} NIL)"]


@pytest.mark.parametrize("bounds", [SERVER])
async def test_the_server(imap: Imap) -> None:
    """RFC 5464 sections 3.2.1.1, 4.2."""
    client = await imap.login()
    assert await client.ok('GETMETADATA "" /shared/comment') == [
        '* METADATA "" (/shared/comment "Shared comment")'
    ]
    (told,) = await client.ok('GETMETADATA (DEPTH infinity) "" /shared')
    assert '/shared/admin "mailto:postmaster@example.org"' in told
    told_short, done = await client.transact('GETMETADATA (MAXSIZE 3) "" /shared/comment')
    assert (told_short, done.split("]")[0]) == ([], "OK [METADATA LONGENTRIES 14")
    for entry in ("/shared/comment", "/shared/admin", "/shared/vendor/v/x"):
        await client.no(f'SETMETADATA "" ({entry} "mine")', "NO [NOPERM] ...")
    await client.ok('SETMETADATA "" (/private/vendor/v/x "mine")')
    other = await imap.login()
    assert await other.ok('GETMETADATA "" /private/vendor/v/x') == [
        '* METADATA "" (/private/vendor/v/x "mine")'
    ]


async def test_limits(imap: Imap) -> None:
    """RFC 5464 section 4.3. All or none is set."""
    client = await imap.login()
    large = "x" * (MOST_BYTES + 1)
    command = f'SETMETADATA INBOX (/private/a "x" /private/b {{{len(large)}+}}\r\n{large})'
    await client.no(command, f"NO [METADATA MAXSIZE {MOST_BYTES}] ...")
    assert await client.ok("GETMETADATA INBOX /private/a") == ["* METADATA INBOX (/private/a NIL)"]
    for start in (0, 100):
        values = " ".join(f'/private/x/{n} "{n}"' for n in range(start, start + 100))
        await client.ok(f"SETMETADATA INBOX ({values})")
    await client.no('SETMETADATA INBOX (/private/a "x")', "NO [METADATA TOOMANY] ...")
    await client.ok('SETMETADATA INBOX (/private/x/7 "other")')
    await client.ok("SETMETADATA INBOX (/private/x/7 NIL)")
    await client.ok('SETMETADATA INBOX (/private/a "x")')


async def test_annotations_follow_their_mailbox(imap: Imap) -> None:
    """RFC 5464 section 4.1."""
    client = await imap.login()
    await client.ok("CREATE old/inner")
    for name in ("old", "old/inner", "INBOX"):
        await client.ok(f'SETMETADATA {name} (/shared/comment "{name}")')
    await client.append("INBOX", small(1))
    await client.ok("RENAME old new")
    assert await client.ok("GETMETADATA new/inner /shared/comment") == [
        '* METADATA new/inner (/shared/comment "old/inner")'
    ]
    await client.ok("RENAME INBOX kept")
    for name in ("INBOX", "kept"):
        assert await client.ok(f"GETMETADATA {name} /shared/comment") == [
            f'* METADATA {name} (/shared/comment "INBOX")'
        ]
    await client.ok("DELETE new")  # its name stays, \Noselect
    assert await client.ok("GETMETADATA new /shared/comment") == [
        "* METADATA new (/shared/comment NIL)"
    ]
    await client.ok('SETMETADATA new (/shared/comment "a name")')
    await client.ok("DELETE new/inner")
    await client.ok("CREATE new/inner")
    assert await client.ok("GETMETADATA new/inner /shared/comment") == [
        "* METADATA new/inner (/shared/comment NIL)"
    ]


async def test_metadata_of_each_in_a_list(imap: Imap) -> None:
    """RFC 9590 section 4."""
    client = await imap.login()
    await client.ok("CREATE bar/inner")
    await client.ok("DELETE bar")
    await client.ok("SUBSCRIBE gone")
    color = "/shared/vendor/cmu/cyrus-imapd/color"
    await client.ok(f'SETMETADATA INBOX ({color} "#b71c1c")')
    listed = await client.ok(f'LIST "" (INBOX bar) RETURN (METADATA ({color} /private/specialuse))')
    assert listed == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        f'* METADATA INBOX ({color} "#b71c1c" /private/specialuse NIL)',
        '* LIST (\\Noselect \\HasChildren) "/" bar',
        f"* METADATA bar ({color} NIL /private/specialuse NIL)",
    ]
    listed = await client.ok(
        'LIST (SUBSCRIBED) "" (Sent gone) RETURN (METADATA (/private/specialuse) STATUS (MESSAGES))'
    )
    assert listed == [
        '* LIST (\\HasNoChildren \\Subscribed \\Sent) "/" Sent',
        "* STATUS Sent (MESSAGES 0)",
        '* METADATA Sent (/private/specialuse "\\\\Sent")',
        '* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" gone',
    ]
    await client.bad('LIST "" * RETURN (METADATA)')
    await client.bad('LIST "" * RETURN (METADATA (/other))')


async def test_special_uses_as_metadata(imap: Imap) -> None:
    """RFC 6154 section 5.4."""
    client = await imap.login()
    await client.ok("CREATE SavedDrafts")
    assert await client.ok("GETMETADATA Drafts /private/specialuse") == [
        '* METADATA Drafts (/private/specialuse "\\\\Drafts")'
    ]
    await client.ok('SETMETADATA SavedDrafts (/private/specialuse "\\\\Drafts")')
    await client.ok("SETMETADATA Sent (/private/specialuse NIL)")
    assert await client.ok('LIST (SPECIAL-USE) "" (Drafts SavedDrafts Sent Trash)') == [
        '* LIST (\\HasNoChildren \\Drafts) "/" SavedDrafts',
        '* LIST (\\HasNoChildren \\Trash) "/" Trash',
    ]
    assert await client.ok("GETMETADATA Drafts /private/specialuse") == [
        "* METADATA Drafts (/private/specialuse NIL)"
    ]
    for use in ("\\\\All", "\\\\Frob", "Sent"):
        await client.no(f'SETMETADATA Sent (/private/specialuse "{use}")', "NO [USEATTR] ...")
    await client.no('SETMETADATA INBOX (/private/specialuse "\\\\Sent")', "NO [USEATTR] ...")


async def test_others_see_nothing_of_it(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.login()
    await client.ok('SETMETADATA INBOX (/shared/comment "mine" /private/comment "mine")')
    other = Imap(alone, await alone.person())
    stranger = await other.login()
    assert await stranger.ok("GETMETADATA INBOX (/shared/comment /private/comment)") == [
        "* METADATA INBOX (/shared/comment NIL /private/comment NIL)"
    ]
