"""What one person may do with a mailbox that is open (RFC 4314), for all of the person's sessions.

An owner may do everything, always. What others may do is known as of a modseq of the mailbox, for a
change of its ACL is a link in the chain of its changes: one that comes later than what is known
makes the rights uncertain. Until they are asked anew, no session of the person is told anything;
whoever may not read any more is told nothing ever.
"""

from __future__ import annotations

from postroom_imap.ports.identity import Ticket
from postroom_imap.protocol.rights import ALL, READ
from postroom_imap.view import MailboxView

_ALWAYS = 1 << 64  # beyond every modseq


class Standing:
    """One person at one mailbox.

    Attributes:
        name: what the mailbox is called by the person.
        ticket: of a session that has it open.
        rights: what the person may do.
        known_at: the modseq as of which they are known.
        sessions: that have it selected.
    """

    __slots__ = ("known_at", "name", "rights", "sessions", "ticket", "view")

    def __init__(
        self, view: MailboxView, ticket: Ticket, name: str, rights: str = ALL, known_at: int = 0
    ) -> None:
        self.view = view
        self.ticket = ticket
        self.name = name
        self.rights = rights
        self.sessions = 0
        self.known_at = known_at if self.guest else _ALWAYS

    @property
    def guest(self) -> bool:
        """Whether the mailbox is somebody else's."""
        return self.ticket.account_id != self.view.account_id

    @property
    def uncertain(self) -> bool:
        """Whether the rights may be others by now."""
        return self.view.rights_modseq > self.known_at

    @property
    def ended(self) -> bool:
        """Whether the person may not read the mailbox any more."""
        return READ not in self.rights

    @property
    def hidden(self) -> bool:
        """Whether nothing of the mailbox may be told now."""
        return self.uncertain or self.ended

    def learn(self, rights: str, known_at: int) -> None:
        """Take up what the rights are as of a modseq."""
        if self.guest and known_at >= self.known_at:
            self.rights = rights
            self.known_at = known_at

    def end(self) -> None:
        """The person may not read the mailbox any more."""
        self.rights = ""
