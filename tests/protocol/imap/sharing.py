"""Several people and what they share."""

from __future__ import annotations

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.system import Imap

EVERYTHING = "lrswipkxtecdan"


async def somebody(imap: Imap) -> Imap:
    """Clients of somebody else, who is new."""
    return Imap(imap.system, await imap.system.person())


def shared(owner: Imap, mailbox: str = "Work") -> str:
    """What somebody's mailbox is called by others, as it is told and sent."""
    return f'"Other Users/{owner.person.name}/{mailbox}"'


async def share(owner: Imap, guest: Imap, rights: str, mailbox: str = "Work") -> ImapClient:
    """A client of the owner, who has given rights on a mailbox, which is new but for INBOX."""
    client = await owner.login()
    if mailbox != "INBOX":
        await client.ok(f"CREATE {mailbox}")
    await client.ok(f"SETACL {mailbox} {guest.person.name} {rights}")
    return client


async def listed(client: ImapClient, arguments: str) -> list[str]:
    """What LIST tells of what others share."""
    return [line for line in await client.ok(f"LIST {arguments}") if "Other Users" in line]
