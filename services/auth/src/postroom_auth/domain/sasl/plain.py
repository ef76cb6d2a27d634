"""PLAIN and LOGIN: the client shows its password."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Malformed,
    NotAuthorized,
    Proven,
    read_name,
    read_password,
    read_text,
)


async def plain(initial: bytes | None, claims: Claims) -> Exchange:
    """PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd` in one message."""
    message = initial if initial is not None else (yield Challenge(b""))
    fields = read_text(message).split("\0")
    if len(fields) != 3:
        raise Malformed("PLAIN takes three fields parted by NUL")
    authzid, authcid, passwd = fields
    name, password = read_name(authcid), read_password(passwd)
    if authzid and not claims.same_person(authzid, authcid):
        raise NotAuthorized
    yield Proven(await claims.check_password(name, password))


async def login(initial: bytes | None, claims: Claims) -> Exchange:
    """LOGIN (draft-murchison-sasl-login-00): two questions, whose texts clients don't read."""
    # Many clients send the name as initial response, though the draft knows none.
    first = initial if initial is not None else (yield Challenge(b"Username:"))
    name = read_name(read_text(first))
    password = read_password(read_text((yield Challenge(b"Password:"))))
    yield Proven(await claims.check_password(name, password))
