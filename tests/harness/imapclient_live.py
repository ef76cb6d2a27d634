"""IMAPClient's live test with three repairs, without which it fails against any server.

Usage: python -m tests.harness.imapclient_live CONFIGURATION [unittest arguments]
"""

from __future__ import annotations

import imaplib
from argparse import Namespace
from typing import Any

from imapclient import livetest
from imapclient.response_types import Envelope


def _move(self: Any, messages: str, mailbox: str) -> Any:
    """MOVE by sequence numbers: IMAPClient asks imaplib for it, which knows only its name."""
    return self._simple_command("MOVE", messages, mailbox)


def _length(_self: Any) -> int:
    """How many fields an ENVELOPE has: it is compared as the sequence that it once was."""
    return 10


def _setting(self: Namespace, name: str) -> Any:
    """A setting of the test by its name: GETACL's test takes them for a dictionary."""
    return getattr(self, name)


if __name__ == "__main__":
    imaplib.IMAP4.move = _move  # type: ignore[attr-defined]
    Envelope.__len__ = _length
    Namespace.__getitem__ = _setting  # type: ignore[misc]
    livetest.main()
