"""URLs that let others read one part of one message (RFC 4467): made, checked, revoked.

A token is 01, the account's id, and the HMAC-SHA256 of the URL up to the mechanism's name by the
key of its mailbox, in hexadecimal digits. So the URL itself says whose key to look for, and nothing
of it can be changed: not the message, not the section, not the expiry, not who may use it.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.tickets import SCOPE_SUBMIT, Ticket
from postroom_mime import ImapUrl, parse_imap_url
from sqlalchemy import Connection

from postroom_store import url_keys
from postroom_store.domain.names import canonical
from postroom_store.reading import find_mailbox_named
from postroom_store.references import Reference
from postroom_store.transaction import Mailbox, Transaction

MOST_URLS = 100  # in one call
MECHANISM = "internal"
_VERSION = 1
_ACCOUNT_BYTES = 8
_TOKEN_BYTES = 1 + _ACCOUNT_BYTES + 32


@dataclass(frozen=True, slots=True)
class Opened:
    """What a URL lets its bearer read, and nothing else."""

    account_id: int
    reference: Reference


def authorize(
    transaction: Transaction, account_id: int, address: str, rumps: Sequence[str]
) -> list[str]:
    """URLs with their tokens; a mailbox gets a key where it has none.

    Raises PostroomError INVALID for a URL that can't be authorized for this account.
    """
    found = [(rump, _mailbox_of(transaction, account_id, address, rump)) for rump in rumps]
    keys = {mailbox.mailbox_id: url_keys.provide(transaction, mailbox) for _, mailbox in found}
    return [
        f"{rump}:{MECHANISM}:{_token(keys[mailbox.mailbox_id], account_id, rump).hex()}"
        for rump, mailbox in found
    ]


def _mailbox_of(transaction: Transaction, account_id: int, address: str, rump: str) -> Mailbox:
    try:
        url = parse_imap_url(rump)
        name = canonical(url.mailbox)
    except ValueError as error:
        raise PostroomError(Kind.INVALID, "not the URL of a message or a part") from error
    if url.auth is None or url.auth.token:
        raise PostroomError(Kind.INVALID, "the URL must end in ;URLAUTH= and whom it is for")
    if not url.user or url.user.casefold() != address.casefold():
        raise PostroomError(Kind.INVALID, "the URL is not of this account")
    mailbox = transaction.find_mailbox(account_id, name)
    if mailbox is None or not mailbox.selectable:
        raise PostroomError(Kind.INVALID, "the URL's mailbox is not there")
    return mailbox


def resolve(connection: Connection, ticket: Ticket, text: str, now: float) -> Opened | None:
    """What a URL opens to the bearer of a ticket; None for nothing, whatever the reason.

    Args:
        now: Unix seconds.
    """
    try:
        url = parse_imap_url(text)
        name = canonical(url.mailbox)
    except (ValueError, PostroomError):
        return None
    if url.auth is None or url.auth.mechanism.lower() != MECHANISM:
        return None
    token = bytes.fromhex(url.auth.token) if len(url.auth.token) == 2 * _TOKEN_BYTES else b""
    account_id = int.from_bytes(token[1 : 1 + _ACCOUNT_BYTES], "big", signed=True)
    key, uid_validity = _find_key(connection, account_id, name)
    if not hmac.compare_digest(token, _token(key, account_id, url.rump)):
        return None
    if not _may_use(url, ticket) or (url.expire is not None and url.expire <= now):
        return None
    if url.uid_validity not in (None, uid_validity):
        return None
    offset, length = url.partial or (0, None)
    # By UIDVALIDITY, so that no other mailbox of the name is read, should it change now.
    reference = Reference(name, uid_validity, url.uid, url.section, offset, length)
    return Opened(account_id, reference)


def _find_key(connection: Connection, account_id: int, name: str) -> tuple[bytes, int]:
    """The key and UIDVALIDITY of a mailbox; a key that opens nothing where there is none."""
    try:
        mailbox = find_mailbox_named(connection, account_id, name)
    except PostroomError:
        return url_keys.fresh(), 0
    key = url_keys.find(connection, account_id, mailbox.mailbox_id)
    return key or url_keys.fresh(), mailbox.uid_validity


def _token(key: bytes, account_id: int, rump: str) -> bytes:
    message = f"{rump}:{MECHANISM}".encode("ascii")
    head = bytes([_VERSION]) + account_id.to_bytes(_ACCOUNT_BYTES, "big", signed=True)
    return head + hmac.digest(key, head + message, "sha256")


def _may_use(url: ImapUrl, ticket: Ticket) -> bool:
    """Whether a URL is meant for a person (RFC 4467 section 2.3), or for the submission server that
    acts for them.
    """
    if url.auth is None:
        return False
    match url.auth.access:
        case "submit" if SCOPE_SUBMIT not in ticket.scopes:
            return False
        case "user" | "submit":
            return url.auth.user.casefold() == ticket.address.casefold()
        case "authuser" | "anonymous":
            return True
    return False
