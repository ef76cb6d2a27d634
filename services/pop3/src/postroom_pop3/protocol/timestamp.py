"""The timestamp of a greeting (RFC 1939 section 7): what an APOP digest is made over."""

from __future__ import annotations

from collections.abc import Callable


def make_timestamp(token: Callable[[], str], seconds: float) -> str:
    """A msg-id of one connection alone.

    Args:
        token: chance, in letters and digits: nobody may guess what will be greeted with.
        seconds: of Unix time.
    """
    return f"<{token()}.{int(seconds)}@postroom>"
