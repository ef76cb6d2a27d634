"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 section 3).

An identifier is the main address of an account. Nobody has rights by other names: neither "anyone"
nor groups, and nobody's are taken away by an identifier of its own, with a "-" before it. Whose the
mailbox is has all rights always.
"""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.ports.directory import Account
from postroom_imap.ports.mailboxes import AclEntry, AclMode
from postroom_imap.protocol.commands import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from postroom_imap.protocol.commands.acl import RightsChange
from postroom_imap.protocol.responses.acl import (
    acl_response,
    list_rights_response,
    my_rights_response,
)
from postroom_imap.protocol.rights import ALL, meant
from postroom_imap.session import Session

_MODES = {
    RightsChange.REPLACE: AclMode.REPLACE,
    RightsChange.ADD: AclMode.ADD,
    RightsChange.REMOVE: AclMode.REMOVE,
}
_NEGATIVE = "-"
_ANYONE = "anyone"


async def set_acl(session: Session, tag: bytes, command: SetAcl) -> None:
    account = await _account(session, command.identifier)
    entry = AclEntry(account.address, meant(command.rights), account.account_id)
    mode = _MODES[command.change]
    await session.front.mailboxes.set_acl(session.ticket, command.mailbox, entry, mode)
    session.finish(tag, "SETACL completed")


async def delete_acl(session: Session, tag: bytes, command: DeleteAcl) -> None:
    """Whoever is in the ACL may be taken out of it, whether the directory knows them or not."""
    mailboxes = session.front.mailboxes
    for entry in await mailboxes.acl(session.ticket, command.mailbox):
        if _same(entry.identifier, command.identifier):
            nothing = AclEntry(entry.identifier, "", entry.account_id)
            await mailboxes.set_acl(session.ticket, command.mailbox, nothing)
    session.finish(tag, "DELETEACL completed")


async def get_acl(session: Session, tag: bytes, command: GetAcl) -> None:
    entries = await session.front.mailboxes.acl(session.ticket, command.mailbox)
    pairs = [(entry.identifier, entry.rights) for entry in entries]
    told = acl_response(command.mailbox, pairs, utf8=session.utf8)
    session.finish(tag, "GETACL completed", before=told)


async def list_rights(session: Session, tag: bytes, command: ListRights) -> None:
    owner, *_ = await session.front.mailboxes.acl(session.ticket, command.mailbox)
    required = ALL
    if not _same(owner.identifier, command.identifier):
        await _account(session, command.identifier)
        required = ""
    told = list_rights_response(command.mailbox, command.identifier, required, utf8=session.utf8)
    session.finish(tag, "LISTRIGHTS completed", before=told)


async def my_rights(session: Session, tag: bytes, command: MyRights) -> None:
    rights = await session.front.mailboxes.rights(session.ticket, command.mailbox)
    told = my_rights_response(command.mailbox, rights, utf8=session.utf8)
    session.finish(tag, "MYRIGHTS completed", before=told)


async def _account(session: Session, identifier: str) -> Account:
    """Whom an identifier stands for. Raises PostroomError UNSUPPORTED, UNAVAILABLE."""
    if identifier.startswith(_NEGATIVE):
        raise PostroomError(Kind.UNSUPPORTED, "there are no negative rights here")
    if identifier.casefold() == _ANYONE:
        raise PostroomError(Kind.UNSUPPORTED, "nothing can be shared with everybody at once")
    account = await session.front.directory.account(identifier)
    if account is None:
        raise PostroomError(Kind.UNSUPPORTED, "no account has this address")
    return account


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
