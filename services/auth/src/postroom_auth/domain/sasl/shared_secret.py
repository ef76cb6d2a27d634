"""CRAM-MD5, and POP3's own APOP and RPOP: the client knows a secret that was made for it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable

from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Malformed,
    Proven,
    read_name,
    read_text,
)
from postroom_auth.domain.shared_secret import SecretKind

_DIGEST = re.compile(r"[0-9a-f]{32}")
# RFC 1939 section 7: a msg-id, that of the greeting.
_TIMESTAMP = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")


def new_challenge() -> bytes:
    """A msg-id that nobody can guess and that is never used again (RFC 2195 section 2)."""
    return b"<%b.%d@postroom>" % (secrets.token_hex(16).encode(), time.time())


async def cram_md5(
    initial: bytes | None, claims: Claims, challenge: Callable[[], bytes] = new_challenge
) -> Exchange:
    """CRAM-MD5 (RFC 2195): a name, and the HMAC-MD5 of the challenge by the secret."""
    if initial is not None:
        raise Malformed("CRAM-MD5 takes no initial response")
    asked = challenge()
    name, space, digest = read_text((yield Challenge(asked))).rpartition(" ")
    if not space:
        raise Malformed("CRAM-MD5 takes a name and a digest")
    told = _read_digest(digest)

    def fits(secret: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, asked, "md5").hex(), told)

    yield Proven(await claims.check_secret(SecretKind.CRAM_MD5, read_name(name), fits))


async def apop(initial: bytes | None, claims: Claims) -> Exchange:
    """APOP (RFC 1939 section 7), as a front frames it: `timestamp NUL name NUL digest`.

    The timestamp is the front's: it made it for the one connection that it greeted.
    """
    timestamp, name, digest = _fields(initial, 3)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Malformed("APOP needs the greeting's timestamp")
    told = _read_digest(digest)

    def fits(secret: bytes) -> bool:
        digested = hashlib.md5(timestamp.encode() + secret, usedforsecurity=False)
        return hmac.compare_digest(digested.hexdigest(), told)

    yield Proven(await claims.check_secret(SecretKind.APOP, read_name(name), fits))


async def rpop(initial: bytes | None, claims: Claims) -> Exchange:
    """RPOP (RFC 1081), as a front frames it: `name NUL id`."""
    name, told = _fields(initial, 2)
    if not told:
        raise Malformed("RPOP takes an id")

    def fits(secret: bytes) -> bool:
        return hmac.compare_digest(secret, told.encode())

    yield Proven(await claims.check_secret(SecretKind.RPOP, read_name(name), fits))


def _fields(initial: bytes | None, count: int) -> list[str]:
    fields = read_text(initial or b"").split("\0")
    if len(fields) != count:
        raise Malformed(f"this takes {count} fields parted by NUL")
    return fields


def _read_digest(text: str) -> str:
    """An MD5 digest in lower case, which some clients don't write. Raises Malformed."""
    lowered = text.lower()
    if not _DIGEST.fullmatch(lowered):
        raise Malformed("a digest has 32 hexadecimal digits")
    return lowered
