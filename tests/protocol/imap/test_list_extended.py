"""LIST's options (RFC 9051 section 6.3.9.8, RFC 5258, RFC 5819): the RFCs' own examples.

Their hierarchies are made below other names: an account here has Archive, Drafts, Junk, Sent and
Trash from the start, all subscribed.
"""

from __future__ import annotations

import pytest

from tests.protocol.imap.client import ImapClient, matches
from tests.protocol.imap.system import Imap, small


async def grown(imap: Imap, mailboxes: str, subscribed: str = "") -> ImapClient:
    """A client of somebody with some mailboxes beside the first ones, and these subscriptions."""
    client = await imap.login()
    for name in "Archive Drafts INBOX Junk Sent Trash".split():
        await client.ok(f"UNSUBSCRIBE {name}")
    for name in "Archive Drafts Junk Sent Trash".split():
        await client.ok(f"DELETE {name}")
    for name in mailboxes.split():
        await client.ok(f"CREATE {name}")
    for name in subscribed.split():
        await client.ok(f"SUBSCRIBE {name}")
    return client


def told(responses: list[str]) -> list[str]:
    """LIST responses without what LIST always tells of children."""
    found = []
    for line in responses:
        for attribute in ("\\HasNoChildren", "\\HasChildren"):
            line = line.replace(attribute, "").replace("( ", "(").replace(" )", ")")
        found.append(line.replace("  ", " ").removeprefix("* LIST "))
    return found


FRUIT = "Fruit/Apple Fruit/Banana Tofu Vegetable/Broccoli Vegetable/Corn"
EATEN = "INBOX Fruit/Banana Fruit/Peach Vegetable Vegetable/Broccoli"


async def test_examples_1_to_6(imap: Imap) -> None:
    client = await grown(imap, FRUIT, EATEN)
    everything = told(await client.ok('LIST "" "*"'))
    assert everything == [
        '() "/" Fruit',
        '() "/" Fruit/Apple',
        '() "/" Fruit/Banana',
        '() "/" INBOX',
        '() "/" Tofu',
        '() "/" Vegetable',
        '() "/" Vegetable/Broccoli',
        '() "/" Vegetable/Corn',
    ]
    subscribed = [
        '(\\Subscribed) "/" Fruit/Banana',
        '(\\NonExistent \\Noselect \\Subscribed) "/" Fruit/Peach',
        '(\\Subscribed) "/" INBOX',
        '(\\Subscribed) "/" Vegetable',
        '(\\Subscribed) "/" Vegetable/Broccoli',
    ]
    assert told(await client.ok('LIST (SUBSCRIBED) "" "*"')) == subscribed
    assert await client.ok('LIST () "" "%" RETURN (CHILDREN)') == [
        '* LIST (\\HasChildren) "/" Fruit',
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasNoChildren) "/" Tofu',
        '* LIST (\\HasChildren) "/" Vegetable',
    ]
    # No mailbox is on another server.
    assert told(await client.ok('LIST (REMOTE) "" "*"')) == everything
    assert told(await client.ok('LIST (REMOTE SUBSCRIBED) "" "*"')) == subscribed
    with_state = told(await client.ok('LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)'))
    assert with_state == [
        line.replace("()", "(\\Subscribed)") if line.split()[-1] in EATEN.split() else line
        for line in everything
    ]


@pytest.mark.parametrize(
    ("subscribed", "options", "wanted"),
    [
        ("Foo/Baz", "", ['() "/" Foo ("CHILDINFO" ("SUBSCRIBED"))']),
        ("Foo/Baz Foo", "", ['(\\Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))']),
        (
            "Gone/Baz",
            "",
            ['(\\NonExistent \\Noselect) "/" Gone ("CHILDINFO" ("SUBSCRIBED"))'],
        ),
        ("", "", []),
        ("Foo Moo", " RETURN (CHILDREN)", ['(\\Subscribed) "/" Foo', '(\\Subscribed) "/" Moo']),
    ],
)
async def test_example_7(imap: Imap, subscribed: str, options: str, wanted: list[str]) -> None:
    client = await grown(imap, "Foo/Bar Foo/Baz Moo", subscribed)
    recursive = await client.ok(f'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"{options}')
    assert told(recursive) == wanted


