"""What CAPA tells (RFC 2449 section 6, RFC 2595 section 4, RFC 3206, RFC 5034)."""

from __future__ import annotations

from collections.abc import Sequence


def capabilities(*, user: bool, stls: bool, mechanisms: Sequence[str]) -> list[str]:
    """The lines of the response.

    Args:
        user: USER and PASS are taken on this connection now.
        stls: TLS can begin now.
        mechanisms: those of SASL, on this connection now.
    """
    always = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"]
    return [
        *always,
        *(["USER"] if user else []),
        *(["SASL " + " ".join(mechanisms)] if mechanisms else []),
        *(["STLS"] if stls else []),
        "IMPLEMENTATION Postroom",
    ]
