"""IMAPClient's live test with two repairs, without which it fails against any server.

Usage: python -m tests.harness.imapclient_live CONFIGURATION [unittest arguments]
"""

from __future__ import annotations

import imaplib
from typing import Any

from imapclient import livetest
from imapclient.response_types import Envelope


def _move(self: Any, messages: str, mailbox: str) -> Any:
    """MOVE by sequence numbers: IMAPClient asks imaplib for it, which knows only its name."""
    return self._simple_command("MOVE", messages, mailbox)


def _length(_self: Any) -> int:
    """How many fields an ENVELOPE has: it is compared as the sequence that it once was."""
    return 10


if __name__ == "__main__":
    imaplib.IMAP4.move = _move  # type: ignore[attr-defined]
    Envelope.__len__ = _length
    livetest.main()
