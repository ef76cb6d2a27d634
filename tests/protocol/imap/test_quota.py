"""QUOTA (RFC 9208)."""

from __future__ import annotations

import pytest
from postroom.auth.v1 import account_pb2

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small

MOST_MAILBOXES = 10_000


async def limited(imap: Imap, alone: FrontAlone, **quota: int) -> ImapClient:
    """A client of somebody who may keep so much."""
    change = account_pb2.UpdateAccountRequest(address=imap.person.name, **quota)  # type: ignore[arg-type]
    await alone.owners.accounts.UpdateAccount(change)
    return await imap.login()


async def test_where_nothing_is_limited(imap: Imap) -> None:
    """The store has room for so many mailboxes: RFC 9208 section 3.2 wants that told."""
    client = await imap.login()
    root = imap.person.name
    assert await client.ok(f"GETQUOTA {root}") == [f"* QUOTA {root} (MAILBOX 6 {MOST_MAILBOXES})"]
    assert await client.ok("GETQUOTAROOT INBOX") == [
        f"* QUOTAROOT INBOX {root}",
        f"* QUOTA {root} (MAILBOX 6 {MOST_MAILBOXES})",
    ]
    assert (await client.ok("GETQUOTAROOT not/there/yet"))[0] == f"* QUOTAROOT not/there/yet {root}"


async def test_every_resource(imap: Imap, alone: FrontAlone) -> None:
    client = await limited(imap, alone, quota_bytes=10_000, quota_messages=3, quota_mailboxes=8)
    await client.append("INBOX", b"x" * 1025)
    root = imap.person.name
    assert await client.ok(f'GETQUOTA "{root}"') == [
        f"* QUOTA {root} (STORAGE 2 10 MESSAGE 1 3 MAILBOX 6 8)"
    ]
    await client.ok("CREATE a/b")
    await client.ok("DELETE a")  # a name alone holds no mail
    (line,) = await client.ok(f"GETQUOTA {root}")
    assert line.endswith("MAILBOX 7 8)")


async def test_storage_ends(imap: Imap, alone: FrontAlone) -> None:
    """RFC 9208 section 4.3.1, example 1."""
    client = await limited(imap, alone, quota_bytes=2 * len(small(1)))
    await client.append("INBOX", small(1))
    await client.append("INBOX", small(2))
    await client.ok("SELECT INBOX")
    await client.no("COPY 1 Trash", "NO [OVERQUOTA] ...")
    await client.ok("MOVE 1 Trash")
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.append("INBOX", small(3))


async def test_messages_end(imap: Imap, alone: FrontAlone) -> None:
    client = await limited(imap, alone, quota_messages=1)
    await client.append("INBOX", small(1))
    await client.send(b"a APPEND INBOX {1+}\r\nx\r\n")
    assert (await client.finish("a"))[1].startswith("NO [OVERQUOTA]")
    await client.ok("SELECT INBOX")
    await client.no("COPY 1 Trash", "NO [OVERQUOTA] ...")
    await client.ok("MOVE 1 Trash")


async def test_mailboxes_end(imap: Imap, alone: FrontAlone) -> None:
    client = await limited(imap, alone, quota_mailboxes=7)
    await client.no("CREATE a/b", "NO [OVERQUOTA] ...")
    await client.no("RENAME Sent a/b/Sent", "NO [OVERQUOTA] ...")
    await client.ok("RENAME Sent a/Sent")
    await client.no("CREATE b", "NO [OVERQUOTA] ...")
    await client.no("RENAME INBOX b", "NO [OVERQUOTA] ...")
    await client.ok("RENAME a/Sent b")
    await client.ok("DELETE a")
    await client.ok("CREATE c")


@pytest.mark.parametrize("root", ['""', "somebody@example.org", '"the root"'])
async def test_other_roots(imap: Imap, root: str) -> None:
    client = await imap.login()
    await client.no(f"GETQUOTA {root}", "NO [NONEXISTENT] ...")


async def test_people_change_no_quota(imap: Imap) -> None:
    client = await imap.login()
    await client.no(f"SETQUOTA {imap.person.name} (STORAGE 5)", "NO [NOPERM] ...")
    await client.no("SETQUOTA other ()", "NO [NOPERM] ...")


