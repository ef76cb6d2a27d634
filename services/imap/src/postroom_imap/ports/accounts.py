"""Accounts as wholes, for those who watch more than one mailbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.mailboxes import Mailbox


@dataclass(frozen=True, slots=True)
class AccountNews:
    """What is new in an account.

    Attributes:
        modseq: the account's now.
        mailboxes: those whose messages changed, with their counts; all there are where `tree`.
        annotated: names of annotations that were set or removed, by mailbox (0: the server).
    """

    account_id: int
    modseq: int
    mailboxes: Sequence[Mailbox]
    tree: bool
    annotated: Mapping[int, Sequence[str]]


class AccountFollower(Protocol):
    """Who wants to hear what is new in an account."""

    account_id: int
    modseq: int
    ticket: Ticket

    def follow_account(self, news: AccountNews) -> None:
        """Something is new since `modseq`; the tree first where that is 0."""

    def lose_account(self) -> None:
        """Nothing more will be told: the ticket is no good any more."""


class Accounts(Protocol):
    """Tells followers what is new in their accounts, however often the stream breaks."""

    def add_account(self, follower: AccountFollower) -> None:
        """Tell it from its `modseq` on."""

    def remove_account(self, follower: AccountFollower) -> None:
        """Tell it no more."""
