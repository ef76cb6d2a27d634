"""Names that ask for a mailbox: `ann+Lists/Mail@example.org` is Ann's mailbox Lists/Mail.

What POP3 can't say by itself, the name says. It is written as a detail is in an address, and read
only where no account has the whole name: an address of its own comes first. Unlike an address's
detail it may be long and hold whatever a mailbox's name may.
"""

from __future__ import annotations

from postroom_auth.domain.address import DETAIL_SEPARATOR


def split_name(name: str) -> tuple[str, str]:
    """A name as (name of the account, mailbox); the mailbox is empty where there is none."""
    local, at, domain = name.rpartition("@")
    if not at:
        local, domain = name, ""
    account, _, mailbox = local.partition(DETAIL_SEPARATOR)
    if not account or not mailbox:
        return name, ""
    return f"{account}{at}{domain}", mailbox
