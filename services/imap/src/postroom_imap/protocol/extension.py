"""What ENABLE turns on (RFC 5161): what would surprise a client that did not ask for it."""

from enum import StrEnum


class Extension(StrEnum):
    """The value is the capability name."""

    IMAP4REV2 = "IMAP4REV2"  # RFC 9051; told as IMAP4rev2
    UTF8_ACCEPT = "UTF8=ACCEPT"  # RFC 9755


def extension(name: str) -> Extension | None:
    """The extension that a capability name in upper case stands for, if it is one to enable."""
    try:
        return Extension(name)
    except ValueError:
        return None
