"""What CAPA tells (RFC 2449 section 6, RFC 2595 section 4, RFC 3206, RFC 5034, RFC 6856)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """How mail is kept, and how often it may be asked for.

    Attributes:
        expire_days: 0: what was retrieved goes at QUIT; None: nothing goes; else what was read
            goes after so many days.
        login_delay: seconds from one sign-in to the next; 0 for none.
    """

    expire_days: int | None = None
    login_delay: int = 0


KEPT = Policy()


def capabilities(
    *,
    user: bool,
    stls: bool,
    mechanisms: Sequence[str],
    policy: Policy = KEPT,
    before_sign_in: bool = False,
) -> list[str]:
    """The lines of the response.

    They are the same before and after sign-in (RFC 2449 section 5), but for the account's policy:
    before, the strictest of all is told, as that of some (sections 6.5 and 6.7).

    Args:
        user: USER and PASS are taken on this connection.
        stls: TLS can begin on it.
        mechanisms: those of SASL on it.
        policy: of the account, or the strictest.
        before_sign_in: the policy may be another for the account that will sign in.
    """
    of_some = " USER" if before_sign_in else ""
    expire = "EXPIRE NEVER"
    if policy.expire_days is not None:
        expire = f"EXPIRE {policy.expire_days}{of_some}"
    delay = f"LOGIN-DELAY {policy.login_delay}{of_some if policy.login_delay else ''}"
    return [
        "TOP",
        "UIDL",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "PIPELINING",
        "UTF8 USER",
        "LANG",
        expire,
        delay,
        *(["USER"] if user else []),
        *(["SASL " + " ".join(mechanisms)] if mechanisms else []),
        *(["STLS"] if stls else []),
        "IMPLEMENTATION Postroom",
    ]
