"""What is made of a message once, when it comes in: its packed content and its derived columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from postroom_mime import Derived, derive
from sqlalchemy import bindparam, select

from postroom_store import tables
from postroom_store.blobs import BlobFiles, digest_of, pack
from postroom_store.database import Prepared
from postroom_store.transaction import Account, Transaction

HEADER_BYTES = 16 * 1024  # longer headers are read from the content: rows stay small
REFERENCES = 20  # Message-IDs of a message that its thread is looked up by


@dataclass(frozen=True, slots=True)
class Content:
    """A message ready to be kept.

    Attributes:
        packed: the compressed content; None where it lies in a file or in an upload's row already.
        eight_bit: it has octets over 127.
    """

    digest: bytes
    size: int
    packed: bytes | None
    derived: Derived
    eight_bit: bool = False


class Ingest:
    """Makes contents ready.

    Args:
        files: where contents over `inline_bytes` go; None keeps all in rows.
    """

    def __init__(self, files: BlobFiles | None, inline_bytes: int) -> None:
        self._files = files
        self._inline_bytes = inline_bytes

    def prepare(self, content: bytes) -> Content:
        """Pack and parse a message; a large one is on disk afterwards. Raises OSError."""
        digest = digest_of(content)
        packed = self.keep(digest, pack(content), len(content))
        return Content(digest, len(content), packed, derive(content), not content.isascii())

    def keep(self, digest: bytes, packed: bytes, size: int) -> bytes | None:
        """Put a packed content where it belongs; what belongs in a row is answered.

        Args:
            size: of the plain content, in bytes.
        """
        if self._files is None or size <= self._inline_bytes:
            return packed
        self._files.write(digest, packed)
        return None


def add_email(
    transaction: Transaction, account: Account, content: Content, internaldate: int
) -> int:
    """Add a message's content to an account and answer its email id."""
    add_blob(transaction, account.account_id, content)
    email_id = account.next_email_id
    account.next_email_id += 1
    transaction.touch(account)
    derived = content.derived
    thread_id = thread_of(
        transaction, account.account_id, derived.message_id, derived.references, email_id
    )
    row: dict[str, Any] = {
        "account_id": account.account_id,
        "email_id": email_id,
        "digest": content.digest,
        "size": content.size,
        "internaldate": internaldate,
        "thread_id": thread_id,
        "indexed": 0,
    }
    transaction.add(tables.emails, row | derived_columns(derived))
    return email_id


def add_blob(transaction: Transaction, account_id: int, content: Content) -> None:
    """Note a content; one that the account has already is kept once."""
    row = {
        "account_id": account_id,
        "digest": content.digest,
        "size": content.size,
        "data": content.packed,
        "created_at": transaction.now,
    }
    transaction.add_missing(tables.blobs, row)


def derived_columns(derived: Derived) -> dict[str, Any]:
    """The columns of `emails` that can be made anew from a content."""
    return {
        "sent_at": derived.sent_at,
        "has_attachment": derived.has_attachment,
        "base_subject": storable(derived.base_subject),
        "is_reply": derived.is_reply_or_forward,
        "sort_from": storable(derived.from_),
        "sort_to": storable(derived.to),
        "sort_cc": storable(derived.cc),
        "display_from": storable(derived.display_from),
        "display_to": storable(derived.display_to),
        "message_id": storable(derived.message_id or ""),
        "references": storable(" ".join(derived.references[-REFERENCES:])),
        "preview": storable(derived.preview),
        "envelope": derived.envelope,
        "body": derived.body,
        "bodystructure": derived.bodystructure,
        "structure": derived.structure,
        "header": derived.header if len(derived.header) <= HEADER_BYTES else None,
    }


def storable(value: str) -> str:
    """Text that both databases take: PostgreSQL has no NUL, neither has lone surrogates."""
    value = value.replace("\0", "")
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


@cache
def _find_threads(count: int) -> Prepared:
    """The threads of some Message-IDs, by hash: parameters `hash0` and on."""
    column = tables.threads.c
    hashes: list[Any] = [bindparam(f"hash{number}") for number in range(count)]
    return Prepared(
        select(column.thread_id).where(
            column.account_id == bindparam("account"), column.message_hash.in_(hashes)
        )
    )


def thread_of(
    transaction: Transaction,
    account_id: int,
    message_id: str | None,
    references: Sequence[str],
    email_id: int,
) -> int:
    """The thread of a message: that of one it refers to, or that refers to it, else a new one.

    Two threads that a late message shows to be one stay two: thread ids are immutable (RFC 8474
    section 5.2).
    """
    hashes = {hash_of(name) for name in references[-REFERENCES:]}
    if message_id:
        hashes.add(hash_of(message_id))
    if not hashes:
        return email_id
    found = transaction.recall_threads(account_id, hashes)
    if found:
        thread_id = min(found.values())
    else:
        parameters = {f"hash{number}": value for number, value in enumerate(hashes)}
        parameters["account"] = account_id
        rows = _find_threads(len(hashes)).rows(transaction.connection, parameters)
        thread_id = min((row[0] for row in rows), default=email_id)
    for message_hash in hashes:
        transaction.add_thread(account_id, message_hash, thread_id)
    return thread_id


def hash_of(message_id: str) -> int:
    """64 bits by which a Message-ID is found."""
    digest = hashlib.blake2b(message_id.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
