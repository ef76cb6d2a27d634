"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208).

An account is one quota root, which is named by its address. Its limits are what its ticket says and
the store holds it to. Whoever administers their tenant sees and sets those of its accounts; auth
knows who does. SETQUOTA gives the session a fresh ticket where the account is its own; other
sessions of the account are held to the new limits when theirs is renewed, within a minute.

Of a mailbox that is shared, the owner's root is told, and what the owner keeps is not.
"""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota as Limits

from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.quotas import Resource
from postroom_imap.protocol.commands import GetQuota, GetQuotaRoot, SetQuota
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.quota import quota_response, quota_root_response
from postroom_imap.session import Session
from postroom_imap.sharing import owner_of

STORAGE_UNIT = 1024  # octets (RFC 9208 section 5.1)
_RESOURCES = {"STORAGE": STORAGE_UNIT, "MESSAGE": 1, "MAILBOX": 1}
_MOST = 2**62
_HIDDEN = frozenset({Kind.DENIED, Kind.NOT_FOUND, Kind.INVALID})


async def get_quota(session: Session, tag: bytes, command: GetQuota) -> None:
    ticket = session.ticket
    if command.root != ticket.address:
        try:
            ticket = await session.front.quotas.open(ticket, command.root)
        except PostroomError as error:
            if error.kind not in _HIDDEN:
                raise
            session.refuse(tag, "There is no such quota root", codes.NONEXISTENT)
            return
    session.finish(tag, "GETQUOTA completed", before=await _describe(session, ticket))


async def get_quota_root(session: Session, tag: bytes, command: GetQuotaRoot) -> None:
    owner = await owner_of(session, command.mailbox)
    root = session.ticket.address if owner is None else owner.address
    told = quota_root_response(command.mailbox, [root], utf8=session.utf8)
    if owner is None:
        told += await _describe(session, session.ticket)
    else:
        # Nobody is told of what the person may not know of.
        await session.front.mailboxes.rights(session.ticket, command.mailbox)
    session.finish(tag, "GETQUOTAROOT completed", before=told)


async def set_quota(session: Session, tag: bytes, command: SetQuota) -> None:
    limits = dict(command.limits)
    if not limits.keys() <= _RESOURCES.keys() or not all(map(_is_settable, limits.items())):
        session.refuse(tag, "No such limit can be set", codes.CANNOT)
        return
    wanted = Limits(
        limits.get("STORAGE", 0) * STORAGE_UNIT, limits.get("MESSAGE", 0), limits.get("MAILBOX", 0)
    )
    ticket = await session.front.quotas.set(session.ticket, command.root, wanted)
    if ticket.account_id == session.ticket.account_id:
        await session.refresh()
    session.finish(tag, "SETQUOTA completed", before=await _describe(session, ticket))


def _is_settable(limit: tuple[str, int]) -> bool:
    """A limit of 0, which lets nothing be kept, can't be kept here; nor can one without end."""
    name, number = limit
    return 0 < number * _RESOURCES[name] <= _MOST


async def _describe(session: Session, ticket: Ticket) -> bytes:
    quota = await session.front.quotas.usage(ticket)
    resources = [
        ("STORAGE", *_in_units(quota.bytes)),
        ("MESSAGE", quota.messages.usage, quota.messages.limit),
        ("MAILBOX", quota.mailboxes.usage, quota.mailboxes.limit),
    ]
    limited = [one for one in resources if one[2]]
    return quota_response(ticket.address, limited)


def _in_units(storage: Resource) -> tuple[int, int]:
    """What is kept rounded up, and the limit as well: 0 would say that nothing may be kept."""
    return -(-storage.usage // STORAGE_UNIT), -(-storage.limit // STORAGE_UNIT)
