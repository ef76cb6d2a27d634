"""GSSAPI (RFC 4752), and what follows KPOP's exchange: the client shows a ticket of Kerberos 5.

No security layer is offered: connections have TLS for that.
"""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Malformed,
    NotAuthorized,
    Principal,
    read_name,
    read_text,
)

# RFC 4752 section 3.3: the bits of the layers on offer, and the largest message in one.
NO_LAYER = b"\x01\x00\x00\x00"
ROUNDS = 8  # Kerberos needs one or two


async def gssapi(initial: bytes | None, claims: Claims) -> Exchange:
    """GSSAPI (RFC 4752 section 3.2)."""
    context = await claims.begin_context()
    token = initial or (yield Challenge(b""))
    reply = await context.accept(token)
    for _ in range(ROUNDS):
        if context.established:
            break
        reply = await context.accept((yield Challenge(reply)))
    else:
        raise Malformed("the context is never established")
    if reply and (yield Challenge(reply)):
        raise Malformed("an empty response was due")
    chosen = await context.unwrap((yield Challenge(await context.wrap(NO_LAYER))))
    if len(chosen) < len(NO_LAYER) or chosen[:1] != NO_LAYER[:1]:
        raise Malformed("no security layer is offered")
    authzid = read_text(chosen[len(NO_LAYER) :])
    principal = await context.principal()
    if authzid and not _is_named(principal, read_name(authzid), claims):
        raise NotAuthorized
    yield principal.proven


async def kpop(initial: bytes | None, claims: Claims) -> Exchange:
    """X-KPOP, which POP3 alone has: the AP-REQ of a `sendauth` exchange, answered with an AP-REP, a
    KRB-ERROR or nothing (RFC 4120 section 5.5), and then the name that USER gives."""
    request = initial if initial is not None else (yield Challenge(b""))
    answer = await claims.check_request(request)
    name = read_name(read_text((yield Challenge(answer.reply))))
    if answer.principal is None or not _is_named(answer.principal, name, claims):
        raise NotAuthorized
    yield answer.principal.proven


def _is_named(principal: Principal, name: str, claims: Claims) -> bool:
    """Whether a name is the principal's, with or without the realm, or its account's."""
    if name in (principal.name, principal.name.partition("@")[0]):
        return True
    return claims.same_person(name, principal.proven.credential.address)
