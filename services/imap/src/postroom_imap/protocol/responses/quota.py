"""QUOTA and QUOTAROOT (RFC 9208 section 4.2)."""

from collections.abc import Iterable

from postroom_imap.protocol.responses.strings import astring, mailbox


def quota_response(root: str, resources: Iterable[tuple[str, int, int]]) -> bytes:
    """QUOTA: each limited resource by its name, with its usage and limit in its own unit."""
    told = " ".join(f"{name} {usage} {limit}" for name, usage, limit in resources)
    return b"* QUOTA %b (%b)\r\n" % (astring(root.encode()), told.encode("ascii"))


def quota_root_response(name: str, roots: Iterable[str], *, utf8: bool) -> bytes:
    """QUOTAROOT: the roots that a mailbox belongs to."""
    told = (mailbox(name, utf8), *(astring(root.encode()) for root in roots))
    return b"* QUOTAROOT %b\r\n" % b" ".join(told)
