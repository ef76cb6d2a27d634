"""What CAPA tells (RFC 2449 section 6, RFC 2595 section 4, RFC 3206, RFC 5034, RFC 6856)."""

from __future__ import annotations

from collections.abc import Sequence


def capabilities(*, user: bool, stls: bool, mechanisms: Sequence[str]) -> list[str]:
    """The lines of the response, the same before and after sign-in (RFC 2449 section 5).

    Args:
        user: USER and PASS are taken on this connection.
        stls: TLS can begin on it.
        mechanisms: those of SASL on it.
    """
    return [
        "TOP",
        "UIDL",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "PIPELINING",
        "UTF8 USER",
        "LANG",
        "EXPIRE NEVER",
        "LOGIN-DELAY 0",
        *(["USER"] if user else []),
        *(["SASL " + " ".join(mechanisms)] if mechanisms else []),
        *(["STLS"] if stls else []),
        "IMPLEMENTATION Postroom",
    ]
