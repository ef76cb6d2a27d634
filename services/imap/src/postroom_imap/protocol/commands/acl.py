"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 section 3)."""

from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.protocol.commands.mailboxes import parse_mailbox
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.rights import unknown


class RightsChange(StrEnum):
    """What SETACL does with the rights; the value is the sign before them."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class SetAcl:
    """SETACL; ``rights`` as the client wrote them, each being one that there is."""

    mailbox: str
    identifier: str
    change: RightsChange
    rights: str


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    """DELETEACL."""

    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class GetAcl:
    """GETACL."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights:
    """LISTRIGHTS."""

    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class MyRights:
    """MYRIGHTS."""

    mailbox: str


def parse_set_acl(cursor: Cursor) -> SetAcl:
    """``SETACL mailbox identifier [+|-]rights``."""
    mailbox, identifier = _mailbox_and_identifier(cursor)
    cursor.space()
    rights = cursor.text()
    change = RightsChange.REPLACE
    if rights[:1] in (RightsChange.ADD, RightsChange.REMOVE):
        change, rights = RightsChange(rights[:1]), rights[1:]
    if any(letter.isupper() for letter in rights):
        raise SyntaxFault("Uppercase rights are not allowed")
    if letters := unknown(rights):
        named = letters[0] if letters[0].isascii() and letters[0].isalnum() else "like this"
        raise SyntaxFault(f"There is no right {named}")
    return SetAcl(mailbox, identifier, change, rights)


def parse_delete_acl(cursor: Cursor) -> DeleteAcl:
    """``DELETEACL mailbox identifier``."""
    return DeleteAcl(*_mailbox_and_identifier(cursor))


def parse_get_acl(cursor: Cursor) -> GetAcl:
    """``GETACL mailbox``."""
    return GetAcl(parse_mailbox(cursor))


def parse_list_rights(cursor: Cursor) -> ListRights:
    """``LISTRIGHTS mailbox identifier``."""
    return ListRights(*_mailbox_and_identifier(cursor))


def parse_my_rights(cursor: Cursor) -> MyRights:
    """``MYRIGHTS mailbox``."""
    return MyRights(parse_mailbox(cursor))


def _mailbox_and_identifier(cursor: Cursor) -> tuple[str, str]:
    mailbox = parse_mailbox(cursor)
    cursor.space()
    return mailbox, cursor.text()
