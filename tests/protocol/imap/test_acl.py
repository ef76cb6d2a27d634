"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314)."""

from __future__ import annotations

import pytest
from postroom.auth.v1 import account_pb2

from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.sharing import EVERYTHING, share, shared, somebody
from tests.protocol.imap.system import Imap


async def test_capabilities(imap: Imap) -> None:
    client = await imap.login()
    (line,) = await client.ok("CAPABILITY")
    assert {"ACL", "RIGHTS=texkn", "LIST-MYRIGHTS"} <= {*line.split()}


async def test_an_owner_may_do_everything(imap: Imap) -> None:
    client = await imap.login()
    me = imap.person.name
    assert await client.ok("MYRIGHTS INBOX") == [f"* MYRIGHTS INBOX {EVERYTHING}"]
    assert await client.ok("GETACL INBOX") == [f"* ACL INBOX {me} {EVERYTHING}"]
    assert await client.ok(f"LISTRIGHTS INBOX {me}") == [f"* LISTRIGHTS INBOX {me} {EVERYTHING}"]
    await client.no(f"SETACL INBOX {me} lr", "NO [CANNOT] ...")
    await client.no(f"SETACL INBOX {me} -x", "NO [CANNOT] ...")
    await client.no(f"DELETEACL INBOX {me}", "NO [CANNOT] ...")
    await client.ok(f"SETACL INBOX {me} +lr")
    await client.ok(f"SETACL INBOX {me} {EVERYTHING}")


async def test_rights_are_given_and_taken(imap: Imap) -> None:
    """Section 3.1; the rights of the example in section 2.1.1, too."""
    friend = await somebody(imap)
    client = await imap.login()
    me, you = imap.person.name, friend.person.name
    for rights, told in (
        ("lrswikda", "lrswiktecda"),
        ("+x", "lrswikxtecda"),
        ("-d", "lrswikxca"),
        ("+e", "lrswikxecda"),
        ("-c", "lrswieda"),
        ("rwl", "lrw"),
        ("+", "lrw"),
        ("-s", "lrw"),
        ("c", "kxc"),
        ('"-kx"', None),
        ("lr", "lr"),
        ('""', None),
    ):
        await client.ok(f"SETACL INBOX {you} {rights}")
        line = f"* ACL INBOX {me} {EVERYTHING}" + (f" {you} {told}" if told else "")
        assert await client.ok("GETACL INBOX") == [line], rights


async def test_rights_are_lower_case_letters_that_exist(imap: Imap) -> None:
    """The examples of section 3.1."""
    client = await imap.login()
    for rights in ("lrQswicda", "lrqswicda", "lr0", "+z", '"l r"', "--l"):
        await client.bad(f"SETACL INBOX/Drafts John {rights}")


async def test_identifiers_are_addresses_of_accounts(imap: Imap) -> None:
    friend = await somebody(imap)
    client = await imap.login()
    name, _, domain = friend.person.name.partition("@")
    for identifier in ("anyone", f"-{friend.person.name}", "nobody-at-all@example.org", "Fred"):
        await client.no(f"SETACL INBOX {identifier} lr", "NO [CANNOT] ...")
        await client.no(f"LISTRIGHTS INBOX {identifier}", "NO [CANNOT] ...")
    await client.no(f"SETACL INBOX {name}+detail@{domain} lr", "NO [CANNOT] ...")
    await client.ok(f"SETACL INBOX {name.upper()}@{domain.upper()} lr")
    (line,) = await client.ok("GETACL INBOX")
    assert line.endswith(f" {friend.person.name} lr")


async def test_an_alias_is_no_account(imap: Imap, alone: FrontAlone) -> None:
    friend = await somebody(imap)
    alias = f"alias-of-{friend.person.name}"
    request = account_pb2.CreateAliasRequest(address=alias, targets=[friend.person.name])
    await alone.owners.accounts.CreateAlias(request)
    client = await imap.login()
    await client.no(f"SETACL INBOX {alias} lr", "NO [CANNOT] ...")


