"""The maildrop of one session: a snapshot that nothing changes, and marks on it.

RFC 1939 section 5: message numbers stay the same for the whole session; DELE marks, and only QUIT
removes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LINES = 2000  # of a listing in one piece: a millisecond's work


class NoSuchMessage(Exception):
    """There is no message by this number, or it is marked as deleted."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox when the maildrop was locked; `uids` and `sizes` (octets) go together."""

    uid_validity: int
    uids: Sequence[int]
    sizes: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.uids) != len(self.sizes):
            raise ValueError("each message has a UID and a size")


class Maildrop:
    """Message numbers (from 1) and marks over a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._deleted: set[int] = set()
        self._octets = sum(snapshot.sizes)

    def __len__(self) -> int:
        """How many messages are not marked."""
        return len(self.snapshot.uids) - len(self._deleted)

    @property
    def octets(self) -> int:
        """The size of the messages that are not marked."""
        return self._octets

    @property
    def deleted_uids(self) -> list[int]:
        """The UIDs of the messages that are marked, ascending."""
        return [self.snapshot.uids[index] for index in sorted(self._deleted)]

    def index(self, number: int) -> int:
        """Where a message is in the snapshot. Raises NoSuchMessage."""
        index = number - 1
        if not 0 <= index < len(self.snapshot.uids) or index in self._deleted:
            raise NoSuchMessage
        return index

    def following(self, index: int, most: int) -> list[int]:
        """The next indices, from one on, that are not marked."""
        end = len(self.snapshot.uids)
        found: list[int] = []
        while index < end and len(found) < most:
            if index not in self._deleted:
                found.append(index)
            index += 1
        return found

    def mark(self, number: int) -> None:
        """Mark a message as deleted. Raises NoSuchMessage."""
        index = self.index(number)
        self._deleted.add(index)
        self._octets -= self.snapshot.sizes[index]

    def unmark_all(self) -> None:
        self._deleted.clear()
        self._octets = sum(self.snapshot.sizes)

    def unique_id(self, index: int) -> str:
        """RFC 1939 section 7 (UIDL): stays the same over sessions, never used again."""
        return f"{self.snapshot.uid_validity}.{self.snapshot.uids[index]}"

    def scan_listing(self) -> Iterator[str]:
        """Number and size of each message that is not marked, a line each, in pieces."""
        return self._listing("", self.snapshot.sizes)

    def unique_id_listing(self) -> Iterator[str]:
        """Number and unique id of each message that is not marked, a line each, in pieces."""
        return self._listing(f"{self.snapshot.uid_validity}.", self.snapshot.uids)

    def _listing(self, prefix: str, values: Sequence[int]) -> Iterator[str]:
        for start in range(0, len(values), LINES):
            yield "".join(
                f"{number} {prefix}{value}\r\n"
                for number, value in enumerate(values[start : start + LINES], start + 1)
                if number - 1 not in self._deleted
            )
