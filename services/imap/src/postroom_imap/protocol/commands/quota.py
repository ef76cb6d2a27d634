"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 section 4.1)."""

from dataclasses import dataclass

from postroom_imap.protocol.commands.mailboxes import parse_mailbox
from postroom_imap.protocol.cursor import Cursor


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA; names of quota roots are opaque to clients."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT; the mailbox need not exist."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA: resource names in upper case with their limits; what isn't named is unlimited."""

    root: str
    limits: tuple[tuple[str, int], ...]


def parse_get_quota(cursor: Cursor) -> GetQuota:
    """``GETQUOTA root``."""
    cursor.space()
    return GetQuota(cursor.text())


def parse_get_quota_root(cursor: Cursor) -> GetQuotaRoot:
    """``GETQUOTAROOT mailbox``."""
    return GetQuotaRoot(parse_mailbox(cursor))


def parse_set_quota(cursor: Cursor) -> SetQuota:
    """``SETQUOTA root ([resource limit …])``."""
    cursor.space()
    root = cursor.text()
    cursor.space()

    def limit() -> tuple[str, int]:
        name = cursor.atom().upper()
        cursor.space()
        return name, cursor.number()

    return SetQuota(root, cursor.list_of(limit, empty=True))