async def test_delete(imap: Imap) -> None:
    """Section 3.2."""
    friend = await somebody(imap)
    client = await share(imap, friend, "lr")
    await client.ok(f"DELETEACL Work {friend.person.name.upper()}")
    assert await client.ok("GETACL Work") == [f"* ACL Work {imap.person.name} {EVERYTHING}"]
    await client.ok(f"DELETEACL Work {friend.person.name}")
    guest = await friend.login()
    await guest.no(f"SELECT {shared(imap)}", "NO [NONEXISTENT] ...")


async def test_list_rights(imap: Imap) -> None:
    """Section 3.4: each right can be given by itself."""
    friend = await somebody(imap)
    client = await share(imap, friend, "lr")
    you = friend.person.name
    assert await client.ok(f"LISTRIGHTS Work {you}") == [
        f'* LISTRIGHTS Work {you} "" l r s w i p k x t e c d a n'
    ]


async def test_who_may_not_know_of_a_mailbox(imap: Imap) -> None:
    """Section 6: it is as if there were none."""
    friend = await somebody(imap)
    client = await share(imap, friend, "l")
    await client.ok("CREATE Hidden")
    guest = await friend.login()
    for mailbox in (shared(imap, "Hidden"), shared(imap, "None"), shared(friend, "INBOX"), "None"):
        for command in ("MYRIGHTS {}", "GETACL {}", "SETACL {} {} lr", "LISTRIGHTS {} {}"):
            arguments = command.format(mailbox, imap.person.name)
            await guest.no(arguments, "NO [NONEXISTENT] ...")
        await guest.no(f"DELETEACL {mailbox} {imap.person.name}", "NO [NONEXISTENT] ...")


async def test_who_may_not_administer(imap: Imap) -> None:
    friend = await somebody(imap)
    owner = await share(imap, friend, "lr")
    guest = await friend.login()
    mailbox, you = shared(imap), friend.person.name
    assert await guest.ok(f"MYRIGHTS {mailbox}") == [f"* MYRIGHTS {mailbox} lr"]
    for command in ("GETACL {0}", "SETACL {0} {1} +w", "DELETEACL {0} {1}", "LISTRIGHTS {0} {1}"):
        await guest.no(command.format(mailbox, you), "NO [NOPERM] ...")
    await owner.ok(f"SETACL Work {you} +a")
    await guest.ok(f"SETACL {mailbox} {you} +wc")
    assert await guest.ok(f"MYRIGHTS {mailbox}") == [f"* MYRIGHTS {mailbox} lrwkxca"]
    assert await guest.ok(f"GETACL {mailbox}") == [
        f"* ACL {mailbox} {imap.person.name} {EVERYTHING} {you} lrwkxca"
    ]
    await guest.no(f"DELETEACL {mailbox} {imap.person.name}", "NO [CANNOT] ...")
    await guest.ok(f"DELETEACL {mailbox} {you}")
    await guest.no(f"MYRIGHTS {mailbox}", "NO [NONEXISTENT] ...")


async def test_names_in_any_charset(imap: Imap) -> None:
    friend = await somebody(imap)
    await share(imap, friend, "lra", '"&AOQ-"')
    guest = await friend.login()
    mailbox = shared(imap, "&AOQ-")
    assert await guest.ok(f"MYRIGHTS {mailbox}") == [f"* MYRIGHTS {mailbox} lra"]
    await guest.ok("ENABLE IMAP4rev2")
    mailbox = shared(imap, "ä")
    assert await guest.ok(f"MYRIGHTS {mailbox}") == [f"* MYRIGHTS {mailbox} lra"]
    assert (await guest.ok(f"GETACL {mailbox}"))[0].startswith(f"* ACL {mailbox} ")


@pytest.mark.parametrize("command", ["MYRIGHTS INBOX", "GETACL INBOX"])
async def test_what_it_costs(imap: Imap, alone: FrontAlone, command: str) -> None:
    client = await imap.login()
    alone.calls.clear()
    await client.ok(command)
    assert alone.calls.made.total() == 1