async def test_example_8(imap: Imap) -> None:
    mailboxes = "foo2/bar1 foo2/bar2 baz2/bar2 baz2/bar22 baz2/bar222 eps2/mamba qux2/bar2"
    subscribed = f"{mailboxes} eps2"
    client = await grown(imap, mailboxes, subscribed)
    assert told(await client.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')) == [
        '(\\Subscribed) "/" baz2/bar2',
        '(\\Subscribed) "/" baz2/bar22',
        '(\\Subscribed) "/" baz2/bar222',
        '(\\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))',
        '() "/" foo2 ("CHILDINFO" ("SUBSCRIBED"))',
        '(\\Subscribed) "/" foo2/bar2',
        '(\\Subscribed) "/" qux2/bar2',
    ]
    # Of a name that is wanted itself CHILDINFO is told even where its inferiors are told too.
    everything = told(await client.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*"'))
    assert '(\\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))' in everything
    assert len(everything) == len(subscribed.split())


async def test_example_9(imap: Imap) -> None:
    client = await grown(imap, "foo", "foo/bar")
    assert told(await client.ok('LIST "" ("foo")')) == ['() "/" foo']
    assert told(await client.ok('LIST (SUBSCRIBED) "" "foo/*"')) == [
        '(\\NonExistent \\Noselect \\Subscribed) "/" foo/bar'
    ]
    recursive = await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)')
    assert recursive == ['* LIST (\\HasNoChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))']


async def test_several_patterns_tell_a_mailbox_once(imap: Imap) -> None:
    client = await grown(imap, "music/rock")
    assert told(await client.ok('LIST "" (music/rock m* %/rock)')) == [
        '() "/" music',
        '() "/" music/rock',
    ]


async def test_special_uses_of_inferiors(imap: Imap) -> None:
    client = await imap.login()
    await client.ok("CREATE mine/sent (USE (\\Sent))")
    assert await client.ok('LIST (SPECIAL-USE RECURSIVEMATCH) "" m%') == [
        '* LIST (\\HasChildren) "/" mine ("CHILDINFO" ("SPECIAL-USE"))'
    ]


@pytest.mark.parametrize(
    "command",
    [
        'LIST (RECURSIVEMATCH) "" "*"',
        'LIST (RECURSIVEMATCH REMOTE) "" "*"',
        'LIST (FROB) "" "*"',
        'LIST "" "*" RETURN (FROB)',
        'LIST "" "*" RETURN (STATUS)',
        'LIST "" "*" RETURN (STATUS ())',
        'LIST "" "*" RETURN (STATUS (FROB))',
        'LIST "" ()',
    ],
)
async def test_what_is_no_list(imap: Imap, command: str) -> None:
    client = await imap.login()
    await client.bad(command)


async def test_status_of_each(imap: Imap) -> None:
    """RFC 5819 section 3."""
    client = await grown(imap, "foo bar/inner")
    await client.ok("DELETE bar")
    for number in (1, 2):
        await client.append("foo", small(number))
    await client.append("INBOX", small(1), "(\\Seen)")
    assert await client.ok('LIST "" % RETURN (STATUS (MESSAGES UNSEEN))') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        "* STATUS INBOX (MESSAGES 1 UNSEEN 0)",
        '* LIST (\\Noselect \\HasChildren) "/" bar',
        '* LIST (\\HasNoChildren) "/" foo',
        "* STATUS foo (MESSAGES 2 UNSEEN 2)",
    ]


async def test_status_of_those_alone_that_are_wanted(imap: Imap) -> None:
    client = await grown(imap, "foo/inner", "INBOX foo/inner gone")
    listed = await client.ok(
        'LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (CHILDREN STATUS (MESSAGES))'
    )
    assert listed == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        "* STATUS INBOX (MESSAGES 0)",
        '* LIST (\\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))',
        '* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) "/" gone',
    ]


async def test_status_of_the_selected_mailbox_in_a_list(imap: Imap) -> None:
    client = await imap.select(messages=2)
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    _, line = await client.ok('LIST "" INBOX RETURN (STATUS (DELETED SIZE DELETED-STORAGE))')
    size = len(small(1)) + len(small(2))
    assert line == f"* STATUS INBOX (DELETED 1 SIZE {size} DELETED-STORAGE {len(small(1))})"


async def test_object_ids_in_a_list(imap: Imap) -> None:
    """RFC 8474 section 4.3."""
    client = await grown(imap, "foo bar")
    before = await client.ok('LIST "" "*" RETURN (STATUS (MAILBOXID))')
    ids = [line.partition(" (MAILBOXID ")[2] for line in before[1::2]]
    assert len({*ids}) == len(ids) == 3
    assert all(matches(one, "(F...))") for one in ids)
    await client.ok("RENAME foo renamed")
    after = await client.ok('LIST "" renamed RETURN (STATUS (MAILBOXID))')
    assert after[1] == before[5].replace("foo", "renamed")
