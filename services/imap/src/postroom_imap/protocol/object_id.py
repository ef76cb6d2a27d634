"""Object identifiers (RFC 8474): what a mailbox or message is known by, whatever it is called."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectId:
    """An identifier; as text it stands in parentheses, as responses have it."""

    value: str

    def __str__(self) -> str:
        return f"({self.value})"


# EMAILID and THREADID as FETCH has them, for columns of them: account id, number.
EMAIL_ID = b"(M%d-%d)"
THREAD_ID = b"(T%d-%d)"


def mailbox_id(account_id: int, number: int) -> ObjectId:
    """MAILBOXID: of all accounts' mailboxes no two share one."""
    return ObjectId(f"F{account_id}-{number}")
