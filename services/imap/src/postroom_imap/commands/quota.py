"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208).

An account is one quota root, which is named by its address. Its limits are what its ticket says and
the store holds it to; people can't change them.
"""

from __future__ import annotations

from postroom_imap.ports.mailboxes import Resource
from postroom_imap.protocol.commands import GetQuota, GetQuotaRoot, SetQuota
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.quota import quota_response, quota_root_response
from postroom_imap.session import Session

STORAGE_UNIT = 1024  # octets (RFC 9208 section 5.1)


async def get_quota(session: Session, tag: bytes, command: GetQuota) -> None:
    if command.root != session.ticket.address:
        session.refuse(tag, "There is no such quota root", codes.NONEXISTENT)
        return
    session.finish(tag, "GETQUOTA completed", before=await _describe(session))


async def get_quota_root(session: Session, tag: bytes, command: GetQuotaRoot) -> None:
    roots = [session.ticket.address]
    told = quota_root_response(command.mailbox, roots, utf8=session.utf8)
    session.finish(tag, "GETQUOTAROOT completed", before=told + await _describe(session))


async def set_quota(session: Session, tag: bytes, command: SetQuota) -> None:
    session.refuse(tag, "Quotas are set by the administrator", codes.NO_PERMISSION)


async def _describe(session: Session) -> bytes:
    quota = await session.front.mailboxes.quota(session.ticket)
    resources = [
        ("STORAGE", *_in_units(quota.bytes)),
        ("MESSAGE", quota.messages.usage, quota.messages.limit),
        ("MAILBOX", quota.mailboxes.usage, quota.mailboxes.limit),
    ]
    limited = [one for one in resources if one[2]]
    return quota_response(session.ticket.address, limited)


def _in_units(storage: Resource) -> tuple[int, int]:
    """What is kept rounded up, and the limit as well: 0 would say that nothing may be kept."""
    return -(-storage.usage // STORAGE_UNIT), -(-storage.limit // STORAGE_UNIT)
