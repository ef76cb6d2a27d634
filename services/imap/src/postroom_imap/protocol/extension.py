"""What ENABLE turns on (RFC 5161): what would surprise a client that did not ask for it."""

from enum import StrEnum


class Extension(StrEnum):
    """The value is the capability name."""

    IMAP4REV2 = "IMAP4rev2"  # RFC 9051
    UTF8_ACCEPT = "UTF8=ACCEPT"  # RFC 9755
    CONDSTORE = "CONDSTORE"  # RFC 7162; other commands turn it on, too
    QRESYNC = "QRESYNC"  # RFC 7162
    UIDONLY = "UIDONLY"  # RFC 9586


IMPLIED = {Extension.QRESYNC: (Extension.CONDSTORE,)}  # RFC 7162 section 3.2.3

_BY_NAME = {extension.upper(): extension for extension in Extension}


def extension(name: str) -> Extension | None:
    """The extension that a capability name in upper case stands for, if it is one to enable."""
    return _BY_NAME.get(name)