async def appointed(imap: Imap, alone: FrontAlone) -> ImapClient:
    """A client of somebody who administers the tenant."""
    change = account_pb2.UpdateAccountRequest(address=imap.person.name, administrator=True)
    await alone.owners.accounts.UpdateAccount(change)
    return await imap.login()


async def test_an_administrator_sets_quotas(imap: Imap, alone: FrontAlone) -> None:
    """RFC 9208 section 4.1.3. What isn't named is unlimited again."""
    other = Imap(alone, await alone.person())
    theirs = await other.login()
    await theirs.append("INBOX", small(1))
    root = other.person.name
    await theirs.no(f"GETQUOTA {imap.person.name}", "NO [NONEXISTENT] ...")
    client = await appointed(imap, alone)
    assert await client.ok(f"GETQUOTA {root}") == [f"* QUOTA {root} (MAILBOX 6 {MOST_MAILBOXES})"]
    assert await client.ok(f"SETQUOTA {root} (STORAGE 111 message 1000)") == [
        f"* QUOTA {root} (STORAGE 1 111 MESSAGE 1 1000 MAILBOX 6 {MOST_MAILBOXES})"
    ]
    assert await client.ok(f"SETQUOTA {root} (MESSAGE 1)") == [
        f"* QUOTA {root} (MESSAGE 1 1 MAILBOX 6 {MOST_MAILBOXES})"
    ]
    fresh = await other.login()
    await fresh.ok("SELECT INBOX")
    await fresh.no("COPY 1 Trash", "NO [OVERQUOTA] ...")
    assert await client.ok(f"SETQUOTA {root} ()") == [
        f"* QUOTA {root} (MAILBOX 6 {MOST_MAILBOXES})"
    ]


async def test_an_administrator_s_own_quota_counts_at_once(imap: Imap, alone: FrontAlone) -> None:
    client = await appointed(imap, alone)
    root = imap.person.name
    await client.ok(f"SETQUOTA {root} (MAILBOX 6)")
    await client.no("CREATE x", "NO [OVERQUOTA] ...")
    assert await client.ok(f"GETQUOTA {root}") == [f"* QUOTA {root} (MAILBOX 6 6)"]
    await client.ok(f"SETQUOTA {root} (MAILBOX 7)")
    await client.ok("CREATE x")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("(STORAGE 0)", "CANNOT"),
        ("(FROB 5)", "CANNOT"),
        ("(STORAGE 999999999999999999)", "CANNOT"),
        ("(ANNOTATION-STORAGE 5)", "CANNOT"),
    ],
)
async def test_limits_that_can_t_be_set(
    imap: Imap, alone: FrontAlone, arguments: str, code: str
) -> None:
    client = await appointed(imap, alone)
    await client.no(f"SETQUOTA {imap.person.name} {arguments}", f"NO [{code}] ...")


async def test_an_administrator_of_one_tenant_is_nobody_in_another(
    imap: Imap, alone: FrontAlone
) -> None:
    accounts = alone.owners.accounts
    tenant = f"tenant of {imap.person.name}"
    domain = f"{imap.person.name.partition('@')[0]}.example"
    await accounts.CreateTenant(account_pb2.CreateTenantRequest(name=tenant))
    await accounts.CreateDomain(account_pb2.CreateDomainRequest(name=domain, tenant=tenant))
    stranger = f"stranger@{domain}"
    await accounts.CreateAccount(account_pb2.CreateAccountRequest(address=stranger))
    client = await appointed(imap, alone)
    for nobody in (stranger, "nobody@example.org", "no address"):
        await client.no(f'GETQUOTA "{nobody}"', "NO [NONEXISTENT] ...")
    await client.no(f"SETQUOTA {stranger} (STORAGE 5)", "NO [NOPERM] ...")
    await client.no("SETQUOTA nobody@example.org (STORAGE 5)", "NO [NONEXISTENT] ...")


@pytest.mark.parametrize(
    "command",
    ["GETQUOTA", "GETQUOTAROOT", "SETQUOTA x", "SETQUOTA x (STORAGE)", "SETQUOTA x (STORAGE y)"],
)
async def test_what_is_no_command(imap: Imap, command: str) -> None:
    client = await imap.login()
    await client.bad(command)
