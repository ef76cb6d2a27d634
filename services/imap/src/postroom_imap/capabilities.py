"""What the server says it can do (RFC 3501 section 6.1.1), by where the session stands."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_imap.bounds import Bounds
from postroom_imap.protocol.rights import NEW as NEW_RIGHTS

# docs/imap.md has the RFC of each; a name a line, in order of the alphabet.
ALWAYS = ("IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE", "LANGUAGE")
AFTER_LOGIN = (
    "ACL",
    "ANNOTATE-EXPERIMENT-1",
    "BINARY",
    "CATENATE",
    "CHILDREN",
    "COMPRESS=DEFLATE",
    "CONDSTORE",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "CREATE-SPECIAL-USE",
    "ESEARCH",
    "ESORT",
    "FILTERS",
    "I18NLEVEL=1",
    "I18NLEVEL=2",
    "IDLE",
    "INPROGRESS",
    "LIST-EXTENDED",
    "LIST-METADATA",
    "LIST-MYRIGHTS",
    "LIST-STATUS",
    "MAILBOX-REFERRALS",
    "METADATA",
    "MOVE",
    "MULTIAPPEND",
    "MULTISEARCH",
    "NAMESPACE",
    "NOTIFY",
    "OBJECTID",
    "PARTIAL",
    "PREVIEW",
    "QRESYNC",
    "QUOTA",
    "QUOTA=RES-MAILBOX",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-STORAGE",
    "QUOTASET",
    "REPLACE",
    f"RIGHTS={NEW_RIGHTS}",
    "SAVEDATE",
    "SEARCH=FUZZY",
    "SEARCHRES",
    "SORT",
    "SORT=DISPLAY",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "UIDBATCHES",
    "UIDONLY",
    "UIDPLUS",
    "UNAUTHENTICATE",
    "UNSELECT",
    "URL-PARTIAL",
    "URLAUTH",
    "URLAUTH=BINARY",
    "UTF8=ACCEPT",
    "WITHIN",
)


def before_login(*, tls_offered: bool, may_login: bool, mechanisms: Sequence[str]) -> list[str]:
    """Capabilities of a session that nobody has signed in to.

    Args:
        tls_offered: STARTTLS can be used now.
        may_login: credentials may travel on this connection (RFC 3501 section 7.2.1:
            LOGINDISABLED where they may not).
    """
    names = [*ALWAYS]
    if tls_offered:
        names.append("STARTTLS")
    if may_login:
        names += [f"AUTH={mechanism}" for mechanism in mechanisms]
    else:
        names.append("LOGINDISABLED")
    return names


def after_login(bounds: Bounds, *, compressed: bool = False) -> list[str]:
    """Capabilities of a session that somebody has signed in to.

    Args:
        bounds: the limits that are told.
        compressed: the connection is compressed already.
    """
    limits = (
        f"APPENDLIMIT={bounds.append_bytes}",
        f"MESSAGELIMIT={bounds.message_limit}",
        f"SAVELIMIT={bounds.save_limit}",
    )
    names = [*ALWAYS, *AFTER_LOGIN, *limits]
    if compressed:
        names.remove("COMPRESS=DEFLATE")
    return names
