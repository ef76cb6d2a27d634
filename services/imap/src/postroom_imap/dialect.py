"""How a session hears of messages: what it has enabled changes the words, not the news."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from postroom_imap.protocol.extension import Extension
from postroom_imap.protocol.responses import messages as responses
from postroom_imap.protocol.sequence_set import SequenceSet


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words of one session.

    Attributes:
        recent: \\Recent and RECENT are told; IMAP4rev2 gave them up.
        modseq: flags come with the modseq of their change (RFC 7162 section 3.2).
        vanished: VANISHED is told where EXPUNGE was (RFC 7162 section 3.2.10).
        uid_only: messages have no numbers (RFC 9586).
    """

    recent: bool = True
    modseq: bool = False
    vanished: bool = False
    uid_only: bool = False

    @classmethod
    def of(cls, enabled: Collection[Extension]) -> Dialect:
        """The dialect of a session that has enabled some extensions."""
        uid_only = Extension.UIDONLY in enabled
        return cls(
            recent=Extension.IMAP4REV2 not in enabled,
            modseq=Extension.CONDSTORE in enabled,
            vanished=uid_only or Extension.QRESYNC in enabled,
            uid_only=uid_only,
        )

    def flags(self, number: int, uid: int, flags: bytes, modseq: int, *, uid_too: bool) -> bytes:
        """The unsolicited FETCH that tells a message's flags.

        Args:
            flags: as a flag list.
            uid_too: the client named messages by UID (RFC 3501 section 6.4.8).
        """
        if self.uid_only:
            if self.modseq:
                return responses.uid_fetch_flags_modseq(uid, flags, modseq)
            return responses.uid_fetch_flags(uid, flags)
        if self.modseq:
            return responses.fetch_uid_flags_modseq(number, uid, flags, modseq)
        if uid_too:
            return responses.fetch_uid_flags(number, uid, flags)
        return responses.fetch_flags(number, flags)

    def gone(self, numbers: Sequence[int], uids: Sequence[int]) -> list[bytes]:
        """What tells that messages are expunged; both ascending."""
        if self.vanished:
            return [responses.vanished(SequenceSet.of(uids))] if uids else []
        # From the last to the first, so that each number is right when it is told.
        return [responses.expunge(number) for number in reversed(numbers)]


PLAIN = Dialect()
