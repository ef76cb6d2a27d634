"""Idempotency: a write that is repeated gets the answer that the first one got."""

from __future__ import annotations

from collections.abc import Callable

from postroom_chassis.errors import Kind, PostroomError

from postroom_store.transaction import Transaction

MOST_KEY_BYTES = 64


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
        answer = transaction.recall_answer(account_id, key)
        if answer is None:
            answer = work(transaction)
            transaction.note_answer(account_id, key, answer)
        return answer

    return run
