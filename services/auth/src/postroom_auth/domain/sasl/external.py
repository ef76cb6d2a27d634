"""EXTERNAL: the client has shown a certificate that says who it is (RFC 4422 appendix A)."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Proven,
    read_name,
    read_text,
)


async def external(initial: bytes | None, claims: Claims) -> Exchange:
    """EXTERNAL: `[authzid]`, whom the client wants to be; else whom its certificate names."""
    message = initial if initial is not None else (yield Challenge(b""))
    text = read_text(message)
    yield Proven(await claims.check_certificate(read_name(text) if text else ""))
