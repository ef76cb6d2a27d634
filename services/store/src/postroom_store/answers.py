"""Idempotency: a write that is repeated gets the answer that the first one got."""

from __future__ import annotations

from collections.abc import Callable

from postroom_chassis.errors import Kind, PostroomError
from sqlalchemy import bindparam, select

from postroom_store import tables
from postroom_store.transaction import Transaction

MOST_KEY_BYTES = 64

_a = tables.answers.c
_SELECT = select(_a.answer).where(
    _a.account_id == bindparam("account"), _a.key == bindparam("wanted")
)


def once(
    account_id: int, key: bytes, work: Callable[[Transaction], bytes]
) -> Callable[[Transaction], bytes]:
    """An operation that runs `work` only if no call with this key did before.

    Args:
        key: 1 to 64 bytes, unique in the account.
        work: answers the serialised answer of the call.

    Raises PostroomError INVALID for a missing or overlong key; what failed may be tried again.
    """
    if not 0 < len(key) <= MOST_KEY_BYTES:
        raise PostroomError(Kind.INVALID, "an idempotency key has 1 to 64 bytes")

    def run(transaction: Transaction) -> bytes:
        transaction.account(account_id)
        found = transaction.execute(_SELECT, {"account": account_id, "wanted": key}).first()
        if found is not None:
            return bytes(found[0])
        answer = work(transaction)
        row = {
            "account_id": account_id,
            "key": key,
            "answer": answer,
            "created_at": transaction.now,
        }
        transaction.add(tables.answers, row)
        return answer

    return run
