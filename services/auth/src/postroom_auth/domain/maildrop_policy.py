"""How an account's mail is kept for POP3 (RFC 2449 sections 6.5 and 6.7).

A client can tell by EXPIRE whether it may leave mail on the server, and by LOGIN-DELAY how often
it may look.
"""

from __future__ import annotations

from dataclasses import dataclass

DAYS = 36_500
DELAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class MaildropPolicy:
    """A policy, or the strictest parts of many.

    Attributes:
        expire_days: 0: what was retrieved goes when the session ends; None: nothing goes; else
            after how many days what was read goes.
        login_delay: seconds from one sign-in to the next; 0 for none.
    """

    expire_days: int | None = None
    login_delay: int = 0
