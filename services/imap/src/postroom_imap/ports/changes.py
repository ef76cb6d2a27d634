"""What happens to mailboxes, as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from postroom_imap.ports.columns import Change
from postroom_imap.ports.identity import Ticket


class Follower(Protocol):
    """A view of a mailbox that wants to hear what happens to it.

    Attributes:
        account_id: that the mailbox is in, whosever the tickets are.
        tickets: one of each person for whom it is watched.
    """

    account_id: int
    mailbox_id: int
    modseq: int

    @property
    def tickets(self) -> Sequence[Ticket]: ...

    def follow(self, change: Change) -> None:
        """Something happened: changes after `modseq`, in order, without gaps."""

    def lose(self, temporary: bool) -> None:
        """Nothing more will be told: the ticket is no good any more, or what it may read."""


class Changes(Protocol):
    """Tells followers what happens to their mailboxes, however often the stream breaks."""

    def add(self, follower: Follower) -> None:
        """Tell it from its `modseq` on. A follower that was told before starts anew."""

    def remove(self, follower: Follower) -> None:
        """Tell it no more."""
